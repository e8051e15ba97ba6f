import { deepEqual, equal, notEqual } from "node:assert/strict";
import { concatBytes, joinBytes } from "../../src/core/concat_bytes.ts";

Deno.test("bytes are put together in order, one piece as it is only where that is wanted", () => {
  const [one, two] = [new Uint8Array([1, 2]), new Uint8Array([3])];
  deepEqual([...concatBytes([one, new Uint8Array(0), two])], [1, 2, 3]);
  deepEqual([...concatBytes([])], []);
  notEqual(concatBytes([one]), one);
  equal(joinBytes([one], 2), one);
  deepEqual([...joinBytes([one, two], 3)], [1, 2, 3]);
  deepEqual([...joinBytes([])], []);
});
