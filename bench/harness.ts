/**
 * Runs subjects as processes of their own, loads them in turn, and compares medians.
 *
 * Machines are noisy, so nothing here is an absolute figure: every round measures each subject once,
 * the rounds are interleaved, and what counts is the ratio of the medians of one run.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { TemporaryDirectory } from "./temporary_directory.ts";

/** A server to measure. */
export interface Subject {
  /** Name in the table. */
  readonly name: string;
  /** Command; `{port}` stands for the port it is given. The first word `deno` means this very Deno. */
  readonly command: readonly string[];
  /** Path and query to load. Default `/`. */
  readonly path?: string;
  /** Request headers. */
  readonly headers?: Record<string, string>;
  /** Environment variables. */
  readonly env?: Record<string, string>;
}

/** A subject that answers. */
export interface Running extends AsyncDisposable {
  /** What it is. */
  readonly subject: Subject;
  /** Port it listens on. */
  readonly port: number;
  /** Its process. */
  readonly pid: number;
  /** Milliseconds from the start of the process to its first answer. */
  readonly startedAfterMs: number;
}

/** Folder of the benchmarks. */
export const HERE: string = fileURLToPath(new URL(".", import.meta.url));

/** A port nobody listens on right now. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/**
 * Starts a subject and waits for its first answer. What it writes and makes among the temporary files
 * is gone when it is disposed of.
 *
 * @throws {Error} with its output when it ends, answers with an error, or gives no answer within 15 s.
 */
export async function start(subject: Subject): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(await TemporaryDirectory.make());
  const log = `${directory}/output`;
  const port = freePort();
  const words = subject.command.map((word) => word.replaceAll("{port}", String(port)));
  const program = words[0] === "deno" ? Deno.execPath() : words[0]!;
  const began = performance.now();
  // The shell only redirects: output must go to a file, never to a pipe nobody reads.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log, program, ...words.slice(1)],
    cwd: HERE,
    env: {
      PORT: String(port),
      SKITAI_TEST_PORT: String(port),
      SKITAI_ENV: "PRODUCTION",
      NODE_ENV: "production",
      TMPDIR: directory,
      ...subject.env,
    },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  stack.defer(async () => {
    if (ended) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 8000);
    await child.status;
    clearTimeout(timer);
  });
  const url = `http://127.0.0.1:${port}${subject.path ?? "/"}`;
  for (;;) {
    const status = await answer(port, url);
    if (status !== undefined && status >= 200 && status < 300) break;
    const problem = status !== undefined
      ? `answered ${status} to ${url}`
      : ended
      ? "ended at its start"
      : performance.now() - began > 15_000
      ? "does not answer"
      : undefined;
    if (problem !== undefined) {
      throw new Error(`${subject.name} ${problem}:\n${await Deno.readTextFile(log)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const startedAfterMs = performance.now() - began;
  const kept = stack.move();
  return {
    subject,
    port,
    pid: child.pid,
    startedAfterMs,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Status of the answer to a GET, or `undefined` while nobody listens there. */
async function answer(port: number, url: string): Promise<number | undefined> {
  try {
    // A client that is refused takes its time; a bare connection tells at once.
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return undefined;
    throw error;
  }
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    // It listens, but is not ready to answer.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Options of one load. */
export interface LoadOptions {
  /** Seconds. Default 3. */
  readonly seconds?: number;
  /** Connections. Default 64. */
  readonly connections?: number;
  /** Path instead of the subject's own. */
  readonly path?: string;
}

/** What a load gave. */
export interface Load {
  /** Requests a second. */
  readonly rate: number;
  /** Median latency in milliseconds. */
  readonly medianMs: number;
  /** Megabytes a second. */
  readonly megabytes: number;
  /** Microseconds of processor time that the process and its children took for a request. */
  readonly cpuMicros: number;
}

/** Loads a subject with wrk. @throws {Error} when anything but 2xx came back. */
export async function load(running: Running, options: LoadOptions = {}): Promise<Load> {
  const { seconds = 3, connections = 64 } = options;
  const path = options.path ?? running.subject.path ?? "/";
  const before = await processorSeconds(running.pid);
  const { stdout } = await new Deno.Command("wrk", {
    args: [
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "--latency",
      ...Object.entries(running.subject.headers ?? {}).flatMap(([name, value]) => [
        "-H",
        `${name}: ${value}`,
      ]),
      `http://127.0.0.1:${running.port}${path}`,
    ],
    stdout: "piped",
    stderr: "null",
  }).output();
  const after = await processorSeconds(running.pid);
  const text = new TextDecoder().decode(stdout);
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text) ?? /Socket errors: (.*)/.exec(text);
  if (bad !== null && !/^connect 0, read 0, write 0/.test(bad[1]!)) {
    throw new Error(`${running.subject.name}: ${bad[0]}`);
  }
  const unit = (value: string, suffix: string): number =>
    Number(value) *
    ({ us: 1e-3, ms: 1, s: 1000, B: 1e-6, KB: 1e-3, MB: 1, GB: 1000 }[suffix] ?? NaN);
  const latency = /50%\s+([\d.]+)(us|ms|s)/.exec(text)!;
  const transfer = /Transfer\/sec:\s+([\d.]+)(\wB|B)/.exec(text)!;
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)![1]),
    medianMs: unit(latency[1]!, latency[2]!),
    megabytes: unit(transfer[1]!, transfer[2]!),
    cpuMicros: (after - before) * 1e6 / Number(/(\d+) requests in/.exec(text)![1]),
  };
}

/** Processor time that a process and its children have taken, in seconds, from `/proc`. */
async function processorSeconds(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // After the name in brackets: state, …, user time and system time in hundredths of a second.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  let sum = (Number(fields[11]) + Number(fields[12])) / 100;
  const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  for (const child of children.trim().split(" ").filter(Boolean)) {
    sum += await processorSeconds(Number(child));
  }
  return sum;
}

/** Middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Measures subjects in interleaved rounds. All run at the same time but only one is under load; the
 * first round warms up and does not count.
 */
export async function rounds(
  subjects: readonly Subject[],
  count: number,
  options: LoadOptions = {},
): Promise<Map<string, Load[]>> {
  await using stack = new AsyncDisposableStack();
  const running: Running[] = [];
  for (const subject of subjects) running.push(stack.use(await start(subject)));
  const results = new Map<string, Load[]>(subjects.map(({ name }) => [name, []]));
  for (let round = -1; round < count; round++) {
    // Whoever comes later may find a warmer machine or database: all take turns at that.
    for (const one of round % 2 === 0 ? running : running.toReversed()) {
      const measured = await load(one, round === -1 ? { ...options, seconds: 1 } : options);
      if (round >= 0) results.get(one.subject.name)!.push(measured);
    }
  }
  return results;
}
