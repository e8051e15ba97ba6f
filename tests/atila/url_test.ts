import assert from "node:assert/strict";
import { Atila, REQUIRED } from "../../src/atila/mod.ts";

/** An app mounted at /math. */
function math(): Atila {
  const app = new Atila(import.meta.url);
  app.route("/", { name: "index" }, () => "");
  app.route("/add", { name: "add", args: { num1: REQUIRED, num2: 0 } }, () => "");
  app.route("/hello/<name>", { name: "hello", args: { name: "World" } }, () => "");
  app.route("/user/<name>/<int:id>", { name: "user", args: { tab: "" } }, () => "");
  app.route("/files/<path:file>", { name: "files" }, () => "");
  app.attach({
    mountPoint: "/math/",
    host: "default",
    name: "math",
    pref: { config: {} },
    apps: new Map(),
  });
  return app;
}

Deno.test("URL-01 positional and named values, with the mount prefix", async () => {
  const app = math();
  assert.equal(app.buildUrl("add", 10, 40), "/math/add?num1=10&num2=40");
  assert.equal(app.buildUrl("add", 10, { named: { num2: 40 } }), "/math/add?num1=10&num2=40");
  assert.equal(app.buildUrl("add", { named: { num1: 1 } }), "/math/add?num1=1");
  assert.equal(app.buildUrl("index"), "/math/");
  app.route("/links", (was) => `${was.ab("add", 1)} ${was.urlfor("index")}`);
  assert.equal((await app.makeClient("/other").get("/links")).text, "/other/add?num1=1 /other/");
});

Deno.test("URL-02 parameters go into the path, defaults fill in, a path keeps its slashes", () => {
  const app = math();
  assert.equal(app.buildUrl("hello", "Your Name"), "/math/hello/Your_Name");
  assert.equal(app.buildUrl("hello"), "/math/hello/World");
  assert.equal(app.buildUrl("user", "bob", 5, "posts"), "/math/user/bob/5?tab=posts");
  assert.equal(app.buildUrl("files", "a/b c/d"), "/math/files/a/b%20c/d");
  assert.throws(() => app.buildUrl("user", "bob"), /"id" is missing/);
  assert.throws(() => app.buildUrl("user", "bob", "x"), /expected int/);
});

Deno.test("URL-03 values are encoded as their place wants it, and come back as they were", async () => {
  const app = math();
  assert.equal(app.buildUrl("add", "a b&c=d+é"), "/math/add?num1=a+b%26c%3Dd%2B%C3%A9");
  assert.equal(app.buildUrl("hello", "a/b?c#d é"), "/math/hello/a%2Fb%3Fc%23d_%C3%A9");
  assert.equal(app.buildUrl("add", ["x", "y"]), "/math/add?num1=x&num1=y");

  const back = new Atila(import.meta.url);
  back.route("/<name>", { name: "back", args: { q: "" } }, (was, args) => was.response.API(args));
  const client = back.makeClient();
  for (const value of ["a b", "a/b?c#d", "é%20&=+", "..;"]) {
    const { data } = await client.get(back.buildUrl("back", value, value));
    assert.deepEqual(data, { name: value, q: value });
  }
});

Deno.test("URL-03 URL-08 ATL-14 the fixed text of a rule is encoded, too", async () => {
  const app = new Atila(import.meta.url);
  app.route("/é b/", { name: "plain" }, () => "plain");
  app.route("/100%/was?/<name>", { name: "user" }, (_was, { name }) => name);
  app.route("/%C3%A9/x", { name: "escaped" }, () => "escaped");
  app.route("/base", (was) => was.basepath("user"));
  const client = app.makeClient();
  assert.equal(app.buildUrl("plain"), "/%C3%A9%20b/");
  assert.equal(app.buildUrl("user", "kim"), "/100%25/was%3F/kim");
  assert.equal(app.buildUrl("escaped"), "/%C3%A9/x");
  assert.equal((await client.get("/base")).text, "/100%25/was%3F/");
  assert.equal((await client.get(app.buildUrl("plain"))).text, "plain");
  assert.equal((await client.get(app.buildUrl("user", "kim"))).text, "kim");
  const moved = await app.makeClient("/m").get("/%C3%A9%20b?q=1");
  assert.deepEqual([moved.statusCode, moved.headers.get("location")], [
    301,
    "/m/%C3%A9%20b/?q=1",
  ]);
});

Deno.test("URL-03 URL-04 dates are the same in a path and a query, objects are a mistake", () => {
  const app = math();
  const at = new Date(0);
  assert.equal(app.buildUrl("hello", at), "/math/hello/1970-01-01T00%3A00%3A00.000Z");
  assert.equal(app.buildUrl("add", at), "/math/add?num1=1970-01-01T00%3A00%3A00.000Z");
  assert.equal(app.buildUrl("hello", "\ud800"), "/math/hello/%EF%BF%BD");
  assert.throws(() => app.buildUrl("add", { num1: 1 }), /"num1" is an object.*\{ named/);
  assert.throws(() => app.buildUrl("add", { named: null }), /"num1" is an object/);
  assert.throws(() => app.buildUrl("hello", { name: "x" }), /"name" is an object/);
});

Deno.test("URL-04 unknown names and values that do not fit throw", () => {
  const app = math();
  assert.throws(() => app.buildUrl("nothing"), ReferenceError);
  assert.throws(() => app.buildUrl("add", 1, 2, 3), /3 values for 2 arguments/);
  assert.throws(
    () => app.buildUrl("add", { named: { other: 1 } }),
    /no argument is called "other"/,
  );
  assert.throws(() => app.buildUrl("add", 1, { named: { num1: 1 } }), /given twice/);
});

Deno.test("URL-05 a name that starts with a slash is a path below the mount", () => {
  assert.equal(math().buildUrl("/css/home.css"), "/math/css/home.css");
});

Deno.test("URL-06 by the function itself", () => {
  const app = math();
  const handler = app.route("/by/<id>", () => "");
  assert.equal(app.buildUrl(handler, "x"), "/math/by/x");
  assert.throws(() => app.buildUrl(() => ""), ReferenceError);
});
