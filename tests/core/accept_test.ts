import assert from "node:assert/strict";
import { acceptsJson, preferredCoding } from "../../src/core/accept.ts";

Deno.test("HTTP-21 gzip is preferred, weights and refusals are respected", () => {
  const cases: [string | null, string | undefined][] = [
    [null, undefined],
    ["", undefined],
    ["gzip", "gzip"],
    ["x-gzip", "gzip"],
    ["GZIP, deflate, br", "gzip"],
    ["deflate, gzip", "gzip"],
    ["deflate", "deflate"],
    ["br", undefined],
    ["br, *", "gzip"],
    ["*;q=0", undefined],
    ["gzip;q=0", undefined],
    ["gzip;q=0, deflate", "deflate"],
    ["gzip;q=0, *", "deflate"],
    ["gzip;q=0.5, deflate;q=0.8", "deflate"],
    ["gzip ; q=0.5 , identity ; q=1", undefined],
    ["identity;q=0.2, gzip;q=0.5", "gzip"],
    ["gzip;q=nonsense", undefined],
    ["gzip;q=2", undefined],
    [",,gzip,,", "gzip"],
  ];
  for (const [header, coding] of cases) {
    assert.equal(preferredCoding(header), coding, String(header));
    assert.equal(preferredCoding(header), coding, `${header} remembered`);
  }
});

Deno.test("HTTP-21 any number of different headers is answered right", () => {
  for (let i = 0; i < 1000; i++) assert.equal(preferredCoding(`x${i}, deflate`), "deflate");
});

Deno.test("HTTP-24 JSON goes to clients that name it and do not like HTML better", () => {
  const cases: [string | null, boolean][] = [
    [null, false],
    ["*/*", false],
    ["application/*", false],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false],
    ["application/json", true],
    ["Application/JSON; charset=utf-8", true],
    ["application/json, text/plain, */*", true],
    ["text/html, application/json;q=0.9", false],
    ["text/html;q=0.5, application/json;q=0.9", true],
    ["application/json;q=0", false],
  ];
  for (const [header, json] of cases) assert.equal(acceptsJson(header), json, String(header));
});
