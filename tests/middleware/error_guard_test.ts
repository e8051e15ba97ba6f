import assert from "node:assert/strict";
import { Atila } from "../../src/atila/mod.ts";
import { createContext } from "../../src/core/context.ts";
import { HttpError } from "../../src/core/errors.ts";
import type { Handler } from "../../src/core/handler.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import { createShared, openCounters } from "../../src/store/shared_counters.ts";
import { wac } from "../../src/was/wac.ts";
import { listLog } from "../_support/list_log.ts";

function ask(handler: Handler, debug = false, accept = "text/html") {
  const log = listLog();
  const req = new Request("http://h.example/x?q=1", { headers: { accept } });
  const ctx = createContext({ url: req.url, gtxnid: "g1", ltxnid: 1001 });
  return { log, result: errorGuard({ log, debug })(handler)(req, ctx) };
}

const boom = () => new Error("secret boom", { cause: new RangeError("deep cause") });

Deno.test("EXT-04 HTTP-37 an unexpected error is a bare 500 outside and a full entry inside", async () => {
  const handlers: Handler[] = [
    () => {
      throw boom();
    },
    () => Promise.reject(boom()),
    async () => {
      await Promise.resolve();
      throw boom();
    },
  ];
  for (const handler of handlers) {
    const { log, result } = ask(handler);
    const res = await result;
    assert.equal(res.status, 500);
    assert.ok(!(await res.text()).includes("secret"));
    assert.equal(log.lines.length, 1);
    assert.ok(log.lines[0]!.startsWith("expt:g1/1001 Error: secret boom"));
    assert.ok(log.lines[0]!.includes("error_guard_test.ts"));
  }
});

Deno.test("EXT-04 a response that cannot be sent is a 500 that names the request in the log", async () => {
  const used = new Response("once");
  await used.text();
  for (
    const [res, message] of [[used, /sent or read before/], [
      Response.error(),
      /no status/,
    ]] as const
  ) {
    for (const handler of [() => res, () => Promise.resolve(res)]) {
      const { log, result } = ask(handler);
      assert.equal((await result).status, 500);
      assert.equal(log.lines.length, 1);
      assert.match(log.lines[0]!, /^expt:g1\/1001 TypeError: Cannot answer with/);
      assert.match(log.lines[0]!, message);
    }
  }
});

Deno.test("HTTP-24 debug shows the stack, as a page or as JSON", async () => {
  const page = await ask(() => Promise.reject(boom()), true).result;
  const text = await page.text();
  assert.ok(text.includes("secret boom") && text.includes("deep cause"));
  const fault = await (await ask(() => Promise.reject(boom()), true, "application/json").result)
    .json();
  assert.equal(fault.code, 50090);
  assert.equal(fault.traceback[0], "Error: secret boom");
});

Deno.test("HTTP-24 an HttpError becomes its response, without an entry in the log", async () => {
  const { log, result } = ask(() => {
    throw new HttpError(405, "Only reading", { headers: { allow: "GET" } });
  });
  const res = await result;
  assert.equal(res.status, 405);
  assert.equal(res.headers.get("allow"), "GET");
  assert.ok((await res.text()).includes("Only reading"));
  assert.deepEqual(log.lines, []);
});

Deno.test("HTTP-24 a server error with a cause is logged and shown only on purpose", async () => {
  const hidden = ask(() => {
    throw new HttpError(503, "Later", { cause: boom() });
  });
  assert.ok(!(await (await hidden.result).text()).includes("secret"));
  assert.equal(hidden.log.lines.length, 1);
  const shown = ask(() => {
    throw new HttpError(503, "Later", { cause: boom(), expose: true });
  });
  assert.ok((await (await shown.result).text()).includes("secret"));
});

Deno.test("HTTP-37 whatever is thrown, the guard answers", async () => {
  for (const thrown of ["text", undefined, null, 7, { toString: () => "object" }]) {
    const { log, result } = ask(() => {
      throw thrown;
    });
    assert.equal((await result).status, 500);
    assert.equal(log.lines.length, 1);
  }
  const { log, result } = ask(() => {
    throw new HttpError(400, "x", { headers: [["bad name", "x"]] });
  });
  assert.equal((await result).status, 500);
  assert.equal(log.lines.length, 1);
});

Deno.test("HTTP-37 what answers at once is not made to wait", () => {
  const res = new Response("x");
  assert.equal(ask(() => res).result, res);
});

Deno.test("IPC-06 UTL-01 what handlers throw and nobody handles is counted", async () => {
  const { counters, logger } = wac;
  const counted = wac.counters = openCounters(createShared());
  const log = listLog();
  wac.logger = { get: () => log, makeLogger: () => log, rotate() {} };
  try {
    const app = new Atila(import.meta.url);
    app.route("/boom", () => Promise.reject(boom()));
    app.route("/refused", (was) => was.response.throw("403 Forbidden"));
    app.route("/handled", () => Promise.reject(new RangeError("handled")));
    app.failedRequest((was, error) => {
      return error instanceof RangeError ? was.response("400 Bad Request", "no") : undefined;
    });
    const client = app.makeClient();
    const statuses = [];
    for (const path of ["/boom", "/refused", "/handled", "/none"]) {
      statuses.push((await client.get(path)).statusCode);
    }
    assert.deepEqual(statuses, [500, 403, 400, 404]);
    assert.equal(counted.status().total.exceptions, 1);
    await ask(() => Promise.reject(boom())).result;
    await ask(() => Promise.reject(new HttpError(404))).result;
    assert.equal(counted.status().total.exceptions, 2);
  } finally {
    Object.assign(wac, { counters, logger });
  }
});
