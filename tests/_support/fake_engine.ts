/**
 * A small engine for tests of the process model: serves on `Deno.serve` and does on request what makes
 * processes and threads fail.
 *
 * @module
 */

import { wac } from "../../src/was/wac.ts";
import { launch } from "../../src/server/launcher.ts";
import type { Engine, EngineOptions, StartEngine } from "../../src/server/engine.ts";
import type { Server } from "../../src/server/server.ts";
import { mount, type RunOptions, service } from "../../src/server/service.ts";
import { openCounters } from "../../src/store/shared_counters.ts";

/** What a test script may have its engine do. */
export interface FakeOptions {
  /** Paths to watch. */
  watched?: string[];
  /** Throws while starting. */
  fail?: () => void;
  /** Text of `/version`. */
  version?: string;
}

/** Mounts something and runs the service on a fake engine. */
export function runFake(options: RunOptions, fake: FakeOptions = {}): Promise<Server> {
  mount("/", () => new Response("ok"));
  return launch(service, options, fakeEngine(fake));
}

/** A fake engine. */
export function fakeEngine(fake: FakeOptions = {}): StartEngine {
  return async (_service, options) => {
    options.loaded?.(fake.watched ?? []);
    fake.fail?.();
    return await Promise.resolve(new FakeEngine(options, fake));
  };
}

class FakeEngine implements Engine {
  readonly watched: readonly string[];
  readonly missing: readonly string[] = [];
  readonly front: Engine["front"];
  #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(options: EngineOptions, fake: FakeOptions) {
    this.watched = fake.watched ?? [];
    wac.workerId = `W${options.workerIndex}`;
    const counters = openCounters(options.shared, options.workerIndex);
    this.#server = Deno.serve({
      hostname: options.address,
      port: options.port,
      ...(options.reusePort ? { reusePort: true } : {}),
      onListen() {},
    }, (request) => {
      counters.nextRequest();
      return answer(request, options, fake);
    });
    const server = this.#server;
    this.front = {
      address: { hostname: server.addr.hostname, port: server.addr.port },
      connections: () => 0,
      shutdown: () => server.shutdown(),
      [Symbol.asyncDispose]: () => server.shutdown(),
    };
    say(options.reloaded ? "reloaded" : "mounted");
  }

  beforeReload(): Promise<void> {
    say("beforeReload");
    return Promise.resolve();
  }

  async shutdown(graceMs: number, handoverMs: number = 0): Promise<void> {
    say(`shutdown ${graceMs}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(handoverMs, graceMs / 2)));
    let timer = 0;
    const late = new Promise<void>((resolve) => {
      timer = Number(setTimeout(resolve, graceMs));
    });
    await Promise.race([this.#server.shutdown(), late]);
    clearTimeout(timer);
    say("umounted");
  }
}

function say(what: string): void {
  // deno-lint-ignore no-console -- the tests read it
  console.log(`${wac.workerId} ${what}`);
}

async function answer(
  request: Request,
  options: EngineOptions,
  fake: FakeOptions,
): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname) {
    case "/who":
      return Response.json({
        pid: Deno.pid,
        worker: options.workerIndex,
        id: wac.workerId,
        daemon: options.run.daemon,
        reloaded: options.reloaded,
        version: fake.version ?? "",
        requests: openCounters(options.shared, options.workerIndex).status().total.requests,
      });
    case "/cwd":
      return new Response(Deno.cwd());
    case "/slow":
      await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get("ms"))));
      return new Response("slow");
    case "/held":
      return await held(searchParams.get("in")!);
    case "/throw":
      setTimeout(() => {
        throw new Error("thrown outside of a request");
      }, 0);
      return new Response("thrown soon");
    case "/exit":
      return Deno.exit(Number(searchParams.get("code") ?? 7));
    case "/loop":
      for (;;);
    case "/heap":
      setTimeout(eatHeap, 0);
      return new Response("eating");
    case "/heap-in-handler":
      return Response.json(eatHeap());
    case "/burn": {
      // Busy, but still responding: what a critical point is for.
      const end = performance.now() + Number(searchParams.get("ms"));
      while (performance.now() < end) {
        for (const pause = performance.now() + 20; performance.now() < pause;);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      return new Response("burnt");
    }
    default:
      return new Response("ok");
  }
}

/** Leaves a file in a directory that says that it is here, and answers when one named `go` is there, too. */
async function held(directory: string): Promise<Response> {
  await Deno.writeTextFile(`${directory}/${crypto.randomUUID()}`, "");
  for (;;) {
    try {
      await Deno.stat(`${directory}/go`);
      return new Response("held");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function eatHeap(): never {
  const eaten: unknown[] = [];
  for (;;) eaten.push({ index: eaten.length, some: ["small", "objects"] });
}
