import assert from "node:assert/strict";
import {
  asError,
  BackendError,
  ConfigError,
  HttpError,
  NETWORK_CODES,
  reasonOfAny,
} from "../../src/core/errors.ts";
import { tracebackOf } from "../../src/core/error_page.ts";
import { parseStatus } from "../../src/core/status.ts";
import { traceText } from "../../src/store/logs_early.ts";

Deno.test("RES-10 the page of error codes and the code agree, both ways", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/errors.md", import.meta.url));
  const listed = new Map(
    [...page.matchAll(/^\| (\d{3}) +\| `([A-Z0-9_]+)` +\| (.+?) +\|$/gm)].map((
      [, number, code, reason],
    ) => [Number(number), { code, reason }]),
  );
  assert.deepEqual(Object.fromEntries(listed), NETWORK_CODES);
});

Deno.test("HttpError keeps status, reason, safe message and cause", () => {
  const cause = new Error("inner");
  const error = new HttpError("404 Nothing Here", "no pet 7", { cause, headers: { a: "b" } });
  assert.equal(error.name, "HttpError");
  assert.equal(error.status, 404);
  assert.equal(error.reason, "Nothing Here");
  assert.equal(error.detail, "no pet 7");
  assert.equal(error.code, "HTTP_404");
  assert.equal(error.cause, cause);
  assert.equal(new HttpError(502).detail, "");
  assert.equal(new HttpError(502).message, "Bad Gateway");
});

Deno.test("BackendError takes its code from the network code", () => {
  assert.equal(new BackendError("refused", 714).code, "CONNECT");
  assert.equal(new BackendError("statement failed", 500).code, "BACKEND");
  assert.equal(reasonOfAny(730), "Request Timeout");
  assert.equal(reasonOfAny(404), "Not Found");
});

Deno.test("ConfigError leads with the place", () => {
  const error = new ConfigError("run({ port })", "70000 is not a port");
  assert.equal(error.message, "run({ port }): 70000 is not a port");
  assert.equal(error.where, "run({ port })");
});

Deno.test("parseStatus() accepts codes and status strings, nothing else", () => {
  assert.deepEqual(parseStatus(404), { code: 404, reason: "Not Found" });
  assert.deepEqual(parseStatus("404"), { code: 404, reason: "Not Found" });
  assert.deepEqual(parseStatus("299 Fine by me"), { code: 299, reason: "Fine by me" });
  for (const bad of ["", "OK", "99", "600 Odd", "200 a\r\nb", 199, 600, 200.5, NaN]) {
    assert.throws(() => parseStatus(bad), TypeError, String(bad));
  }
});

/** What a handler may throw, and what nothing can be asked of. */
function hostileValues(): unknown[] {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const refuse = () => {
    throw new Error("refused");
  };
  return [
    Object.create(null),
    proxy,
    { toString: refuse },
    new Proxy(new Error("hidden"), { getPrototypeOf: refuse, get: refuse }),
    Object.defineProperty(new Error("no stack"), "stack", { get: refuse }),
    Object.defineProperty(new Error("no cause"), "cause", { get: refuse }),
    new Error("outer", { cause: Object.create(null) }),
    Symbol("name"),
  ];
}

Deno.test("LOG-14 whatever is thrown can be made an error and a trace of", () => {
  for (const value of hostileValues()) {
    assert.ok(asError(value) instanceof Error);
    assert.ok(tracebackOf(value).length > 0);
    assert.ok(traceText(value).length > 0);
  }
  assert.match(tracebackOf(hostileValues().at(-2)), /^Error: outer[^]*Caused by: Error: .*object/);
  assert.match(asError(Symbol("name")).message, /Symbol\(name\)/);
});

Deno.test("LOG-15 asError() tells what a plain object holds", () => {
  const { message } = asError({ code: 5, deep: { list: [1] } });
  assert.match(message, /: \{ code: 5, deep: \{ list: \[ 1 \] \} \}$/);
  assert.match(asError({ toString: () => "of its own" }).message, /: of its own$/);
});

Deno.test("asError() wraps what is not an error", () => {
  const error = new Error("x");
  assert.equal(asError(error), error);
  assert.match(asError("text").message, /text/);
});
