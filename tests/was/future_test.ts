import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { mock } from "node:test";
import type { Outcome } from "../../src/clients/contract.ts";
import { BackendTimeoutError, HttpError } from "../../src/core/errors.ts";
import { failedOutcome, Future, type FutureInit } from "../../src/was/future.ts";
import { MapFuture } from "../../src/was/map_future.ts";
import type { Result } from "../../src/was/result.ts";
import { Tasks } from "../../src/was/tasks.ts";

function outcomeOf(data: unknown, statusCode = 200): Outcome {
  return { status: 3, statusCode, reason: "OK", headers: new Headers(), content: null, data };
}

function recorder() {
  const lines: string[] = [];
  return {
    lines,
    log: (text: string, category = "info", at = "app") =>
      void lines.push(`${at} ${category} ${text}`),
    traceback: (error: unknown) => void lines.push(`traceback ${error}`),
  };
}

function futureOf<T>(outcome: Outcome | Promise<Outcome>, init: Partial<FutureInit<T>> = {}) {
  const owner = recorder();
  const future = new Future<T>(() => Promise.resolve(outcome), {
    method: "GET",
    url: "http://a.test/",
    owner,
    ...init,
  });
  return { future, lines: owner.lines };
}

const REFUSED = failedOutcome(new Error("refused"), 2, 714);

Deno.test("RES-01 dispatch and await give the same result, always the same object", async () => {
  const { future } = futureOf(outcomeOf([1]));
  equal(future.settled, undefined);
  const result = await future;
  equal(await future.dispatch(), result);
  equal(await future.dispatch(5), result);
  equal(future.settled, result);
  ok(Future.isFuture(future) && !Future.isFuture(Promise.resolve()));
});

Deno.test("RES-01 dispatch does not throw unless asked to", async () => {
  const { future } = futureOf(REFUSED);
  equal((await future.dispatch()).status, 2);
  await rejects(future.dispatch(10, { reraise: true }), { message: "refused" });
  const fine = futureOf(outcomeOf(1)).future;
  equal((await fine.dispatch(10, { reraise: true })).data, 1);
  throws(() => fine.dispatch(10, { raise: true } as never), /unknown option "raise"; known are/);
  throws(() => fine.dispatch(0), RangeError);
  throws(() => fine.dispatch(NaN), RangeError);
});

Deno.test("RES-02 RES-03 the older names", async () => {
  const { future } = futureOf(outcomeOf("x"));
  equal((await future.getwait()).data, "x");
  const results = await future.getswait();
  deepEqual([results.length, results.statusCode, results.status, results.data], [
    ...[1, [200], [3], ["x"]],
  ]);
  equal((await future.getwaitOrThrow()).data, "x");
  deepEqual((await future.getswaitOrThrow()).data, ["x"]);
});

Deno.test("RES-04 wait gives nothing and throws on failure", async () => {
  equal(await futureOf(outcomeOf(1)).future.wait(), undefined);
  const { future } = futureOf(REFUSED);
  await rejects(future.wait(), { message: "refused" });
  await future.wait(10, false);
  await rejects(futureOf(outcomeOf(1, 404)).future.wait(), /answered 404/);
});

Deno.test("RES-05 the forms that throw end the request with the status given", async () => {
  const { future } = futureOf(REFUSED);
  const failing = (status: number, reason: string) => (error: unknown) => {
    ok(error instanceof HttpError);
    deepEqual([error.status, error.reason, error.detail], [status, reason, ""]);
    equal((error.cause as Error).message, "refused");
    return true;
  };
  await rejects(future.dispatchOrThrow(), failing(502, "Bad Gateway"));
  await rejects(future.dispatchOrThrow(5), failing(502, "Bad Gateway"));
  await rejects(future.dispatchOrThrow("404 Gone Fishing"), failing(404, "Gone Fishing"));
  await rejects(future.dispatchOrThrow("500 Oops", 5), failing(500, "Oops"));
  await rejects(future.dispatchOrThrow(503), failing(503, "Service Unavailable"));
  await rejects(future.dispatchOrThrow(undefined, 5), failing(502, "Bad Gateway"));
  await rejects(future.waitOrThrow("504 Late"), failing(504, "Late"));
  await rejects(future.dispatch_or_throw("500 In Page"), failing(500, "In Page"));
  await rejects(future.wait_or_throw(), failing(502, "Bad Gateway"));
  throws(() => future.dispatchOrThrow("nonsense"), TypeError);
  const moved = futureOf(outcomeOf(1, 302)).future;
  await rejects(moved.dispatchOrThrow(), (error) => error instanceof HttpError);
  equal((await futureOf(outcomeOf(7)).future.dispatchOrThrow()).data, 7);
});

Deno.test("RES-06 dataOrThrow gives the data", async () => {
  const { future } = futureOf<number[]>(outcomeOf([1, 2]));
  deepEqual(await future.dataOrThrow(), [1, 2]);
  deepEqual(await future.fetch(3), [1, 2]);
  deepEqual(await future.data_or_throw("500 x", 3), [1, 2]);
  await rejects(futureOf(REFUSED).future.dataOrThrow(), (error) => error instanceof HttpError);
  const headers = new Headers({ "content-type": "application/json" });
  const content = new TextEncoder().encode("{no");
  const broken = { ...outcomeOf(undefined), headers, content };
  await rejects(futureOf(broken).future.dataOrThrow("500 x"), { status: 500 });
});

Deno.test("RES-07 oneOrThrow gives the first row, 404 without one", async () => {
  const { future } = futureOf<{ id: number }[]>(outcomeOf([{ id: 1 }, { id: 2 }]));
  const row: { id: number } = await future.oneOrThrow();
  equal(row.id, 1);
  equal((await future.one()).id, 1);
  equal((await future.one_or_throw()).id, 1);
  for (const nothing of [[], null, "", new Uint8Array(0)]) {
    await rejects(futureOf(outcomeOf(nothing)).future.oneOrThrow("500 x"), { status: 404 });
  }
  await rejects(futureOf(REFUSED).future.oneOrThrow("500 x"), { status: 500 });
});

Deno.test("RES-17 WAS-02 time counts from the start; the late answer is lost", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    let aborted: unknown;
    let answer!: (outcome: Outcome) => void;
    let calls = 0;
    const owner = recorder();
    const future = new Future((signal) => {
      signal.addEventListener("abort", () => aborted = signal.reason);
      return new Promise((resolve) => answer = resolve);
    }, { method: "GET", url: "x", owner, callback: () => void calls++ });
    mock.timers.tick(9_999);
    await Promise.resolve();
    equal(future.settled, undefined);
    mock.timers.tick(1);
    const result = await future;
    deepEqual([result.status, result.statusCode, result.reason], [1, 730, "Request Timeout"]);
    ok(result.error instanceof BackendTimeoutError);
    ok(aborted instanceof BackendTimeoutError);
    answer(outcomeOf("late"));
    equal((await future).data, null);
    equal(calls, 1);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("RES-01 a timeout given to dispatch replaces the deadline, still from the start", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const start = (timeout?: number) =>
      new Future(() => new Promise(() => {}), {
        method: "GET",
        url: "x",
        owner: recorder(),
        timeout,
      });
    const sooner = start();
    const result = sooner.dispatch(3);
    mock.timers.tick(3_000);
    equal((await result).status, 1);
    const later = start(2);
    later.dispatch(60);
    mock.timers.tick(59_000);
    await Promise.resolve();
    equal(later.settled, undefined);
    mock.timers.tick(1_001);
    equal((await later).status, 1);
    throws(() => start(-1), RangeError);
    throws(() => start(Infinity), RangeError);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("RES-18 cache before a dispatch is refused; without a key nothing is kept", async () => {
  const { future } = futureOf(outcomeOf(1));
  throws(() => future.cache(10), /call dispatch first/);
  const map = new MapFuture([futureOf(outcomeOf(1)).future]);
  throws(() => map.cache(10), /call dispatch first/);
  await map;
  equal(map.cache(10), map);
  const result = await future.dispatch(10, { cache: 60, cacheIf: [200, 201] });
  equal(future.cache(10), future);
  equal(result.cache(10), result);
  equal(result.cached, false);
  throws(() => result.cache(NaN), RangeError);
});

Deno.test("RES-18 what a result cannot be kept by is said at once, and not to nobody when it is there", async () => {
  const unhandled: string[] = [];
  const note = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(String(event.reason));
  };
  addEventListener("unhandledrejection", note);
  for (const [seconds, codes] of [[NaN, [200]], ["5", [200]], [5, 200]] as never[][]) {
    const { future } = futureOf(outcomeOf(1));
    const map = new MapFuture([futureOf(outcomeOf(1)).future]);
    for (const one of [future, map]) {
      throws(() => one.dispatch(10, { cache: seconds, cacheIf: codes }), /Cannot keep a result/);
    }
    throws(() => map.cache(seconds, codes), /Cannot keep a result/);
    equal((await future).status, 3);
    equal((await map).length, 1);
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
  removeEventListener("unhandledrejection", note);
  deepEqual(unhandled, []);
});

Deno.test("WAS-15 a filter changes the result before anyone gets it, unless it failed", async () => {
  const { future } = futureOf<{ n: number }>(outcomeOf({ n: 1 }), {
    filter: async (result) => {
      await Promise.resolve();
      result.data.n++;
    },
    callback: (result) => seen.push(result.data.n),
  });
  const seen: number[] = [];
  equal((await future).data.n, 2);
  deepEqual(seen, [2]);
  let ran = false;
  await futureOf(REFUSED, { filter: () => ran = true }).future;
  equal(ran, false);
  const { future: bad, lines } = futureOf(outcomeOf(1), {
    filter: () => {
      throw new Error("in the filter");
    },
  });
  deepEqual([(await bad).status, (await bad).statusCode], [2, 701]);
  equal((await bad).error?.message, "in the filter");
  deepEqual(lines, ["traceback Error: in the filter"]);
});

Deno.test("WAS-16 a callback gets the result and its own arguments; its errors are logged", async () => {
  const got: unknown[] = [];
  const plain = futureOf(outcomeOf(1), { callback: (result) => got.push(result.data) }).future;
  await plain;
  const callback = (result: Result, ...rest: unknown[]) => got.push([result.data, ...rest]);
  await futureOf(outcomeOf(2), { callback: [callback, "a", 3] }).future;
  await futureOf(REFUSED, { callback: (result) => got.push(result.statusCode) }).future;
  deepEqual(got, [1, [2, "a", 3], 714]);
  for (
    const callback of [
      () => {
        throw new Error("in the callback");
      },
      () => Promise.reject(new Error("in the callback")),
    ]
  ) {
    const { future, lines } = futureOf(outcomeOf(3), { callback });
    equal((await future).data, 3);
    await new Promise((resolve) => setTimeout(resolve));
    deepEqual(lines, ["traceback Error: in the callback"]);
  }
});

Deno.test("RES-01 nothing about a future is ever an unhandled rejection", async () => {
  const rejections: unknown[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    rejections.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listener);
  const { future } = futureOf(REFUSED);
  future.dispatch(1, { reraise: true });
  future.wait();
  future.dataOrThrow();
  future.oneOrThrow();
  future.dispatchOrThrow("500 x");
  const { future: defect, lines } = futureOf(Promise.reject(new Error("a defect")));
  equal((await defect).statusCode, 701);
  equal(lines[0], "traceback Error: a defect");
  await new Promise((resolve) => setTimeout(resolve, 10));
  globalThis.removeEventListener("unhandledrejection", listener);
  deepEqual(rejections, []);
});

Deno.test("RES-01 tasks that fail before somebody waits for them are no unhandled rejection either", async () => {
  const rejections: unknown[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    rejections.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listener);
  const tasks = new Tasks([futureOf(REFUSED).future, new MapFuture([futureOf(REFUSED).future])]);
  const asked: Promise<unknown>[] = [
    tasks.dispatch(1, { reraise: true }),
    tasks.wait(),
    tasks.fetch(),
  ];
  asked.push(new Tasks([futureOf(REFUSED).future]).one());
  await new Promise((resolve) => setTimeout(resolve, 10));
  globalThis.removeEventListener("unhandledrejection", listener);
  deepEqual(rejections, []);
  for (const one of asked) await rejects(one);
});

Deno.test("LOG-18 a failure is noted with status and place, a success is not", async () => {
  const { future, lines } = futureOf(REFUSED);
  await future;
  equal(lines.length, 1);
  ok(
    /^app debug backend request failed: GET http:\/\/a\.test\/ status 2, 714 Connect Failed: refused \(requested at file:.*future_test\.ts:\d+:\d+\)$/
      .test(lines[0]!),
    lines[0],
  );
  const fine = futureOf(outcomeOf(1, 500));
  await fine.future;
  deepEqual(fine.lines, []);
});

Deno.test("LOG-18 in production a failure is noted without its place, which costs every request", async () => {
  const future = new URL("../../src/was/future.ts", import.meta.url).href;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      file,
      `import { Future } from "${future}";
const owner = { log: (text: string) => console.log(text), traceback: () => {} };
const outcome = { status: 2, code: 714, reason: "Connect Failed", error: new Error("refused") };
const init = { owner, method: "GET", url: "http://a.test/" };
await new Future(() => Promise.resolve(outcome as never), init as never);`,
    );
    const noted = async (env: Record<string, string>) => {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", file],
        env,
        stdin: "null",
      }).output();
      return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    };
    ok(/refused \(requested at file:.*:5:7\)\n$/.test(await noted({ SKITAI_ENV: "DEVEL" })));
    ok(/Connect Failed: refused\n$/.test(await noted({ SKITAI_ENV: "PRODUCTION" })));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("RES-19 futures of data of any type are tasks", async () => {
  const numbers = futureOf<number[]>(outcomeOf([1, 2])).future;
  const rows = futureOf<{ id: number }[]>(outcomeOf([{ id: 7 }])).future;
  deepEqual(await new Tasks([numbers, rows]).one(), [1, { id: 7 }]);
});
