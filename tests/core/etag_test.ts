import assert from "node:assert/strict";
import { etagMatches, fileEtag, weakEtag } from "../../src/core/etag.ts";

Deno.test("HTTP-27 a file tag is quoted and changes with size and time", () => {
  assert.match(fileEtag(10, 1000), /^"[0-9a-f]+-[0-9a-f]+"$/);
  assert.notEqual(fileEtag(10, 1000), fileEtag(11, 1000));
  assert.notEqual(fileEtag(10, 1000), fileEtag(10, 1001));
  assert.equal(weakEtag('"a"'), 'W/"a"');
  assert.equal(weakEtag('W/"a"'), 'W/"a"');
});

Deno.test("HTTP-27 lists, stars and weak tags are compared as HTTP wants it", () => {
  const cases: [string, string, boolean, boolean][] = [
    ['"a"', '"a"', true, true],
    ['"a"', '"b"', false, false],
    ["*", '"a"', true, true],
    [' "x" , "a" ', '"a"', true, true],
    ['W/"a"', '"a"', true, false],
    ['"a"', 'W/"a"', true, false],
    ['W/"a"', 'W/"a"', true, false],
    ['"x", W/"a", "y"', '"a"', true, false],
    ['"x,y", "a"', '"a"', true, true],
    ['"x,a"', '"a"', false, false],
    [',, "a"', '"a"', true, true],
    ["a", '"a"', false, false],
    ['w/"a"', '"a"', false, false],
    ['"unfinished', '"a"', false, false],
    ["", '"a"', false, false],
  ];
  for (const [header, etag, weak, strong] of cases) {
    assert.equal(etagMatches(header, etag), weak, `weak ${header} ${etag}`);
    assert.equal(etagMatches(header, etag, "strong"), strong, `strong ${header} ${etag}`);
  }
});
