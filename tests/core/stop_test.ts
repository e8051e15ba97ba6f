import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { abortSignalOf, Stop, type StopSignal } from "../../src/core/stop.ts";
import { ReportedErrors } from "../_support/reported_errors.ts";

/** Errors that nobody catches while a function runs. */
function reported(run: () => void): unknown[] {
  using errors = new ReportedErrors();
  run();
  return errors.seen;
}

/** What both kinds of signals do alike. */
const KINDS: readonly [string, () => { signal: StopSignal; abort(reason?: unknown): void }][] = [
  ["Stop", () => {
    const stop = new Stop();
    return { signal: stop, abort: (reason) => stop.abort(reason) };
  }],
  ["AbortController", () => {
    const controller = new AbortController();
    return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
  }],
];

for (const [kind, make] of KINDS) {
  Deno.test(`RES-17 who listens to a ${kind} hears it once, in turn, unless he has left`, () => {
    const { signal, abort } = make();
    const heard: string[] = [];
    const object = { handleEvent: () => void heard.push("object") };
    const twice = () => void heard.push("twice");
    const gone = () => void heard.push("gone");
    const late = () => void heard.push("late");
    signal.addEventListener("abort", gone);
    signal.addEventListener("abort", object);
    signal.addEventListener("abort", twice, { once: true });
    signal.addEventListener("abort", twice, { once: true });
    signal.addEventListener("abort", () => {
      equal(signal.aborted, true);
      equal(signal.reason, "why");
      signal.removeEventListener("abort", late);
      signal.addEventListener("abort", () => heard.push("after"));
    });
    signal.addEventListener("abort", late);
    signal.removeEventListener("abort", gone);
    signal.removeEventListener("abort", gone);
    equal(signal.aborted, false);
    signal.throwIfAborted();
    abort("why");
    abort("again");
    deepEqual(heard, ["object", "twice"]);
    equal(signal.reason, "why");
    throws(() => signal.throwIfAborted(), (thrown) => thrown === "why");
  });

  Deno.test(`RES-17 a listener of a ${kind} that throws does not keep others from stopping`, () => {
    const { signal, abort } = make();
    const heard: string[] = [];
    signal.addEventListener("abort", () => {
      throw new Error("in a listener");
    });
    signal.addEventListener("abort", () => void heard.push("second"));
    abortSignalOf(signal).addEventListener("abort", () => void heard.push("standard"));
    const errors = reported(() => abort("why"));
    deepEqual(heard, ["second", "standard"]);
    deepEqual(errors.map(String), ["Error: in a listener"]);
  });
}

Deno.test("RES-17 a stop is an AbortSignal for those who need one, before and after it is given", () => {
  const before = new Stop();
  const signal = abortSignalOf(before);
  equal(before.signal, signal);
  ok(signal instanceof AbortSignal && !signal.aborted);
  const reason = new Error("enough");
  before.abort(reason);
  ok(signal.aborted);
  equal(signal.reason, reason);
  const after = new Stop();
  after.abort();
  ok(abortSignalOf(after).aborted);
  equal(after.signal.reason, after.reason);
  equal((after.reason as DOMException).name, "AbortError");
  const own = new AbortController().signal;
  equal(abortSignalOf(own), own);
});

Deno.test("RES-17 any other signal becomes an AbortSignal, too", () => {
  const stop = new Stop();
  const foreign: StopSignal = {
    get aborted() {
      return stop.aborted;
    },
    get reason() {
      return stop.reason;
    },
    throwIfAborted: () => stop.throwIfAborted(),
    addEventListener: (type, listener) => stop.addEventListener(type, listener),
    removeEventListener: (type, listener) => stop.removeEventListener(type, listener),
  };
  const signal = abortSignalOf(foreign);
  stop.abort("why");
  equal(signal.reason, "why");
  ok(abortSignalOf(foreign).aborted);
});
