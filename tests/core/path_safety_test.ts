import assert from "node:assert/strict";
import { fileNameOf, isHidden } from "../../src/core/path_safety.ts";

Deno.test("HTTP-32 ordinary names are decoded once", () => {
  const cases: [string, string][] = [
    ["/", ""],
    ["/a.css", "a.css"],
    ["/dir/", "dir/"],
    ["/a%20b/%ED%95%9C.txt", "a b/한.txt"],
    ["/a%252e.txt", "a%2e.txt"],
    ["/..a/b..", "..a/b.."],
    ["/a+b", "a+b"],
    ["/.well-known/x", ".well-known/x"],
  ];
  for (const [path, name] of cases) assert.deepEqual(fileNameOf(path), { name }, path);
});

Deno.test("HTTP-32 no spelling leads out of the directory", () => {
  for (
    const path of [
      "/../etc/passwd",
      "/a/../../etc/passwd",
      "/..",
      "/.",
      "/a/.",
      "/a/..",
      "/a/./b",
      "/a./b",
      "//etc/passwd",
      "/a//b",
      "/%2e%2e/etc/passwd",
      "/%2E%2E%2Fetc/passwd",
      "/..%2fetc/passwd",
      "/%2fetc/passwd",
      "/..%5c..%5cetc",
      "/..\\etc",
      "/a%00.html",
      "/a%0d%0ab",
      "/%7f",
    ]
  ) assert.deepEqual(fileNameOf(path), { refused: "unsafe" }, path);
  assert.deepEqual(fileNameOf("/c:/x", true), { refused: "unsafe" });
  assert.deepEqual(fileNameOf("/c:/x", false), { name: "c:/x" });
});

Deno.test("HTTP-32 what cannot be decoded, or has a slash within a name, is no file", () => {
  for (const path of ["/%", "/%zz", "/100%", "/%c0%ae%c0%ae/x", "/%e9", "/a%2Fb", "/a%2fb.txt"]) {
    assert.deepEqual(fileNameOf(path), { refused: "undecodable" }, path);
  }
});

Deno.test("HTTP-32 hidden files are told from public ones", () => {
  for (const name of [".git/config", ".env", "a/.htaccess", ".well-known/.x", ".well-knownx"]) {
    assert.equal(isHidden(name), true, name);
  }
  for (const name of ["", "a.b", "a/b.c", ".well-known/security.txt", ".well-known", "..a/b"]) {
    assert.equal(isHidden(name), name === "..a/b", name);
  }
});
