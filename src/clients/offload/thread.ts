/**
 * Main module of an auxiliary thread: performs jobs one after the other.
 *
 * The pool imports it too, to learn where it is. So it is part of every graph of modules, and `deno
 * compile` and `deno bundle` have it without being told; in the latter it shares a file with the pool.
 *
 * @module
 */

import { closeIdle, type Job, perform } from "./jobs.ts";
import { errorToFields, type PoolMessage, type ThreadMessage } from "./protocol.ts";

/** Where a thread starts. */
export const THREAD_URL: URL = new URL(import.meta.url);

/** Name of the global of a thread; anywhere else this module does nothing. */
export const THREAD_NAME = "skitai auxiliary thread";

const scope = globalThis as unknown as {
  readonly name?: string;
  postMessage(message: ThreadMessage): void;
  addEventListener<E extends Event>(type: string, listener: (event: E) => void): void;
};

/** Answers one job. */
async function answer(id: number, job: Job): Promise<void> {
  let value: unknown;
  try {
    value = await perform(job);
  } catch (error) {
    scope.postMessage({ id, ok: false, error: errorToFields(error) });
    return;
  }
  try {
    scope.postMessage({ id, ok: true, value });
  } catch (cause) {
    // Functions, sockets and the like cannot leave a thread.
    const error = new TypeError("Cannot hand back the result of the job: it cannot be cloned", {
      cause,
    });
    scope.postMessage({ id, ok: false, error: errorToFields(error) });
  }
}

/** Closes database files, whose locks and logs would outlive the thread, and asks to be ended. */
function end(): void {
  try {
    closeIdle(0);
  } finally {
    scope.postMessage({ ended: true });
  }
}

/**
 * Reports an error nobody caught. Without this the runtime would print it and end the thread with
 * no more than a line of text for the pool.
 */
function crash(event: Event, error: unknown): void {
  event.preventDefault();
  scope.postMessage({ crashed: errorToFields(error) });
}

/** Takes jobs from now on. */
function serve(): void {
  scope.addEventListener<ErrorEvent>(
    "error",
    (event) => crash(event, event.error ?? event.message),
  );
  scope.addEventListener<PromiseRejectionEvent>(
    "unhandledrejection",
    (event) => crash(event, event.reason),
  );
  scope.addEventListener<MessageEvent<PoolMessage>>("message", ({ data }) => {
    if ("end" in data) end();
    else void answer(data.id, data.job);
  });

  // Neither of these would be told to the pool, whose job would never end.
  const exit = Deno.exit;
  Object.defineProperty(Deno, "exit", {
    configurable: true,
    value: (code?: number): never => {
      scope.postMessage({
        crashed: errorToFields(new Error(`it called Deno.exit(${code ?? ""})`)),
      });
      return exit(code);
    },
  });
  Object.defineProperty(globalThis, "close", {
    configurable: true,
    value: () => {
      scope.postMessage({ crashed: errorToFields(new Error("it called self.close()")) });
    },
  });
}

if (scope.name === THREAD_NAME) serve();
