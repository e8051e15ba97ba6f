/**
 * A process with threads that all write to the logs of one directory, to see what becomes of the lines.
 * Arguments: the directory, a name, the number of threads, the lines of each, milliseconds between
 * bursts of lines. It prints `ready`, waits for the end of its input, and prints `done`.
 *
 * @module
 */

import { createLogger } from "../../src/store/logs.ts";

interface Job {
  readonly directory: string;
  readonly id: string;
  readonly lines: number;
  readonly pauseMs: number;
}

/** Lines between two pauses. */
const BURST = 25;

/** Writes `<id> <number> xxx.` to the request log, and every hundredth to the app log as an entry. */
async function write({ directory, id, lines, pauseMs }: Job): Promise<void> {
  using logger = createLogger({ directory, console: false });
  const request = logger.lines("request");
  const app = logger.get("app");
  for (let n = 0; n < lines; n++) {
    request.write(`${id} ${n} ${"x".repeat(n % 97)}.`);
    if (n % 100 === 0) app.log(`${id} ${n} of ${lines}\nwith a second line`);
    if (n % BURST === 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Job>) => void) | null;
  postMessage(message: unknown): void;
  readonly name?: string;
};

if (scope.name === "writer") {
  scope.onmessage = async ({ data }) => {
    await write(data);
    scope.postMessage("done");
  };
  scope.postMessage("ready");
} else {
  const [directory = "", name = "", threads = "1", lines = "1", pauseMs = "0"] = Deno.args;
  const workers = Array.from(
    { length: Number(threads) },
    () => new Worker(import.meta.url, { type: "module", name: "writer" }),
  );
  const message = (worker: Worker) =>
    new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
  await Promise.all(workers.map(message));
  // deno-lint-ignore no-console -- what the test waits for
  console.log("ready");
  await Deno.stdin.readable.pipeTo(new WritableStream());
  const done = workers.map(message);
  for (const [index, worker] of workers.entries()) {
    const id = `${name}${index}`;
    worker.postMessage({ directory, id, lines: Number(lines), pauseMs: Number(pauseMs) });
  }
  await Promise.all(done);
  for (const worker of workers) worker.terminate();
  // deno-lint-ignore no-console -- as above
  console.log("done");
}
