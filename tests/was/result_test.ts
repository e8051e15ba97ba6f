import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { Outcome } from "../../src/clients/contract.ts";
import { BackendError, ProtocolError } from "../../src/core/errors.ts";
import { toHeaders } from "../../src/wire/http1_response_parser.ts";
import { Result } from "../../src/was/result.ts";
import { Results } from "../../src/was/results.ts";

function answered(
  type: string | undefined,
  body: string | Uint8Array,
  more: Partial<Outcome> = {},
): Result {
  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const rawHeaders = type === undefined ? [] : ["content-type", type];
  return new Result({
    status: 3,
    statusCode: 200,
    reason: "OK",
    rawHeaders,
    headers: toHeaders(rawHeaders),
    content,
    ...more,
  }, { method: "GET", url: "http://a.test/" });
}

function failed(): Result {
  return new Result({
    status: 2,
    statusCode: 714,
    reason: "Connect Failed",
    headers: new Headers(),
    content: null,
    error: new Error("refused"),
    node: "a.test:80",
  }, { method: "POST", url: "http://a.test/", meta: { k: 1 } });
}

Deno.test("RES-11 data is what the type says", () => {
  const cases: [string | undefined, string, unknown][] = [
    ["application/json", '{"a":[1]}', { a: [1] }],
    ["Application/JSON; charset=utf-8", "null", null],
    ["application/problem+json", '"x"', "x"],
    ["text/html; charset=utf-8", "<p>ä", "<p>ä"],
    ["text/plain", "x", "x"],
    ["application/xml", "<a/>", "<a/>"],
    ["image/svg+xml", "<svg/>", "<svg/>"],
    ["application/x-www-form-urlencoded", "a=b", "a=b"],
    ["application/octet-stream", "x", new TextEncoder().encode("x")],
    [undefined, "x", new TextEncoder().encode("x")],
    ["application/json", "", ""],
    ["text/plain", "", ""],
    ["image/png", "", new Uint8Array()],
  ];
  for (const [type, body, data] of cases) deepEqual(answered(type, body).data, data, type);
  equal(failed().data, null);
  deepEqual(answered(undefined, "", { data: [{ id: 1 }], content: null }).data, [{ id: 1 }]);
  const json = answered("application/json", '{"a":1}');
  equal(json.data, json.data);
  throws(() => answered("application/json", "{no").data, (error) => {
    ok(error instanceof ProtocolError && error.cause instanceof SyntaxError);
    equal(error.message, "The answer of GET http://a.test/ is not JSON");
    return true;
  });
});

Deno.test("RES-12 content, text, json and raw", async () => {
  const result = answered("text/plain", '{"a":1}');
  deepEqual(result.content, new TextEncoder().encode('{"a":1}'));
  equal(result.text, '{"a":1}');
  deepEqual(result.json(), { a: 1 });
  equal(await new Response(result.raw).text(), '{"a":1}');
  equal(await new Response(result.raw).text(), '{"a":1}');
  deepEqual([failed().content, failed().text], [null, ""]);
  equal(await new Response(failed().raw).text(), "");
  const body = ReadableStream.from([new TextEncoder().encode("live")]);
  const stream = answered("text/plain", "", { content: null, body });
  equal(stream.raw, body);
  for (const read of [() => stream.content, () => stream.text, () => stream.data]) {
    throws(read, /requested as a stream, read raw/);
  }
  await stream.raw.cancel();
});

Deno.test("WAS-13 text is decoded by its charset, UTF-8 when there is none or nobody knows it", () => {
  const latin = Uint8Array.of(0x66, 0xfc, 0x72);
  const first = answered("text/plain; charset=ISO-8859-1", latin);
  deepEqual([first.text, first.encoding, first.data], ["für", "windows-1252", "für"]);
  const korean = answered('text/plain; charset="euc-kr"', Uint8Array.of(0xc7, 0xd1));
  deepEqual([korean.text, korean.encoding], ["한", "euc-kr"]);
  deepEqual(answered("text/plain; charset=x-unheard-of", "für").text, "für");
  equal(answered("text/plain", "für").encoding, "utf-8");
  equal(answered("text/plain", "\ufefffür").text, "für");
});

Deno.test("RES-08 RES-09 status, code and reason, under all their names", () => {
  const fine = answered("text/plain", "x", { statusCode: 404, reason: "Not Here" });
  deepEqual(
    [fine.status, fine.statusCode, fine.code, fine.status_code, fine.reason],
    [3, 404, 404, 404, "Not Here"],
  );
  deepEqual([failed().status, failed().statusCode], [2, 714]);
});

Deno.test("RES-13 headers: any case, lists, defaults, parameters", () => {
  const rawHeaders = [
    ...["content-type", 'Text/HTML; Charset="utf-8"; x=a\\b ;y = "q\\"q"'],
    ...["set-cookie", "a=1, b", "set-cookie", "c=2", "x-a", "1"],
  ];
  const result = answered(undefined, "", { rawHeaders, headers: toHeaders(rawHeaders) });
  equal(result.headers.get("X-A"), "1");
  equal(result.getHeader("X-a"), "1");
  equal(result.getHeader("x-b"), undefined);
  equal(result.getHeader("x-b", "default"), "default");
  equal(result.get_header("x-a"), "1");
  deepEqual(result.getHeaderList("Set-Cookie"), ["a=1, b", "c=2"]);
  deepEqual(result.getHeaderList("x-b"), []);
  const [type, attributes] = result.getHeaderWithAttr("Content-Type");
  equal(type, "Text/HTML");
  deepEqual({ ...attributes }, { charset: "utf-8", x: "a\\b", y: 'q"q' });
  deepEqual(result.getHeaderWithAttr("x-b")[0], "");
  const plain = answered(undefined, "", {
    rawHeaders: undefined,
    headers: new Headers({ a: "1" }),
  });
  deepEqual([plain.getHeaderList("a"), plain.getHeaderList("b")], [["1"], []]);
});

Deno.test("RES-14 WAS-14 facts of the request", () => {
  const result = failed();
  deepEqual(
    [result.url, result.method, result.version, result.meta, result.history, result.node],
    ["http://a.test/", "POST", "", { k: 1 }, [], "a.test:80"],
  );
  deepEqual(answered("text/plain", "").meta, {});
  const url = "http://user:secret@b.test/x@y";
  const chain = answered("text/plain", "", {
    url,
    version: "1.1",
    history: [{
      status: 3,
      statusCode: 302,
      reason: "Found",
      headers: new Headers(),
      content: null,
    }],
  });
  deepEqual([chain.url, chain.version], ["http://b.test/x@y", "1.1"]);
  deepEqual(chain.history.map((one) => one.statusCode), [302]);
  const outcome = { status: 3, statusCode: 200, reason: "", headers: new Headers(), content: null };
  const database = new Result({ ...outcome, data: [] } as Outcome, {
    ...{ method: "EXECUTE", url: "@db", server: "db.test", dbname: "shop", params: [1] },
  });
  deepEqual([database.server, database.dbname, database.params], ["db.test", "shop", [1]]);
});

Deno.test("RES-15 reraise returns itself or throws what went wrong", () => {
  const fine = answered("text/plain", "", { statusCode: 299 });
  equal(fine.reraise(), fine);
  equal(fine.raiseForStatus(), fine);
  equal(fine.raise_for_status(), fine);
  throws(() => failed().reraise(), { message: "refused" });
  for (const statusCode of [300, 404, 500]) {
    const result = answered("text/plain", "", { statusCode, reason: "So" });
    throws(() => result.raiseForStatus(), (error) => {
      ok(error instanceof BackendError);
      equal(error.message, `GET http://a.test/ answered ${statusCode} So`);
      deepEqual([error.statusCode, error.code], [statusCode, `HTTP_${statusCode}`]);
      return true;
    });
  }
});

Deno.test("RES-03 a list of results has columns", () => {
  const results = new Results([answered("text/plain", "a"), failed()]);
  deepEqual([...results].length, 2);
  deepEqual([results.length, results.status, results.status_code, results.data], [
    ...[2, [3, 2], [200, 714], ["a", null]],
  ]);
  equal(results.at(-1)?.status, 2);
  throws(() => results.reraise(), { message: "refused" });
});

Deno.test("RES-12 CACHE-06 json() of a failed request says why it failed; cacheIf is a list", () => {
  throws(() => failed().json(), /^Error: refused$/);
  throws(() => answered("text/plain", "x").json(), ProtocolError);
  throws(() => failed().cache(60, 200 as never), /cacheIf is a list of codes, not 200/);
});
