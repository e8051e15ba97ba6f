import assert from "node:assert/strict";
import { httpDate, parseHttpDate } from "../../src/core/http_date.ts";

const SAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

Deno.test("HTTP-28 all three forms of a date are read", () => {
  assert.equal(httpDate(SAMPLE + 999), "Sun, 06 Nov 1994 08:49:37 GMT");
  assert.equal(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"), SAMPLE);
  assert.equal(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT"), SAMPLE);
  assert.equal(parseHttpDate("Sun Nov  6 08:49:37 1994"), SAMPLE);
  const year = new Date().getUTCFullYear() + 1;
  assert.equal(
    parseHttpDate(`Sunday, 06-Nov-${String(year % 100).padStart(2, "0")} 08:49:37 GMT`),
    Date.UTC(year, 10, 6, 8, 49, 37),
  );
});

Deno.test("HTTP-28 anything else is no date", () => {
  for (
    const text of [
      "",
      "yesterday",
      "1994-11-06T08:49:37Z",
      "Sun, 06 Nov 1994 08:49:37 +0100",
      "Sun, 31 Feb 1994 08:49:37 GMT",
      "Sun, 06 Abc 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 25:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
    ]
  ) assert.equal(parseHttpDate(text), undefined, text);
});
