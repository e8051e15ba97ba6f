import assert from "node:assert/strict";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { parseQuery } from "../../src/atila/arguments.ts";
import { Atila, REQUIRED } from "../../src/atila/mod.ts";

const here = import.meta.url;
const form = { headers: { "content-type": "application/x-www-form-urlencoded" } };

Deno.test("ATL-23 repeated names become lists, blanks are kept, + and % are undone", () => {
  const plain = (query: string) => ({ ...parseQuery(query) });
  assert.deepEqual(plain("a=1&b=2&a=3&a=4"), { a: ["1", "3", "4"], b: "2" });
  assert.deepEqual(plain("a=&b&=c&&d=x=y"), { a: "", b: "", "": "c", d: "x=y" });
  assert.deepEqual(plain("q=a+b%2Bc&n%20m=%C3%A9"), { q: "a b+c", "n m": "é" });
  assert.deepEqual(plain("bad=%zz&%=1"), { bad: "%zz", "%": "1" });
  assert.equal(Object.keys(parseQuery("__proto__=x&constructor=y")).length, 2);
  assert.equal(({} as Record<string, unknown>).x, undefined);
});

Deno.test("ATL-23 ten thousand keys are parsed in one pass", () => {
  const query = Array.from({ length: 10_000 }, (_, i) => `k${i}=v${i}`).join("&");
  const values = parseQuery(query);
  assert.equal(Object.keys(values).length, 10_000);
  assert.equal(values.k9999, "v9999");
});

Deno.test("ATL-19 ATL-20 declared arguments are filled, typed and checked", async () => {
  const app = new Atila(here);
  app.route("/list", {
    args: { q: REQUIRED, page: 1, all: false, tags: [], note: null, lang: "en" },
  }, (was, args) => was.response.API(args));
  const client = app.makeClient();
  assert.deepEqual((await client.get("/list?q=x")).data, {
    q: "x",
    page: 1,
    all: false,
    tags: [],
    note: null,
    lang: "en",
  });
  assert.deepEqual((await client.get("/list?q=x&page=2.5&all=yes&tags=a&note=n&lang=")).data, {
    q: "x",
    page: 2.5,
    all: true,
    tags: ["a"],
    note: "n",
    lang: "",
  });
  const cases: [string, RegExp][] = [
    ["/list", /"q" is required/],
    ["/list?q=x&page=two", /"page" \(query\): expected a number, got "two"/],
    ["/list?q=x&page=", /"page"/],
    ["/list?q=x&all=maybe", /"all" \(query\): expected true or false/],
    ["/list?q=x&lang=a&lang=b", /"lang" \(query\): given more than once/],
    ["/list?q=x&other=1", /"other" \(query\): not known here/],
    ["/list?q=x&__proto__=1", /"__proto__" \(query\): not known here/],
  ];
  for (const [path, message] of cases) {
    const answer = await client.get(path, { headers: { accept: "application/json" } });
    assert.equal(answer.statusCode, 400, path);
    assert.match(answer.data.message, message, path);
  }
});

Deno.test("ATL-20 without declarations everything is passed, with rest the undeclared too", async () => {
  const app = new Atila(here);
  app.route("/free/<int:id>", (was, args) => was.response.API(args));
  app.route("/rest", { args: { a: 1 }, rest: true }, (was, args) => was.response.API(args));
  const client = app.makeClient();
  assert.deepEqual((await client.get("/free/7?x=1&x=2")).data, { id: 7, x: ["1", "2"] });
  assert.deepEqual((await client.get("/rest?b=2")).data, { a: 1, b: "2" });
});

Deno.test("ATL-20 config.argErrorStatus changes the status", async () => {
  const app = new Atila(here);
  app.config.argErrorStatus = 508;
  app.route("/", { args: { a: REQUIRED } }, (_was, { a }) => a);
  assert.equal((await app.makeClient().get("/")).statusCode, 508);
});

Deno.test("ATL-21 the order is path, query, body; undeclared query arguments are refused", async () => {
  const app = new Atila(here);
  app.route("/<id>", { args: { q: "", b: "" } }, (was, args) => was.response.API(args));
  const client = app.makeClient();
  const both = await client.post("/7?q=1", "b=2", form);
  assert.deepEqual(both.data, { id: "7", q: "1", b: "2" });
  assert.deepEqual(Object.keys(both.data), ["id", "q", "b"]);
  assert.equal((await client.post("/7?other=1", "b=2", form)).statusCode, 400);
});

Deno.test("ATL-22 request.args holds everything, a name from several places is a list", async () => {
  const app = new Atila(here);
  app.route("/<id>", { args: { d: 5 }, rest: true }, (was) => {
    const { args } = was.request;
    return was.response.API({
      id: args.id,
      a: args.a,
      d: args.get("d"),
      none: args.get("none", "fallback"),
      keys: Object.keys(args).sort(),
    });
  });
  const answer = await app.makeClient().post("/7?a=1", "a=2&a=3", form);
  assert.deepEqual(answer.data, {
    id: "7",
    a: ["1", "2", "3"],
    d: 5,
    none: "fallback",
    keys: ["a", "d", "id"],
  });
});

Deno.test("ATL-24 forms, multipart forms and JSON objects become arguments", async () => {
  const app = new Atila(here);
  app.route("/", (was, args) => {
    return was.response.API({ ...args, dict: was.request.dict(), form: was.request.form() });
  });
  const client = app.makeClient();
  const pick = ({ data }: { data: Record<string, unknown> }) => [data.a, data.b];
  assert.deepEqual(pick(await client.post("/", "a=1&b=x+y", form)), ["1", "x y"]);
  assert.deepEqual(pick(await client.post("/", { a: 1, b: [true, null] })), [1, [true, null]]);
  const multipart = new FormData();
  multipart.append("a", "é");
  multipart.append("b", "1");
  multipart.append("b", "2");
  assert.deepEqual(pick(await client.post("/", multipart)), ["é", ["1", "2"]]);

  const noType = await app.handle(
    new Request("http://x/", { method: "POST", body: new Uint8Array([97, 61, 49]) }),
    (await import("../../src/core/context.ts")).createContext({
      url: "http://x/",
      mountPoint: "/",
    }),
  );
  assert.equal(noType.status, 200);
});

Deno.test("ATL-24 JSON that is no object stays in request.json()", async () => {
  const app = new Atila(here);
  app.route("/", (was, args) => was.response.API({ args, json: was.request.json() }));
  const client = app.makeClient();
  for (const value of [[1, 2], "text", 5, null]) {
    const answer = await client.post("/", JSON.stringify(value), {
      headers: { "content-type": "application/json" },
    });
    assert.deepEqual(answer.data, { args: {}, json: value });
  }
});

Deno.test("ATL-24 broken bodies are 400 and say what is wrong", async () => {
  const app = new Atila(here);
  app.route("/", () => "ok");
  const client = app.makeClient();
  const json = await client.post("/", '{"a":', {
    headers: { "content-type": "application/json", accept: "application/json" },
  });
  assert.equal(json.statusCode, 400);
  assert.match(json.data.message, /not JSON/);
  const multipart = await client.post("/", "--x\r\nnonsense", {
    headers: { "content-type": "multipart/form-data; boundary=y" },
  });
  assert.equal(multipart.statusCode, 400);
});

Deno.test("ATL-24 names of JSON members cannot reach a prototype", async () => {
  const app = new Atila(here);
  app.route("/", (was, args) => {
    const plain = {} as Record<string, unknown>;
    return was.response.API({ keys: Object.keys(args).sort(), polluted: plain.x === 1 });
  });
  const answer = await app.makeClient().post("/", '{"__proto__":{"x":1},"constructor":2}', {
    headers: { "content-type": "application/json" },
  });
  assert.deepEqual(answer.data, { keys: ["__proto__", "constructor"], polluted: false });
});

Deno.test("ATL-19 a Standard Schema validates and types the arguments", async () => {
  const app = new Atila(here);
  const args = z.object({ id: z.number(), size: z.coerce.number().max(10).default(3) });
  app.route("/<int:id>", { args }, (was, { id, size }) => {
    const sum: number = id + size;
    return was.response.API({ sum });
  });
  const client = app.makeClient();
  assert.deepEqual((await client.get("/4")).data, { sum: 7 });
  assert.deepEqual((await client.get("/4?size=5")).data, { sum: 9 });
  const answer = await client.get("/4?size=50", { headers: { accept: "application/json" } });
  assert.equal(answer.statusCode, 400);
  assert.match(answer.data.message, /"size"/);
});

Deno.test("ATL-19 ATL-15 parameters of the rule reach the handler beside what a validator knows", async () => {
  const app = new Atila(here);
  app.route("/<int:id>/<name>", {
    args: z.object({ q: z.string(), name: z.string().toUpperCase() }),
  }, (was, { id, q, name }) => was.response.API({ next: id + 1, q, name }));
  const { data } = await app.makeClient().get("/4/kim?q=x");
  assert.deepEqual(data, { next: 5, q: "x", name: "KIM" });
});

Deno.test("ATL-19 ATL-22 what a handler does to a default is not seen by the next request", async () => {
  const app = new Atila(here);
  const at = new Date(0);
  app.route("/", { args: { tags: [], of: { deep: ["a"] }, at } }, (was, args) => {
    const { tags, of, at: same } = args as unknown as typeof args & { of: { deep: string[] } };
    tags.push("new");
    of.deep.push("b");
    was.request.args.tags = [...(was.request.args.tags as string[]), "more"];
    return was.response.API({ tags, of, same: same === at, all: was.request.args.tags });
  });
  const client = app.makeClient();
  for (let i = 0; i < 2; i++) {
    const { data } = await client.get("/");
    assert.deepEqual(data, { tags: ["new"], of: { deep: ["a", "b"] }, same: true, all: ["more"] });
  }
});

Deno.test("ATL-20 ATL-24 JSON brings null and lists as they are, and errors say what came", async () => {
  const app = new Atila(here);
  app.route(
    "/",
    { args: { any: REQUIRED, free: null, n: 1, flag: true, text: "" } },
    (was, args) => {
      return was.response.API({ ...args, isNull: args.any === null });
    },
  );
  const client = app.makeClient();
  const rest = { free: null, n: 1, flag: true, text: "" };
  assert.deepEqual((await client.post("/", { any: null })).data, {
    any: null,
    ...rest,
    isNull: true,
  });
  assert.deepEqual((await client.post("/", { any: [1, { a: 2 }], free: [null] })).data, {
    any: [1, { a: 2 }],
    ...rest,
    free: [null],
    isNull: false,
  });
  const headers = { accept: "application/json" };
  for (
    const [body, message] of [
      [{ any: 1, n: null }, /"n" \(body\): expected a number, got null/],
      [{ any: 1, n: [1] }, /"n" \(body\): expected one value, got \[1\]/],
      [{ any: 1, flag: [true] }, /"flag" \(body\): expected one value/],
      [{ any: 1, text: [] }, /"text" \(body\): expected one value/],
    ] as const
  ) {
    const answer = await client.post("/", body, { headers });
    assert.equal(answer.statusCode, 400);
    assert.match(answer.data.message, message);
  }
  const twice = await client.post("/", "any=1&any=2", { headers: { ...headers, ...form.headers } });
  assert.match(twice.data.message, /"any" \(body\): given more than once/);
});

Deno.test("ATL-22 an argument that is called get is one like any other", async () => {
  const app = new Atila(here);
  app.route("/", (was) => String(was.request.args.get("get", "none")));
  const client = app.makeClient();
  assert.equal((await client.get("/?get=1")).text, "1");
  assert.equal((await client.get("/")).text, "none");
});

Deno.test("ATL-19 validators of three libraries give the handler its types and errors of one shape", async () => {
  const app = new Atila(here);
  app.route("/zod", {
    args: z.object({ page: z.coerce.number().int().min(1), tag: z.string().optional() }),
  }, (was, { page, tag }) => {
    const next: number = page + 1;
    const known: string | undefined = tag;
    return was.response.API({ next, known: known ?? null });
  });
  app.route("/valibot", {
    args: v.object({
      page: v.pipe(v.string(), v.transform(Number), v.integer(), v.minValue(1)),
      tag: v.optional(v.string()),
    }),
  }, (was, { page, tag }) => {
    const next: number = page + 1;
    const known: string | undefined = tag;
    return was.response.API({ next, known: known ?? null });
  });
  app.route("/arktype", {
    args: type({ page: "string.integer.parse", "tag?": "string" }).narrow((given, ctx) =>
      given.page >= 1 || ctx.reject({ path: ["page"], expected: "at least 1" })
    ),
  }, (was, { page, tag }) => {
    const next: number = page + 1;
    const known: string | undefined = tag;
    return was.response.API({ next, known: known ?? null });
  });
  const client = app.makeClient();
  const json = { headers: { accept: "application/json" } };
  for (const library of ["zod", "valibot", "arktype"]) {
    assert.deepEqual((await client.get(`/${library}?page=2`)).data, { next: 3, known: null });
    assert.deepEqual((await client.get(`/${library}?page=2&tag=a+b`)).data, {
      next: 3,
      known: "a b",
    });
    for (const query of ["", "?page=x", "?page=0"]) {
      const { statusCode, data } = await client.get(`/${library}${query}`, json);
      assert.equal(statusCode, 400, `${library}${query}`);
      assert.deepEqual(Object.keys(data).sort(), ["code", "message"], library);
      assert.match(data.message, /"page"/, `${library}${query}: ${data.message}`);
    }
  }
});

Deno.test("TOK-02 ATL-19 the hidden field of forms needs no declaration, in a query it is like any other", async () => {
  const app = new Atila(import.meta.url);
  app.route("/some", { args: { a: "" } }, (was, args) => was.response.API(args));
  app.route("/rest", { args: { a: "" }, rest: true }, (was, args) => was.response.API(args));
  const client = app.makeClient();
  const form = new URLSearchParams({ a: "1", _csrf_token: "t" });
  assert.deepEqual((await client.post("/some", form)).data, { a: "1" });
  assert.deepEqual((await client.post("/some", { a: "1", _csrf_token: "t" })).data, { a: "1" });
  assert.deepEqual((await client.post("/rest", form)).data, { a: "1", _csrf_token: "t" });
  assert.equal((await client.get(`/some?${form}`)).statusCode, 400);
  assert.equal((await client.post("/some", { a: "1", _csrf: "t" })).statusCode, 400);
});
