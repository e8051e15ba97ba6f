import assert from "node:assert/strict";
import { createContext } from "../../src/core/context.ts";
import { ConfigError, HttpError } from "../../src/core/errors.ts";
import { parseHostRule, virtualHosts } from "../../src/server/virtual_hosts.ts";

/** Handlers that name the rule they belong to, by host rule. */
function table(...rules: string[]) {
  const handler = virtualHosts(
    rules.flatMap((rule) =>
      parseHostRule("mount", rule).map((host) => ({ host, handler: () => new Response(rule) }))
    ),
  );
  return async (host: string): Promise<string> => {
    const req = new Request("http://h.example/");
    return await (await handler(req, createContext({ url: `http://${host}/` }))).text();
  };
}

Deno.test("MNT-18 an exact name is compared without port and case", async () => {
  const ask = table("www.site1.com", "Site2.COM");
  assert.equal(await ask("www.site1.com"), "www.site1.com");
  assert.equal(await ask("WWW.Site1.com:8080"), "www.site1.com");
  assert.equal(await ask("www.site1.com."), "www.site1.com");
  assert.equal(await ask("site2.com"), "Site2.COM");
});

Deno.test("MNT-18 addresses and international names are names too", async () => {
  const ask = table("127.0.0.1", "[::1]", "bücher.example");
  assert.equal(await ask("127.0.0.1:5000"), "127.0.0.1");
  assert.equal(await ask("[::1]:5000"), "[::1]");
  assert.equal(await ask("xn--bcher-kva.example"), "bücher.example");
});

Deno.test("MNT-19 one rule may hold several names", async () => {
  const ask = table("www.mydomain.com  mydomain.com", "default");
  assert.equal(await ask("www.mydomain.com"), "www.mydomain.com  mydomain.com");
  assert.equal(await ask("mydomain.com"), "www.mydomain.com  mydomain.com");
  assert.equal(await ask("x.mydomain.com"), "default");
});

Deno.test("MNT-20 MNT-21 .suffix covers the domain itself, *.suffix does not", async () => {
  const dot = table(".mydomain.com", "default");
  assert.equal(await dot("a.mydomain.com"), ".mydomain.com");
  assert.equal(await dot("a.b.mydomain.com"), ".mydomain.com");
  assert.equal(await dot("mydomain.com"), ".mydomain.com");
  assert.equal(await dot("notmydomain.com"), "default");
  const star = table("*.mydomain.com", "default");
  assert.equal(await star("a.mydomain.com"), "*.mydomain.com");
  assert.equal(await star("a.b.mydomain.com"), "*.mydomain.com");
  assert.equal(await star("mydomain.com"), "default");
  assert.equal(await star("notmydomain.com"), "default");
});

Deno.test("MNT-22 exact names come before suffixes, long ones before short ones", async () => {
  const ask = table("default", ".a.com", "*.b.a.com", "x.b.a.com", ".b.a.com");
  for (let round = 0; round < 2; round++) {
    assert.equal(await ask("x.b.a.com"), "x.b.a.com");
    assert.equal(await ask("y.b.a.com"), "*.b.a.com");
    assert.equal(await ask("b.a.com"), ".b.a.com");
    assert.equal(await ask("c.a.com"), ".a.com");
    assert.equal(await ask("other.org"), "default");
  }
});

Deno.test("MNT-22 an unknown host without a default is 404", async () => {
  const ask = table("a.com");
  await assert.rejects(ask("b.com"), (error) => error instanceof HttpError && error.status === 404);
});

Deno.test("MNT-22 any number of invented host names does not fill the memory", async () => {
  const ask = table("a.com", "default");
  for (let i = 0; i < 5000; i++) assert.equal(await ask(`h${i}.example`), "default");
  assert.equal(await ask("a.com"), "a.com");
});

Deno.test("MNT-18 what is no host name is refused at start, with its place", () => {
  for (
    const rule of ["", "  ", "a/b", "http://a.com", "a.com:8080", ".", "*.", "a.com b/c", "u@a"]
  ) {
    assert.throws(
      () => parseHostRule('mount("/")', rule),
      (error) => error instanceof ConfigError && error.message.startsWith('mount("/"): '),
      rule,
    );
  }
});
