import assert from "node:assert/strict";
import * as nodePath from "node:path";
import * as nodeUrl from "node:url";
import * as own from "../../src/core/file_path.ts";

const PARTS = [
  "",
  "/",
  "//",
  ".",
  "..",
  "a",
  "bc.ts",
  ".x",
  "..y",
  "z.",
  "a b",
  "ü",
  "%2e",
  "%",
  "?q",
];
const MORE = [
  "#h",
  "\\",
  "\t",
  ".tar.gz",
  "'\"<>`{}^|",
  "~",
  "[c]:",
  "\n\r",
  "@$&+,;=!*()",
  "\u007f\u0001",
  "\u{1f600}",
];

/** Texts of up to four parts, with slashes between some of them. */
function* paths(): Generator<string> {
  const all = [...PARTS, ...MORE];
  for (const one of all) {
    for (const two of all) {
      yield one + two;
      yield `${one}/${two}`;
      yield `/${one}/${two}/`;
      for (const three of PARTS) {
        yield `${one}/${two}/${three}`;
        yield `${one}${two}//${three}/../${one}`;
      }
    }
  }
}

Deno.test("paths are the ones that Node works out", () => {
  for (const path of paths()) {
    for (const name of ["normalize", "dirname", "basename", "extname", "isAbsolute"] as const) {
      assert.equal(own[name](path), nodePath[name](path), `${name}(${JSON.stringify(path)})`);
    }
    assert.equal(own.resolve(path), nodePath.resolve(path), path);
    assert.equal(own.resolve("/x/y", path), nodePath.resolve("/x/y", path), path);
    assert.equal(own.resolve(path, "", "n"), nodePath.resolve(path, "", "n"), path);
    assert.equal(own.join(path, "../n", path), nodePath.join(path, "../n", path), path);
    assert.equal(own.join("", path), nodePath.join("", path), path);
    assert.equal(own.join("a", path, ""), nodePath.join("a", path, ""), path);
    assert.equal(own.pathToFileURL(path).href, nodeUrl.pathToFileURL(path).href, path);
    const url = nodeUrl.pathToFileURL(path);
    assert.equal(own.fileURLToPath(url), nodeUrl.fileURLToPath(url), path);
    assert.equal(own.fileURLToPath(url.href), nodeUrl.fileURLToPath(url.href), path);
    const extension = own.extname(path);
    assert.equal(own.basename(path, extension), nodePath.basename(path, extension), path);
  }
  assert.equal(own.join(), nodePath.join());
  assert.equal(own.resolve(), nodePath.resolve());
});

Deno.test("URLs that are no paths are refused with the errors of Node", () => {
  for (const url of ["http://a/b", "file:///a%2Fb", "file://host/a", "nothing", "file:///%zz"]) {
    const expected = errorOf(() => nodeUrl.fileURLToPath(url));
    assert.notEqual(expected, undefined, url);
    assert.equal(errorOf(() => own.fileURLToPath(url)), expected, url);
  }
});

function errorOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as Error).name;
  }
}
