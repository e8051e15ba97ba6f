import assert from "node:assert/strict";
import { readRequest, readResponse } from "../../src/store/freshness.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const at = (seconds: number) => new Date(NOW + seconds * 1000).toUTCString();
const of = (headers: Record<string, string>) => (name: string) => headers[name];

function seconds(
  response: Record<string, string>,
  request: Record<string, string> = {},
  status = 200,
): number {
  return readResponse(status, of(response), readRequest("GET", of(request)), NOW).seconds;
}

Deno.test("CACHE-02 how long a response may be kept", () => {
  const table: [Record<string, string>, number][] = [
    [{}, 0],
    [{ "cache-control": "max-age=60" }, 60],
    [{ "cache-control": "public, MAX-AGE = 60" }, 60],
    [{ "cache-control": 'max-age="60"' }, 60],
    [{ "cache-control": "max-age=60, max-age=10" }, 10],
    [{ "cache-control": "max-age=60, s-maxage=5" }, 5],
    [{ "cache-control": "max-age=60", age: "20" }, 40],
    [{ "cache-control": "max-age=60", age: "60" }, 0],
    [{ "cache-control": "max-age=0" }, 0],
    [{ "cache-control": "max-age=-5" }, 0],
    [{ "cache-control": "max-age=soon" }, 0],
    [{ "cache-control": "max-age=60, no-store" }, 0],
    [{ "cache-control": "max-age=60, no-cache" }, 0],
    [{ "cache-control": "max-age=60, private" }, 0],
    [{ "cache-control": 'private="x-y", max-age=60' }, 0],
    [{ expires: at(30), date: at(0) }, 30],
    [{ expires: at(30) }, 30],
    [{ expires: at(30), date: at(10) }, 20],
    [{ expires: at(-1) }, 0],
    [{ expires: "0" }, 0],
    [{ expires: at(30), "cache-control": "max-age=5" }, 5],
    [{ expires: at(30), "cache-control": "no-store" }, 0],
    [{ "cache-control": "max-age=60", vary: "*" }, 0],
    [{ "cache-control": "max-age=60", vary: "accept" }, 60],
    [{ "cache-control": "max-age=60", "set-cookie": "a=1" }, 0],
    [{ "cache-control": "public, max-age=60", "set-cookie": "a=1" }, 0],
    [{ "cache-control": "max-age=99999999999" }, 2 ** 31],
  ];
  for (const [headers, expected] of table) {
    assert.equal(seconds(headers), expected, JSON.stringify(headers));
  }
  const fine = { "cache-control": "max-age=60" };
  for (const status of [201, 206, 301, 404, 500]) assert.equal(seconds(fine, {}, status), 0);
});

Deno.test("CACHE-03 which requests have to do with the cache", () => {
  const of = (headers: Record<string, string>, method = "GET") => {
    const { reads, writes } = readRequest(method, (name) => headers[name]);
    return `${reads ? "reads" : ""} ${writes ? "writes" : ""}`.trim();
  };
  assert.equal(of({}), "reads writes");
  for (
    const headers of [
      { pragma: "no-cache" },
      { "cache-control": "no-cache" },
      { "cache-control": "max-age=0" },
    ]
  ) assert.equal(of(headers as unknown as Record<string, string>), "writes");
  assert.equal(of({ "cache-control": "no-store" }), "");
  assert.equal(of({ range: "bytes=0-1" }), "");
  assert.equal(of({ upgrade: "websocket" }), "");
  assert.equal(of({}, "POST"), "");
  assert.equal(of({}, "HEAD"), "");
  const kept = { "cache-control": "max-age=60" };
  const shared = { "cache-control": "public, max-age=60" };
  for (const own of [{ cookie: "a=1" }, { authorization: "Bearer x" }]) {
    assert.equal(seconds(kept, own as unknown as Record<string, string>), 0);
    assert.equal(seconds(shared, own as unknown as Record<string, string>), 60);
  }
});
