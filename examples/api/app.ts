/**
 * A JSON API with validators, a bearer token, and a page to browse it at `/docs`.
 *
 * `deno run -A examples/api/app.ts`, then open http://127.0.0.1:5000/docs; for routes that change
 * something, type `Bearer let-me-in` into the field for authorization. The declarations for a typed
 * client are written by `skitai client examples/api/app.ts > api.d.ts`; `client.ts` uses them.
 */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";
import { z } from "zod";

const app = new Atila(import.meta.url);

const Book = z.object({
  id: z.number().int().describe("Given by the shop"),
  title: z.string(),
  author: z.string(),
  year: z.number().int().optional(),
});
type Book = z.infer<typeof Book>;

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
app.bearerHandler((_was, token) => token === "let-me-in" ? undefined : "invalid_token");
app.accessControlAllowOrigin = ["http://localhost:8000"];

app.route("/books", {
  methods: ["GET", "OPTIONS"],
  args: z.object({ author: z.string().default("").describe("A part of the name") }),
  doc: {
    summary: "Find books",
    tags: ["books"],
    returns: z.object({ books: z.array(Book) }),
  },
}, function findBooks(was, { author }) {
  const found = [...books.values()].filter((book) => book.author.includes(author));
  return was.response.API({ books: found });
});

app.route("/books/<int:id>", {
  methods: ["GET"],
  doc: { summary: "One book", tags: ["books"], returns: Book, responses: { 404: "No such book" } },
}, function getBook(was, { id }) {
  const book = books.get(id);
  return book ? was.response.API(book) : was.response.throw("404 Not Found", `no book ${id}`);
});

app.route("/books", {
  methods: ["POST"],
  authenticate: "bearer",
  args: Book.omit({ id: true }),
  doc: { summary: "Add a book", tags: ["books"], returns: Book },
}, function addBook(was, book) {
  const id = Math.max(0, ...books.keys()) + 1;
  books.set(id, { id, ...book });
  return was.response.API(books.get(id));
});

app.route("/books/<int:id>", {
  methods: ["DELETE"],
  authenticate: "bearer",
  doc: { summary: "Remove a book", tags: ["books"], returns: z.object({ removed: z.boolean() }) },
}, function removeBook(was, { id }) {
  return was.response.API({ removed: books.delete(id) });
});

skitai.secureHeaders();
skitai.mount("/", app);
await skitai.run();
