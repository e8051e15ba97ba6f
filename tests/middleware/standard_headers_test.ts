import assert from "node:assert/strict";
import { installBodyMeter } from "../../src/core/body_size.ts";
import { createContext } from "../../src/core/context.ts";
import { SOFTWARE } from "../../src/core/version.ts";
import { service, setServerHeader } from "../../src/server/service.ts";
import { standardHeaders } from "../../src/middleware/standard_headers.ts";
import { curl, serveHandler } from "../_support/serve_handler.ts";

installBodyMeter();

async function pass(res: Response | Promise<Response>): Promise<Response> {
  const req = new Request("http://h.example/");
  return await standardHeaders(SOFTWARE)(() => res)(req, createContext({ url: req.url }));
}

Deno.test("HTTP-23 every response carries Server, changeable or not", async () => {
  assert.match(SOFTWARE, /^Skitai\/\d+\.\d+$/);
  const fetched = await fetch("data:text/css,a");
  for (
    const res of [
      new Response("x"),
      Response.json({}),
      new Response(null, { status: 204 }),
      new Response(null, { status: 304 }),
      Response.redirect("http://other.example/", 303),
      fetched,
    ]
  ) {
    const passed = await pass(Promise.resolve(res));
    assert.equal(passed.headers.get("server"), SOFTWARE);
    assert.equal(passed.status, res.status);
    await passed.body?.cancel();
  }
  const redirect = await pass(Response.redirect("http://other.example/", 303));
  assert.equal(redirect.headers.get("location"), "http://other.example/");
});

Deno.test("HTTP-23 OPS-28 the version in Server is asked for, and the header can be left out", async () => {
  const recorded = service.serverHeader;
  try {
    assert.equal(recorded, "Skitai");
    setServerHeader("version");
    assert.equal(service.serverHeader, SOFTWARE);
    setServerHeader("name");
    assert.equal(service.serverHeader, "Skitai");
    setServerHeader("off");
    assert.equal(service.serverHeader, "");
    assert.throws(() => setServerHeader("none" as "off"), /setServerHeader.*"none".*"off"/);
  } finally {
    service.serverHeader = recorded;
  }
  const req = new Request("http://h.example/");
  const ctx = createContext({ url: req.url });
  const bare = standardHeaders("");
  assert.equal((await bare(() => new Response("x"))(req, ctx)).headers.get("server"), null);
  const bytes = await bare(() => new Response(new Uint8Array([60])))(req, ctx);
  assert.equal(bytes.headers.get("content-type"), "text/html");
  assert.equal(bytes.headers.get("server"), null);
});

Deno.test("HTTP-23 a body without a type is HTML, everything else keeps what it has", async () => {
  const type = async (res: Response) => {
    const passed = await pass(res);
    await passed.body?.cancel();
    return passed.headers.get("content-type");
  };
  assert.equal(await type(new Response(new Uint8Array([60]))), "text/html");
  assert.equal(await type(new Response(new Blob(["x"]).stream())), "text/html");
  assert.equal(await type(new Response("x")), "text/plain;charset=UTF-8");
  assert.equal(await type(new Response(null)), null);
  assert.equal(await type(new Response(null, { status: 204 })), null);
  assert.equal(
    await type(new Response("a", { headers: { "content-type": "text/css" } })),
    "text/css",
  );
});

Deno.test("HTTP-23 on the wire there is one Server and one Date", async () => {
  await using server = serveHandler(standardHeaders(SOFTWARE)(() => new Response("x")));
  const head = await curl("-D", "-", "-o", "/dev/null", server.url);
  assert.equal(head.match(/^server: Skitai\/\d+\.\d+\r$/gim)?.length, 1);
  assert.equal(head.match(/^date: .* GMT\r$/gim)?.length, 1);
});
