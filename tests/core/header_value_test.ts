import assert from "node:assert/strict";
import { parseHeaderValue } from "../../src/core/header_value.ts";

Deno.test("UPL-01 parameters of a header are read, and what is none is passed over", () => {
  const { value, parameters } = parseHeaderValue(
    'Form-Data; x; y ;; NAME="a\\"b;c=d"; name=second; z; filename = b c.txt ;w',
  );
  assert.equal(value, "form-data");
  assert.deepEqual([...parameters], [["name", 'a"b;c=d'], ["filename", "b c.txt"]]);
});

Deno.test("UPL-01 a header of nothing but semicolons takes no longer for it", () => {
  // Looking for an equals sign from each of them would take hours.
  const many = ";".repeat(20_000_000);
  assert.deepEqual([...parseHeaderValue(`form-data${many}name=a`).parameters], [["name", "a"]]);
  assert.equal(parseHeaderValue(`form-data${many}`).parameters.size, 0);
});
