import { deepEqual, equal, throws } from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { asyncFrames } from "../../src/core/async_frame.ts";
import { createContext, runInContext, runningContext } from "../../src/core/context.ts";
import { Future, type FutureInit } from "../../src/was/future.ts";

const pause = (ms = 0) => new Promise<void>((resolve) => setTimeout(resolve, ms));

Deno.test("EXT-03 a value is found again after every kind of wait, in the frame it was given to", async () => {
  const frames = asyncFrames<string>("test of waits");
  const ways: Record<string, () => PromiseLike<unknown>> = {
    promise: () => Promise.resolve(),
    rejection: () => Promise.reject(new Error("expected")).catch(() => {}),
    timer: () => pause(1),
    microtask: () => new Promise<void>((resolve) => queueMicrotask(resolve)),
    file: () => Deno.stat("."),
    stream: () => new Response("body").text(),
    thenable: () => ({ then: (resolve: (value: unknown) => void) => resolve(0) }) as never,
    all: () => Promise.all([pause(1), Promise.resolve(1)]),
    // what is settled from a frame of somebody else
    foreign: () =>
      new Promise<void>((resolve) => frames.run("foreign", () => void resolve(), 0, 0, 0)),
  };
  const one = async (name: string) => {
    const seen: string[] = [];
    for (const [way, wait] of Object.entries(ways)) {
      await wait();
      if (frames.get() !== name) seen.push(`${way}: ${frames.get()}`);
    }
    return seen;
  };
  const names = Array.from({ length: 20 }, (_, i) => `frame ${i}`);
  const found = await Promise.all(names.map((name) => frames.run(name, one, name, 0, 0)));
  deepEqual(found, names.map(() => []));
  equal(frames.get(), undefined);
});

Deno.test("EXT-03 callbacks keep the frame in which they were handed over", async () => {
  const frames = asyncFrames<string>("test of callbacks");
  const target = new EventTarget();
  const seen = await Promise.all(["a", "b"].map((name) =>
    frames.run(
      name,
      () =>
        new Promise<string | undefined>((resolve) => {
          setTimeout(() => setTimeout(() => queueMicrotask(() => resolve(frames.get()))));
        }),
      0,
      0,
      0,
    )
  ));
  deepEqual(seen, ["a", "b"]);
  // an event belongs to whoever gives it
  let heard: string | undefined;
  frames.run("a", () => target.addEventListener("x", () => heard = frames.get()), 0, 0, 0);
  frames.run("b", () => target.dispatchEvent(new Event("x")), 0, 0, 0);
  equal(heard, "b");
});

Deno.test("EXT-03 frames nest, end when their function does, and leave others alone", async () => {
  const outer = asyncFrames<number>("test of nests 1");
  const inner = asyncFrames<number>("test of nests 2");
  const storage = new AsyncLocalStorage<string>();
  const state = () => [outer.get(), inner.get(), storage.getStore()];
  deepEqual(state(), [undefined, undefined, undefined]);
  const waited = outer.run(
    1,
    (a: number, b: number, c: number) => {
      deepEqual([a, b, c], [7, 8, 9]);
      throws(() =>
        outer.run(
          2,
          () => {
            deepEqual(state(), [2, undefined, undefined]);
            throw new Error("out of it");
          },
          0,
          0,
          0,
        ), /out of it/);
      deepEqual(state(), [1, undefined, undefined]);
      return storage.run("s", () =>
        inner.run(
          3,
          async () => {
            deepEqual(state(), [1, 3, "s"]);
            await pause();
            storage.enterWith("other");
            deepEqual(state(), [1, 3, "other"]);
            await Promise.resolve();
            return state();
          },
          0,
          0,
          0,
        ));
    },
    7,
    8,
    9,
  );
  deepEqual(state(), [undefined, undefined, undefined]);
  deepEqual(await waited, [1, 3, "other"]);
  deepEqual(state(), [undefined, undefined, undefined]);
  storage.run("s", () => outer.run(4, () => deepEqual(state(), [4, undefined, "s"]), 0, 0, 0));
  // undefined is a value as well
  outer.run(
    1,
    () => outer.run(undefined as never, () => equal(outer.get(), undefined), 0, 0, 0),
    0,
    0,
    0,
  );
});

Deno.test("EXT-03 a callback runs in the request that asked, also when another's time limit ends both", async () => {
  const problems: unknown[] = [];
  const traceback = (error: unknown) =>
    String(error).includes("expected") || void problems.push(error);
  const owner = { log: () => {}, traceback };
  const seen: string[] = [];
  const ask = (name: string, send: () => Promise<never>, timeout: number) =>
    new Promise<void>((resolve) => {
      const init: FutureInit = {
        ...{ method: "GET", url: `/${name}`, owner, timeout },
        callback: () => {
          seen.push(`${name} in ${runningContext()?.path}`);
          resolve();
        },
      };
      new Future(send, init);
    });
  const handler = async (name: string) => {
    await pause();
    // all of one length share a timer, which belongs to the first
    await ask(name, () => new Promise<never>(() => {}), 0.05);
    await ask(name, () => Promise.reject(new Error("expected")), 5);
  };
  const names = ["first", "a", "b", "c"];
  await Promise.all(
    names.map((name) =>
      runInContext(createContext({ url: `http://host/${name}` }), handler, name, 0, 0)
    ),
  );
  deepEqual(
    seen.toSorted(),
    names.flatMap((name) => [`${name} in /${name}`, `${name} in /${name}`]).toSorted(),
  );
  deepEqual(problems, []);
});
