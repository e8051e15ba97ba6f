/**
 * A JSON API with validators, bearer tokens, one shape for all errors, and a page to browse it.
 *
 * `deno run -A examples/api/app.ts`, then open http://127.0.0.1:5000/docs. For routes that change
 * something, get a token there (client `demo`, secret `let-me-in`), and type `Bearer` and the token into
 * the field for authorization. The declarations for a typed client are written by
 * `skitai client examples/api/app.ts > api.d.ts`; `client.ts` uses them. `--origin https://shop.example`
 * lets pages of that site use the API.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";
import { z } from "zod";

const TOKEN_SECONDS = 3600;

/** Who may change books, and by which secret. */
const clients = new Map([["demo", Deno.env.get("DEMO_SECRET") ?? "let-me-in"]]);

const app = new Atila(import.meta.url);
// Signs the tokens. A key of your own lets them survive a restart.
app.securekey = Deno.env.get("SECUREKEY") ?? crypto.randomUUID();
// Pages of this origin may use the API from a browser.
const [options] = skitai.argopt("", ["origin="]);
app.accessControlAllowOrigin = [new Map(options).get("--origin") ?? "http://localhost:8000"];
app.accessControlMaxAge = 600;

const Book = z.object({
  id: z.number().int().describe("Given by the shop"),
  title: z.string().min(1).max(200),
  author: z.string().min(1).max(200),
  year: z.number().int().min(0).max(9999).optional(),
});
type Book = z.infer<typeof Book>;

// In memory, to keep to the matter; sqlite.ts and one_alias.ts show databases.
const books = new Map<number, Book>([
  [1, { id: 1, title: "The Left Hand of Darkness", author: "Ursula K. Le Guin", year: 1969 }],
  [2, { id: 2, title: "Solaris", author: "Stanisław Lem", year: 1961 }],
]);

app.openapi("/docs", {
  title: "Books",
  version: "1.0.0",
  description: "A small shelf of books.",
  authenticate: null,
});

// The shape that clients get who accept JSON by name, for all the others, too.
app.defaultErrorHandler((was, { code, message, detail }) =>
  was.response.API({ code: code * 100, message: detail || message })
);

// -- tokens ------------------------------------------------------------------------------------------

app.bearerHandler((was, token) => was.dejwt(token) ? undefined : "invalid_token");

app.route("/tokens", {
  methods: ["POST", "OPTIONS"],
  args: z.object({ client: z.string(), secret: z.string() }),
  doc: {
    summary: "Get a token",
    description: "It is good for an hour.",
    tags: ["tokens"],
    returns: z.object({ token: z.string(), expires: z.number().describe("Seconds since 1970") }),
    responses: { 403: "Client or secret are wrong" },
  },
}, function addToken(was, { client, secret }) {
  if (!isSame(secret, clients.get(client))) {
    throw new skitai.HttpError(403, "Client or secret are wrong");
  }
  const expires = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  return was.response.API({ token: was.mkjwt({ username: client, exp: expires }), expires });
});

app.route("/tokens", {
  methods: ["DELETE"],
  authenticate: "bearer",
  doc: {
    summary: "End the token in use",
    tags: ["tokens"],
    returns: z.object({ ended: z.boolean() }),
  },
}, function removeToken(was) {
  was.rmtoken(was.request.getHeader("authorization")!.replace(/^bearer +/i, ""));
  return was.response.API({ ended: true });
});

// -- books -------------------------------------------------------------------------------------------

app.route("/books", {
  methods: ["GET", "OPTIONS"],
  args: z.object({
    author: z.string().default("").describe("A part of the name"),
    limit: z.coerce.number().int().min(1).max(100).default(20),
    offset: z.coerce.number().int().min(0).default(0),
  }),
  doc: {
    summary: "Find books",
    tags: ["books"],
    returns: z.object({ books: z.array(Book), total: z.number().int() }),
  },
}, function findBooks(was, { author, limit, offset }) {
  const found = [...books.values()].filter((book) => book.author.includes(author));
  return was.response.API({ books: found.slice(offset, offset + limit), total: found.length });
});

app.route("/books/<int:id>", {
  methods: ["GET", "OPTIONS"],
  doc: { summary: "One book", tags: ["books"], returns: Book, responses: { 404: "No such book" } },
}, function getBook(was, { id }) {
  return was.response.API(known(id));
});

app.route("/books", {
  methods: ["POST"],
  authenticate: "bearer",
  args: Book.omit({ id: true }),
  doc: { summary: "Add a book", tags: ["books"], returns: Book },
}, function addBook(was, book) {
  const id = Math.max(0, ...books.keys()) + 1;
  books.set(id, { id, ...book });
  return was.response.API(known(id));
});

app.route("/books/<int:id>", {
  methods: ["DELETE"],
  authenticate: "bearer",
  doc: {
    summary: "Remove a book",
    tags: ["books"],
    returns: z.object({ removed: z.boolean() }),
    responses: { 404: "No such book" },
  },
}, function removeBook(was, { id }) {
  return was.response.API({ removed: books.delete(known(id).id) });
});

function known(id: number): Book {
  const book = books.get(id);
  if (book === undefined) throw new skitai.HttpError(404, `There is no book ${id}`);
  return book;
}

/** Compares secrets in a time that tells nothing about them. */
function isSame(given: string, expected: string | undefined): boolean {
  const [a, b] = [given, expected ?? ""].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(a!, b!) && expected !== undefined;
}

skitai.secureHeaders({ contentSecurityPolicy: "default-src 'self'; img-src 'self' data:" });
skitai.mount("/", app);
await skitai.run();
