import assert from "node:assert/strict";
import { parseAuthorization, parseParameters } from "../../src/atila/auth/authorization_header.ts";

Deno.test("AUTH-05 AUTH-06 AUTH-09 credentials are taken apart, however many blanks stand between", () => {
  assert.equal(parseAuthorization(null), undefined);
  assert.equal(parseAuthorization(""), undefined);
  assert.equal(parseAuthorization("Basic(x)"), undefined);
  assert.deepEqual(parseAuthorization(" BASIC "), { scheme: "basic", rest: "" });
  assert.deepEqual(parseAuthorization("Bearer \t a  b "), { scheme: "bearer", rest: "a  b" });
  // What takes a step for each pair of blanks would not come to an end here.
  const blanks = " ".repeat(1_000_000);
  assert.equal(parseAuthorization(`Basic a${blanks}b${blanks}`)!.rest, `a${blanks}b`);
  assert.equal(parseAuthorization(`Basic${blanks}a`)!.rest, "a");
});

Deno.test("AUTH-06 parameters are read, or refused as a whole, however many blanks stand between", () => {
  const read = (text: string) => {
    const parameters = parseParameters(text);
    return parameters && Object.fromEntries(parameters);
  };
  assert.deepEqual(read(""), {});
  assert.deepEqual(read(`A=b, c = "d, \\"e\\"" ,f=`), { a: "b", c: `d, "e"`, f: "" });
  assert.deepEqual(read(", ,a=b,,"), { a: "b" });
  for (const malformed of ["a", "=b", "a=b c", `a="b`, `a="b\\`, `a="b"c`, "a=b,A=c", `a=b"`]) {
    assert.equal(read(malformed), undefined, malformed);
  }
  const blanks = " ".repeat(1_000_000);
  for (const before of ["", "a=b,", "a", "a=", "a=b", `a="b"`]) {
    assert.equal(read(`${before}${blanks}"`), undefined, before);
  }
  assert.deepEqual(read(`a${blanks}=${blanks}b${blanks},`), { a: "b" });
});
