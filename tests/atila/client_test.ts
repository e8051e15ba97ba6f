import assert from "node:assert/strict";
import { Atila } from "../../src/atila/mod.ts";

Deno.test("TST-08 the in-process client sends every method without a network", async () => {
  const app = new Atila(import.meta.url);
  app.route("/echo", (was) =>
    was.response.API({
      method: was.request.method,
      body: new TextDecoder().decode(was.request.body),
      addr: was.request.getRemoteAddr(),
      prefix: was.env.SCRIPT_NAME,
    }));
  app.route("/text", () => "plain");
  const client = app.makeClient("/point");
  for (const method of ["get", "options"] as const) {
    const { data } = await client[method]("/echo");
    assert.equal(data.method, method.toUpperCase());
    assert.equal(data.prefix, "/point");
  }
  for (const method of ["post", "put", "patch", "delete"] as const) {
    const { data } = await client[method]("/echo", { a: 1 }, { remoteAddr: "10.1.1.1" });
    assert.deepEqual([data.method, data.body, data.addr], [
      method.toUpperCase(),
      '{"a":1}',
      "10.1.1.1",
    ]);
  }
  const head = await client.head("/text");
  assert.deepEqual([head.statusCode, head.text, head.content.length], [200, "", 0]);
  assert.match(head.headers.get("content-type")!, /^text\/html/);
  assert.equal(await (await client.fetch("HEAD", "/text")).text(), "");
  const text = await client.get("/text");
  assert.deepEqual([text.statusCode, text.text, text.data], [200, "plain", "plain"]);
});

Deno.test("TST-08 an answer of the in-process client has a reason, as one over a network has", async () => {
  const app = new Atila(import.meta.url);
  app.route("/text", () => "x");
  app.route("/stream", () => ["x"]);
  app.route("/data", (was) => was.response.API({}));
  app.route("/own", (was) => was.response("201 Just Made", "x"));
  const client = app.makeClient();
  const reasons = ["/text", "/stream", "/data", "/own", "/none"].map(async (path) =>
    (await client.get(path)).reason
  );
  assert.deepEqual(await Promise.all(reasons), ["OK", "OK", "OK", "Just Made", "Not Found"]);
});

Deno.test("TST-08 HTTP-33 the in-process client sends no body for HEAD, and closes what makes it", async () => {
  const app = new Atila(import.meta.url);
  let closed = 0;
  app.route("/stream", () => ({ more: () => "never seen", close: () => void closed++ }));
  app.route("/vendor", (was) => {
    was.response.setHeader("content-type", "application/vnd.api+json");
    return "[1]";
  });
  const client = app.makeClient();
  assert.equal((await client.head("/stream")).text, "");
  assert.equal(closed, 1);
  assert.deepEqual((await client.get("/vendor")).data, [1]);
});

Deno.test("ATL-01 an app answers under bare Deno.serve", async () => {
  const app = new Atila(import.meta.url);
  app.route("/<name>", (was, { name }) => `${name} from ${was.request.getRemoteAddr()}`);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  try {
    const response = await fetch(`http://127.0.0.1:${server.addr.port}/you`);
    assert.equal(await response.text(), "you from 127.0.0.1");
  } finally {
    await server.shutdown();
  }
});
