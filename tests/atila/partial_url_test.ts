import assert from "node:assert/strict";
import { Atila } from "../../src/atila/mod.ts";

const here = import.meta.url;

Deno.test("URL-07 a partial URL keeps the arguments of the request but those named", async () => {
  const app = new Atila(here);
  app.route(
    "/list/<kind>",
    { args: { pageno: 1, sort: "date", tag: [] } },
    function list(was) {
      return JSON.stringify([
        was.partial("list", { pageno: 3 }),
        was.partial("list"),
        was.partial("list", { sort: null, kind: "two words" }),
        was.partial(list, { tag: ["x"] }),
      ]);
    },
  );
  app.route("/any", function any(was) {
    return was.partial("any", { b: 2 });
  });
  app.route("/other/<kind>", { args: { sort: "" } }, () => "");
  app.route("/cross/<kind>", { args: { sort: "name", more: "" } }, function cross(was) {
    return was.partial("list", { pageno: 2 });
  });
  const client = app.makeClient("/m/");
  const { data } = await client.get("/list/red?sort=na%20me&tag=a&tag=b");
  assert.deepEqual(
    JSON.parse(data),
    [
      "/m/list/red?pageno=3&sort=na+me&tag=a&tag=b",
      "/m/list/red?pageno=1&sort=na+me&tag=a&tag=b",
      "/m/list/two_words?pageno=1&tag=a&tag=b",
      "/m/list/red?pageno=1&sort=na+me&tag=x",
    ].map((url) => order(url)),
  );
  assert.equal((await client.get("/any?a=1&b=1")).text, "/m/any?a=1&b=2");
  assert.equal(
    (await client.get("/cross/k?more=1")).text,
    "/m/list/k?sort=name&pageno=2",
    "what the other handler does not know is left out",
  );
  assert.equal((await client.post("/any", { a: 5 })).text, "/m/any?a=5&b=2");
});

/** Query arguments stand in the order the request gave them. */
function order(url: string): string {
  const [path, query] = url.split("?") as [string, string];
  const rank = ["sort", "tag", "pageno"];
  const parts = query.split("&");
  const sorted = rank.flatMap((name) => parts.filter((part) => part.startsWith(`${name}=`)));
  return `${path}?${sorted.join("&")}`;
}

Deno.test("URL-07 a query that names a parameter of the path changes nothing", async () => {
  const app = new Atila(here);
  app.route("/<int:id>", { args: { page: 1 } }, function item(was) {
    return was.partial("item", { page: 3 });
  });
  assert.equal((await app.makeClient().get("/5?id=6")).text, "/5?page=3");
});

Deno.test("URL-07 what has no place in a URL is left out: objects, and the hidden field of forms", async () => {
  const app = new Atila(here);
  app.route("/", function any(was) {
    return was.partial("any", { b: 2 });
  });
  const client = app.makeClient();
  const data = { a: 1, deep: { x: 1 }, list: [{ x: 1 }], _csrf_token: "secret" };
  assert.equal((await client.post("/", data)).text, "/?a=1&b=2");
});

Deno.test("URL-07 ATL-25 a file that was uploaded has no place in a URL, nor have lists of lists", async () => {
  const app = new Atila(here);
  app.route("/", function upload(was) {
    return was.partial("upload", { page: 2 });
  });
  const client = app.makeClient();
  const form = new FormData();
  form.set("file", new File(["content"], "a.txt"));
  form.set("note", "x");
  assert.equal((await client.post("/", form)).text, "/?note=x&page=2");
  assert.equal((await client.post("/", { a: [[1, 2], [3]], b: [1, 2] })).text, "/?b=1&b=2&page=2");
});

Deno.test("URL-07 unknown handlers and arguments throw", async () => {
  const app = new Atila(here);
  app.route("/x/<int:id>", { args: { a: "" } }, function x(was) {
    const attempts = [() => was.partial("nobody"), () => was.partial("x", { id: "seven" })];
    return JSON.stringify(attempts.map((attempt) => {
      try {
        return attempt();
      } catch (error) {
        return (error as Error).name;
      }
    }));
  });
  const { text } = await app.makeClient().get("/x/1");
  assert.deepEqual(JSON.parse(text), ["ReferenceError", "TypeError"]);
});

Deno.test("URL-08 the base path of a handler ends before its first parameter", async () => {
  const app = new Atila(here);
  app.route("/user/<id>", function user() {
    return "";
  });
  app.route("/a/<int:b>/c/<d>", function deep() {
    return "";
  });
  app.route("/files/<path:rest>", function files() {
    return "";
  });
  app.route("/<first>", function first() {
    return "";
  });
  app.route("/plain/", function plain() {
    return "";
  });
  app.route("/", (was) => {
    const names = ["user", "deep", "files", "first", "plain"];
    return JSON.stringify([names.map((name) => was.basepath(name)), was.baseurl("user")]);
  });
  assert.deepEqual(JSON.parse((await app.makeClient("/m").get("/")).text), [
    ["/m/user/", "/m/a/", "/m/files/", "/m/", "/m/plain/"],
    "/m/user/",
  ]);
});
