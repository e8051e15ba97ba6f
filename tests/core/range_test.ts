import assert from "node:assert/strict";
import { parseRange } from "../../src/core/range.ts";

Deno.test("HTTP-29 one range of bytes is read, clipped, refused or ignored", () => {
  const cases: [string, number, [number, number] | "unsatisfiable" | undefined][] = [
    ["bytes=0-0", 10, [0, 0]],
    ["bytes=2-5", 10, [2, 5]],
    ["bytes=2-", 10, [2, 9]],
    ["bytes=2-99", 10, [2, 9]],
    ["bytes=-3", 10, [7, 9]],
    ["bytes=-99", 10, [0, 9]],
    ["Bytes = 2 - 5", 10, [2, 5]],
    ["bytes=10-", 10, "unsatisfiable"],
    ["bytes=99999999999999999999-", 10, "unsatisfiable"],
    ["bytes=-0", 10, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=-5", 0, "unsatisfiable"],
    ["bytes=5-2", 10, undefined],
    ["bytes=-", 10, undefined],
    ["bytes=a-b", 10, undefined],
    ["bytes=0-1,3-4", 10, undefined],
    ["items=0-1", 10, undefined],
    ["bytes =\t2\t-\t5\t", 10, [2, 5]],
    ["bytes= 2 3 - 5", 10, undefined],
    ["", 10, undefined],
  ];
  for (const [header, size, expected] of cases) {
    const range = parseRange(header, size);
    assert.deepEqual(
      typeof range === "object" ? [range.start, range.end] : range,
      expected,
      `${header} of ${size}`,
    );
  }
});

Deno.test("HTTP-29 a long range of blanks or digits is read in time", () => {
  const blanks = " ".repeat(2_000_000);
  // What takes the square of the length would need hours for each of these.
  assert.equal(parseRange(`bytes=${blanks}x`, 10), undefined);
  assert.equal(parseRange(`bytes=1${blanks}x`, 10), undefined);
  assert.equal(parseRange(`bytes=1-${blanks}x`, 10), undefined);
  assert.equal(parseRange(`bytes=1-2${blanks}x`, 10), undefined);
  assert.deepEqual(parseRange(`bytes=${blanks}1${blanks}-${blanks}2${blanks}`, 10), {
    start: 1,
    end: 2,
  });
  assert.equal(parseRange(`bytes=${"9".repeat(2_000_000)}-`, 10), "unsatisfiable");
});
