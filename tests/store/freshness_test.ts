import assert from "node:assert/strict";
import CachePolicy from "http-cache-semantics";
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
    [{ expires: "9999" }, 0],
    [{ expires: "2099-01-01" }, 0],
    [{ expires: at(30), date: "9999" }, 30],
    [{ expires: at(30), "cache-control": "max-age=5" }, 5],
    [{ expires: at(30), "cache-control": "max-age=-1" }, 0],
    [{ expires: at(30), "cache-control": "max-age=soon" }, 0],
    [{ "cache-control": "max-age=60, s-maxage=soon" }, 0],
    [{ expires: at(30), "cache-control": "no-store" }, 0],
    [{ "cache-control": "max-age=60", vary: "*" }, 0],
    [{ "cache-control": "max-age=60", vary: "accept, *" }, 0],
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

Deno.test("CACHE-02 CACHE-03 nothing is kept, or kept longer, than http-cache-semantics allows", () => {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  // the same combinations every time
  let state = 20260131;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const directives = [
    ...["max-age=60", "max-age=0", "s-maxage=30", "no-store", "no-cache", "private", "public"],
    ...["must-revalidate", "no-transform", "immutable", 'max-age="90"'],
  ];
  let kept = 0;
  for (let i = 0; i < 5000; i++) {
    const response: Record<string, string> = { date: at(0) };
    const chosen = Array.from({ length: Math.floor(random() * 4) }, () => pick(directives));
    if (chosen.length > 0) response["cache-control"] = chosen.join(", ");
    if (random() < 0.3) response.expires = pick([at(30), at(-5), at(3600), "0"]);
    if (random() < 0.3) response.age = pick(["0", "10", "100"]);
    if (random() < 0.1) response.vary = pick(["*", "accept", "Accept, Cookie"]);
    const request: Record<string, string> = {};
    if (random() < 0.2) request.authorization = "Bearer x";
    if (random() < 0.2) request["cache-control"] = pick(["no-cache", "no-store", "max-age=0"]);
    const status = pick([200, 200, 200, 404, 500]);
    const ours = seconds(response, request, status);
    if (ours === 0) continue;
    kept++;
    const policy = new CachePolicy(
      { method: "GET", url: "/", headers: request },
      { status, headers: response },
      { shared: true, immutableMinTimeToLive: 0, cacheHeuristic: 0 },
    );
    policy.now = () => NOW;
    const where = JSON.stringify({ response, request, status });
    assert.ok(policy.storable(), where);
    // the library counts an age from when it was made
    const theirs = policy.maxAge() - Number(response.age ?? 0);
    assert.ok(ours <= theirs, `${ours} s, allowed are ${theirs}: ${where}`);
  }
  assert.ok(kept > 200, `${kept}`);
});
