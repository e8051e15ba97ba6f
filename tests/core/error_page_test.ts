import assert from "node:assert/strict";
import { errorInfo, errorResponse, faultOf } from "../../src/core/error_page.ts";
import { SOFTWARE } from "../../src/core/version.ts";

const page = new Request("http://h.example/a/%3Cb%3E?q=<script>");
const api = new Request("http://h.example/a", { headers: { accept: "application/json" } });

Deno.test("HTTP-24 TPL-16 the page names code, message, detail and software, escaped", async () => {
  const res = errorResponse({ req: page, status: 404, detail: 'No <b>"file"</b> & more' });
  const text = await res.text();
  assert.equal(res.status, 404);
  assert.equal(res.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(res.headers.get("cache-control"), "max-age=0");
  assert.ok(text.includes("404") && text.includes("Not Found") && text.includes("Skitai"));
  assert.ok(!text.includes(SOFTWARE), "no version outside debug mode");
  assert.ok(text.includes("No &lt;b&gt;&quot;file&quot;&lt;/b&gt; &amp; more"));
  assert.ok(!text.includes("<script>") && !text.includes("<pre>"));
});

Deno.test("HTTP-24 the stack appears only in debug mode or on purpose", async () => {
  const error = new Error("secret <1>", { cause: new TypeError("deeper") });
  const shown = async (options: object) =>
    await errorResponse({ req: page, status: 500, error, ...options }).text();
  assert.ok(!(await shown({})).includes("secret"));
  for (const options of [{ debug: true }, { expose: true }]) {
    const text = await shown(options);
    assert.ok(text.includes("secret &lt;1&gt;") && text.includes("Caused by: TypeError: deeper"));
    assert.ok(text.includes("error_page_test.ts"));
  }
});

Deno.test("HTTP-24 RSP-17 a client that accepts JSON gets a fault", async () => {
  const plain = errorResponse({ req: api, status: 404, detail: "No such user" });
  assert.equal(plain.headers.get("content-type"), "application/json; charset=utf-8");
  assert.equal(plain.headers.get("cache-control"), "max-age=0");
  assert.deepEqual(await plain.json(), { code: 40400, message: "No such user" });
  const bare = await errorResponse({ req: api, status: 500, error: new Error("x") }).json();
  assert.deepEqual(bare, { code: 50000, message: "Internal Server Error" });
  const debug = await errorResponse({ req: api, status: 500, error: new Error("x"), debug: true })
    .json();
  assert.equal(debug.code, 50090);
  assert.equal(debug.debug, "see traceback");
  assert.equal(debug.traceback[0], "Error: x");
  assert.ok(debug.traceback.length > 1);
});

Deno.test("TPL-16 the error object carries what templates show", () => {
  const info = errorInfo({ req: page, status: 502, reason: "Bad", error: "text" });
  assert.equal(info.code, 502);
  assert.equal(info.message, "Bad");
  assert.equal(info.detail, "");
  assert.equal(info.url, "/a/%3Cb%3E?q=%3Cscript%3E");
  assert.equal(info.software, SOFTWARE);
  assert.equal(info.mode, "normal");
  assert.equal(info.traceback, "");
  assert.ok(!Number.isNaN(Date.parse(info.time)));
  const debug = errorInfo({ req: page, status: 500, error: "text", debug: true });
  assert.equal(debug.mode, "debug");
  assert.ok(debug.traceback.includes("text"));
  assert.equal(faultOf(debug).code, 50090);
});

Deno.test("HTTP-24 headers of the error win, odd reasons and causes do no harm", async () => {
  const loop = new Error("loop");
  loop.cause = loop;
  const res = errorResponse({
    req: page,
    status: 405,
    reason: "Nicht ✓ erlaubt",
    headers: [["allow", "GET"], ["cache-control", "no-store"], ["set-cookie", "a=1"]],
    error: loop,
    debug: true,
  });
  assert.equal(res.statusText, "Nicht ? erlaubt");
  assert.equal(res.headers.get("allow"), "GET");
  assert.equal(res.headers.get("cache-control"), "no-store");
  assert.deepEqual(res.headers.getSetCookie(), ["a=1"]);
  assert.ok((await res.text()).includes("Nicht ✓ erlaubt"));
  assert.equal(errorResponse({ req: page, status: 304 }).body, null);
});

Deno.test("HTTP-24 an error with more headers than a response can carry has no page", () => {
  const headers = Array.from({ length: 600 }, (_, i): [string, string] => [`x-${i}`, "v"]);
  const req = new Request("http://host/");
  assert.throws(() => errorResponse({ req, status: 400, headers }), {
    name: "TypeError",
    message: "Cannot send a response of 600 header fields: 512 are possible",
  });
});
