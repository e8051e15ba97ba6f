import assert from "node:assert/strict";
import { parseCookie, stringifySetCookie } from "cookie";
import { formatSetCookie, parseCookies, rawCookie } from "../../src/core/cookie.ts";

Deno.test("CKY-01 a Cookie header is read as the cookie package reads it", () => {
  const headers = [
    "",
    ";",
    "a",
    "=",
    "=x",
    "a=",
    "a=1",
    "a=1;b=2",
    "a=1; b=2;  c = 3 ;d",
    "a=1; a=2; A=3",
    "a=x=y==",
    'a="quoted"; b="x',
    "a=%20%C3%BC; b=%E0%A4%A; c=100%",
    "__proto__=x; constructor=y; toString=",
    "a=1,2 3; b=\t4",
    "a=1;; ;b=2;",
    "ü=ö",
    "x; y;;z=1;w; v=2; u",
    `${";".repeat(2000)}a=1${";".repeat(2000)}`,
  ];
  for (const header of headers) {
    assert.deepEqual(
      [...parseCookies(header)].filter(([name]) => name !== ""),
      Object.entries(parseCookie(header)).filter(([name]) => name !== ""),
      header,
    );
  }
});

Deno.test("CKY-02 a Set-Cookie line is the one the cookie package writes, and reads back", () => {
  const values = [
    "",
    "x",
    "a b",
    'ü;,"\\',
    "100%",
    "a=b==",
    "{'a':[1]}",
    "\u0000\r\n",
    "𝄞",
    "-_.~",
  ];
  for (const value of values) {
    const cookie = { name: "n", value, path: "/p", domain: "example.com" };
    const line = formatSetCookie({ ...cookie, httpOnly: true, secure: true, sameSite: "none" });
    const theirs = stringifySetCookie({
      ...cookie,
      httpOnly: true,
      secure: true,
      sameSite: "none",
    });
    const [own, ...attributes] = line.split("; ");
    assert.deepEqual(attributes, theirs.split("; ").slice(1));
    assert.equal(parseCookies(own!).get("n"), value);
    assert.equal(parseCookie(own!).n, value, "theirs reads ours");
    assert.equal(parseCookies(theirs.split("; ")[0]!).get("n"), value, "ours reads theirs");
    assert.match(line, /^[\x21-\x7e ]+$/);
  }
  assert.equal(formatSetCookie({ name: "a", value: "x\ud800" }), "a=x%EF%BF%BD");
  assert.equal(
    formatSetCookie({ name: "a", value: "", maxAge: 0 }),
    "a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
  );
  assert.match(formatSetCookie({ name: "a", value: "", maxAge: 1e12 }), /Expires=Fri, 31 Dec 9999/);
});

Deno.test("CKY-02 names, paths, domains and flags that would break the line are refused", () => {
  const good = { name: "a", value: "x" };
  for (const name of ["", "a b", "a=b", "a;b", "ü", "a\r\n", "(a)"]) {
    assert.throws(() => formatSetCookie({ ...good, name }), /name/, name);
  }
  for (const path of ["/;x", "/\r\nx", "/ü", "/\0"]) {
    assert.throws(() => formatSetCookie({ ...good, path }), /path/, path);
  }
  for (const domain of ["", "a;b", "a b", "-a", "a..b", "ü.de", "x.com\r\n"]) {
    assert.throws(() => formatSetCookie({ ...good, domain }), /domain/, domain);
  }
  assert.throws(() => formatSetCookie({ ...good, sameSite: "toString" as never }), /sameSite/);
  assert.throws(() => formatSetCookie({ ...good, maxAge: 1.5 }), /whole seconds/);
});

Deno.test("CKY-01 one cookie is found without reading the others", () => {
  const header = "xsid=1; sid.a=2; sid=3; asid=4;sid=5; last=sid=6";
  assert.equal(rawCookie(header, "sid"), "3");
  assert.equal(rawCookie(header, "sid.a"), "2");
  assert.equal(rawCookie(header, "last"), "sid=6");
  assert.equal(rawCookie(header, "si"), undefined);
  assert.equal(rawCookie("a=sid=1", "sid"), undefined);
  assert.equal(rawCookie("sid", "sid"), undefined);
  assert.equal(rawCookie("a=1;sid=%20 ", "sid"), "%20");
});

Deno.test("CKY-01 a Cookie header of nothing but semicolons takes no longer for it", () => {
  // Looking for an equals sign from each of them would take hours.
  const many = ";".repeat(20_000_000);
  assert.equal(parseCookies(many).size, 0);
  assert.deepEqual([...parseCookies(`a=1${many}b=2`)], [["a", "1"], ["b", "2"]]);
});
