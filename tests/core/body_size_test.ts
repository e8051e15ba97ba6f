import assert from "node:assert/strict";
import {
  bodySizeOf,
  declareBodySize,
  installBodyMeter,
  knownResponse,
  SharedBody,
  sharedBodyOf,
  sharedResponse,
  staticBodyOf,
} from "../../src/core/body_size.ts";

const Native = globalThis.Response;
installBodyMeter();
installBodyMeter();

Deno.test("LOG-07 HTTP-21 the size of a body is known without reading it", async () => {
  const euro = "€".repeat(10);
  const cases: [Response, number | undefined, string | undefined][] = [
    [new Response(euro), 30, euro],
    [new Response(""), 0, ""],
    [new Response(), 0, undefined],
    [new Response(null, { status: 204 }), 0, undefined],
    [Response.json({ a: 1 }), 7, '{"a":1}'],
    [new Response(new TextEncoder().encode("abc")), 3, "abc"],
    [new Response(new TextEncoder().encode("abc").buffer), 3, "abc"],
    [new Response(new DataView(new TextEncoder().encode("xabcx").buffer, 1, 3)), 3, "abc"],
    [new Response(new URLSearchParams({ a: "b c" })), 5, "a=b+c"],
    [new Response(new Blob(["four"])), 4, undefined],
    [new Response(new Blob(["x"]).stream()), undefined, undefined],
    [
      new Response(new Blob(["12345"]).stream(), { headers: { "content-length": "5" } }),
      5,
      undefined,
    ],
    [declareBodySize(new Response(new Blob(["123456"]).stream()), 6), 6, undefined],
    [knownResponse("known", { status: 201 }), 5, "known"],
    [sharedResponse(new SharedBody("€"), {}), 3, "€"],
    [sharedResponse(new SharedBody(new TextEncoder().encode("abc")), {}), 3, "abc"],
    [new Native("elsewhere"), undefined, undefined],
  ];
  for (const [res, size, text] of cases) {
    assert.equal(bodySizeOf(res), size);
    const body = staticBodyOf(res);
    assert.equal(typeof body === "object" ? new TextDecoder().decode(body) : body, text);
    await res.body?.cancel();
  }
});

Deno.test("LOG-07 a body that was read is not offered again", async () => {
  const res = new Response("once");
  assert.equal(await res.text(), "once");
  assert.equal(staticBodyOf(res), undefined);
  assert.equal(bodySizeOf(res), 4);
});

Deno.test("HTTP-34 shared content keeps its identity from response to response", async () => {
  const shared = new SharedBody("text");
  const first = sharedResponse(shared, { status: 203 });
  assert.equal(first.status, 203);
  assert.equal(sharedBodyOf(first), shared);
  assert.equal(sharedBodyOf(sharedResponse(shared, {})), shared);
  assert.equal(sharedBodyOf(new Response("text")), undefined);
  assert.equal(await first.text(), "text");
  assert.equal(sharedBodyOf(first), undefined);
});

Deno.test("LOG-07 bytes may be reused by the caller after the response was made", async () => {
  const bytes = new TextEncoder().encode("before");
  const res = new Response(bytes);
  bytes.fill(120);
  assert.equal(new TextDecoder().decode(staticBodyOf(res) as Uint8Array), "before");
  assert.equal(await res.text(), "before");
  assert.equal(bodySizeOf(new Response(new Uint8Array(2 ** 20 + 1))), 2 ** 20 + 1);
  assert.equal(staticBodyOf(new Response(new Uint8Array(2 ** 20 + 1))), undefined);
});

Deno.test("LOG-07 the class behaves as the platform's own", async () => {
  assert.notEqual(Response, Native);
  assert.ok(new Response("x") instanceof Response);
  assert.ok(new Response("x") instanceof Native);
  assert.ok(new Native("x") instanceof Response);
  assert.ok(
    await fetch("data:text/plain,x").then((res) => res.text().then(() => res)) instanceof Response,
  );
  assert.equal(new Response("x").constructor, Response);
  assert.equal(Response.name, "Response");
  assert.equal(Response.length, 0);
  assert.equal(Response.redirect("http://a.example/", 301).status, 301);
  assert.equal(Response.error().type, "error");
  assert.throws(() => (Response as unknown as () => void)(), TypeError);

  class Special extends Response {
    extra = 1;
    shout(): Promise<string> {
      return this.text().then((text) => text.toUpperCase());
    }
  }
  const special = new Special("abc", { status: 201 });
  assert.ok(special instanceof Special && special instanceof Response);
  assert.equal(special.extra, 1);
  assert.equal(bodySizeOf(special), 3);
  assert.equal(await special.shout(), "ABC");
});

Deno.test("LOG-07 Response.json keeps status and headers", async () => {
  const res = Response.json({ a: [1] }, { status: 201, headers: { "x-a": "1" } });
  assert.equal(res.status, 201);
  assert.equal(res.headers.get("content-type"), "application/json");
  assert.equal(res.headers.get("x-a"), "1");
  assert.deepEqual(await res.json(), { a: [1] });
  const named = Response.json(1, { headers: [["content-type", "application/problem+json"]] });
  assert.equal(named.headers.get("content-type"), "application/problem+json");
  assert.equal(Response.json({}, { status: 202 }).headers.get("content-type"), "application/json");
  assert.throws(() => Response.json(undefined), TypeError);
  assert.throws(() => Response.json({}, { status: 204 }), TypeError);
});
