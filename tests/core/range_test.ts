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
