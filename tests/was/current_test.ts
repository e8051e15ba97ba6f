import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { createContext, type RequestContext, runInContext } from "../../src/core/context.ts";
import { was } from "../../src/was/current.ts";
import { wac } from "../../src/was/wac.ts";
import { currentWas, setWasClass, Was, wasOf } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";

const ctxOf = (gtxnid: string) => createContext({ url: "http://a.test/", gtxnid });
const within = <R>(ctx: RequestContext, run: () => R): R =>
  runInContext(ctx, run, undefined, undefined, undefined);

Deno.test("WAS-01 the imported was is that of the running request", async () => {
  const seen = await Promise.all(["A", "B"].map((id) =>
    within(ctxOf(id), async () => {
      await Promise.resolve();
      const before = was.txnid();
      await new Promise((resolve) => setTimeout(resolve, 1));
      return [before, was.txnid(), was.ctx?.gtxnid, currentWas().txnid()];
    })
  ));
  deepEqual(seen, ["A", "B"].map((id) => [`${id}/1000`, `${id}/1000`, id, `${id}/1000`]));
  const ctx = ctxOf("C");
  within(ctx, () => {
    equal(was.get, wasOf(ctx).get);
    ok("txnid" in was && was instanceof Was);
    Object.assign(was, { mine: 1 });
    deepEqual(Object.keys(was), ["ctx", "mine"]);
  });
  equal((wasOf(ctx) as unknown as { mine: number }).mine, 1);
});

Deno.test("WAS-01 members of Atila say what they need", () => {
  const loose = was as unknown as Record<string, unknown>;
  within(ctxOf("A"), () => {
    for (const name of ["request", "response", "session", "g", "render", "app", "cookie", "mbox"]) {
      throws(() => loose[name], new RegExp(`was.${name} here: it needs Atila`));
    }
    equal(loose["somethingElse"], undefined);
    equal(loose["then"], undefined);
  });
});

Deno.test("WAS-17 outside requests was belongs to none", () => {
  using logs = recordLogs();
  equal(was.ctx, undefined);
  equal(was.txnid(), "");
  was.log("hello", "info");
  deepEqual(logs.entries, [{ at: "app", type: "info", id: "", text: "hello" }]);
  throws(() => currentWas(), /no request is running/);
});

Deno.test("WAS-01 a subclass is used for requests from when it is set", () => {
  class Other extends Was {
    get session(): string {
      return "of Atila";
    }
  }
  setWasClass(Other);
  try {
    within(ctxOf("A"), () => {
      equal((was as Other).session, "of Atila");
    });
    ok(was instanceof Other);
    throws(() => setWasClass(Date as never), /does not extend Was/);
  } finally {
    setWasClass(Was);
  }
});

Deno.test("SRV-30 registered objects are members of was, taken names are refused", () => {
  const loose = () => was as unknown as Record<string, unknown>;
  const search = { find: () => 1 };
  wac.register("searcher", search);
  equal(loose()["searcher"], search);
  within(ctxOf("A"), () => equal(loose()["searcher"], search));
  equal((new Was() as unknown as Record<string, unknown>)["searcher"], search);
  throws(() => wac.register("searcher", {}), /"searcher": was.searcher exists already/);
  for (const name of ["get", "log", "ctx", "session", "request", "constructor"]) {
    throws(() => wac.register(name, {}), /exists already/, name);
  }
  wac.unregister("searcher");
  equal(loose()["searcher"], undefined);
  throws(() => wac.unregister("searcher"), /nothing is registered/);
  wac.register("searcher", 2);
  equal(loose()["searcher"], 2);
  wac.unregister("searcher");
});

Deno.test("SRV-31 wac has the facts of the worker", () => {
  deepEqual(
    [typeof wac.numthreads, typeof wac.workers, typeof wac.logger.get, wac.config],
    ["number", "number", "function", {}],
  );
  equal(wac.handler, undefined);
  deepEqual(wac.backends.stats(), { open: 0, busy: 0 });
});
