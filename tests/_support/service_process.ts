/**
 * Start scripts as real processes, with what they print, and foreign clients against them.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SUPPORT = dirname(fileURLToPath(import.meta.url));

/** How long anything may take before a test gives up, in milliseconds. */
export const LIMIT_MS = 60_000;

/** A directory of its own for a service: script, runtime files, logs. Removed at the end. */
export class Workshop implements AsyncDisposable {
  /** Directory of everything. */
  readonly path: string;
  /** Directory of the start script. */
  readonly appPath: string;
  #started: ServiceProcess[] = [];

  private constructor(path: string) {
    this.path = path;
    this.appPath = join(path, "shop");
  }

  /** Makes the directory. */
  static async open(): Promise<Workshop> {
    const workshop = new Workshop(
      await Deno.realPath(await Deno.makeTempDir({ prefix: "skitai-" })),
    );
    await Deno.mkdir(workshop.appPath);
    return workshop;
  }

  /** Writes a start script on the fake engine; `fake` and `options` are source text of object literals. */
  async script(
    { name = "app.ts", options = "{}", fake = "{}", before = "" }: {
      name?: string;
      options?: string;
      fake?: string;
      before?: string;
    } = {},
  ): Promise<string> {
    const path = join(this.appPath, name);
    await Deno.writeTextFile(
      path,
      `import { runFake } from ${JSON.stringify(join(SUPPORT, "fake_engine.ts"))};
import { service, setWorkerCriticalPoint } from ${
        JSON.stringify(join(SUPPORT, "../../src/server/service.ts"))
      };
void service, setWorkerCriticalPoint;
${before}
const server = await runFake(${options}, ${fake});
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
`,
    );
    return path;
  }

  /** Runs a script. Its runtime directory is inside the workshop. */
  start(script: string, options: StartOptions = {}): ServiceProcess {
    const service = new ServiceProcess(script, {
      ...options,
      env: { SKITAI_VAR: join(this.path, "var"), NO_COLOR: "1", ...options.env },
    });
    this.#started.push(service);
    return service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.map((service) => service[Symbol.asyncDispose]()));
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Options of a process. */
export interface StartOptions {
  /** Arguments of the script. */
  args?: string[];
  /** Flags of deno besides `-A`. */
  flags?: string[];
  /** What deno is asked to do with the script. Default `["run", "-A"]`. */
  command?: string[];
  /** Environment besides that of the tests. */
  env?: Record<string, string>;
  /** Directory to start in. Default: that of the tests. */
  cwd?: string;
}

/** A running start script. */
export class ServiceProcess implements AsyncDisposable {
  /** Everything it has printed, line by line, standard output and error together. */
  readonly lines: string[] = [];
  /** Its end. */
  readonly status: Promise<Deno.CommandStatus>;
  #child: Deno.ChildProcess;
  #read: Promise<unknown>;
  #waiting = new Set<() => void>();
  #ended = false;
  #silent = false;

  /** Starts it. */
  constructor(
    script: string,
    { args = [], flags = [], command = ["run", "-A"], env = {}, cwd }: StartOptions,
  ) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...command, ...flags, script, ...args],
      env,
      cwd,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.status = this.#child.status.finally(() => this.#ended = true);
    this.#read = Promise.all([this.#follow(this.#child.stdout), this.#follow(this.#child.stderr)])
      .finally(() => {
        this.#silent = true;
        for (const wake of this.#waiting) wake();
      });
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Waits until a line fits, one that is there already included, and returns it. */
  async line(pattern: RegExp, { from = 0 }: { from?: number } = {}): Promise<string> {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const found = this.lines.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      // A daemon may keep the pipes of the process that started it; those that are closed stay silent.
      if (this.#silent || Date.now() > deadline) this.#fail(`no line fits ${pattern}`);
      await this.#change(deadline);
    }
  }

  /** Port of a script that prints when it listens: in the first process, not in those below it. */
  async port(): Promise<number> {
    const line = await this.line(new RegExp(`^listening .* ${this.pid}$`));
    return Number(line.split(" ")[2]);
  }

  /** Sends a signal. */
  signal(name: Deno.Signal): void {
    this.#child.kill(name);
  }

  /** Waits for the end and returns the exit code. */
  async code(): Promise<number> {
    const status = await within(this.status, () => `process ${this.pid} did not end`, this.lines);
    await this.#read;
    return status.code;
  }

  /** Ends it, gracefully first, so that what it started ends too. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), LIMIT_MS);
      await this.status;
      clearTimeout(timer);
    }
    await this.#read;
  }

  async #follow(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      this.lines.push(...parts);
      for (const wake of this.#waiting) wake();
    }
    if (rest !== "") this.lines.push(rest);
  }

  #change(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(0, deadline - Date.now()) + 1);
      this.#waiting.add(wake);
    });
  }

  #fail(what: string): never {
    throw new Error(`${what} in:\n${this.lines.join("\n")}`);
  }
}

/** A promise with a deadline. */
export async function within<T>(
  promise: Promise<T>,
  what: () => string,
  lines: readonly string[] = [],
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what()} within ${LIMIT_MS} ms\n${lines.join("\n")}`)),
      LIMIT_MS,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer fits, and returns it. */
export async function until<T>(
  ask: () => Promise<T> | T,
  fits: (answer: T) => boolean,
  what: string,
): Promise<T> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`${what}; last answer: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What curl got: status 0 when there was no answer. Each call is a connection of its own. */
export async function curl(
  port: number,
  path: string,
  { seconds = 15 }: { seconds?: number } = {},
): Promise<{ status: number; body: string }> {
  const { stdout } = await new Deno.Command("curl", {
    args: ["-s", "-m", String(seconds), "-w", "\n%{http_code}", `http://127.0.0.1:${port}${path}`],
  }).output();
  const text = new TextDecoder().decode(stdout);
  const end = text.lastIndexOf("\n");
  return { status: Number(text.slice(end + 1)), body: text.slice(0, end) };
}

/** Requests to a fake engine that are under way until they are let go. */
export class HeldRequests {
  readonly #port: number;
  readonly #directory: string;

  private constructor(port: number, directory: string) {
    this.#port = port;
    this.#directory = directory;
  }

  /** For the engine on a port. */
  static async open(workshop: Workshop, port: number): Promise<HeldRequests> {
    return new HeldRequests(port, await Deno.makeTempDir({ dir: workshop.path, prefix: "held-" }));
  }

  /** One more; its body is `held`. */
  ask(): Promise<{ status: number; body: string }> {
    return curl(this.#port, `/held?in=${this.#directory}`, { seconds: LIMIT_MS / 1000 });
  }

  /** Waits until handlers have so many of them. */
  async begun(count = 1): Promise<void> {
    const many = () => Array.from(Deno.readDirSync(this.#directory)).length;
    await until(many, (begun) => begun === count, `${count} requests under way`);
  }

  /** Lets them be answered. */
  async release(): Promise<void> {
    await Deno.writeTextFile(`${this.#directory}/go`, "");
  }
}

/** What the fake engine says about itself. */
export interface Who {
  readonly pid: number;
  readonly worker: number;
  readonly id: string;
  readonly daemon: boolean;
  readonly reloaded: boolean;
  readonly version: string;
  readonly requests: number;
}

/** Asks a fake engine who answers; `undefined` when nobody does. */
export async function who(port: number, seconds = 5): Promise<Who | undefined> {
  const { status, body } = await curl(port, "/who", { seconds });
  return status === 200 ? JSON.parse(body) : undefined;
}

/** Waits for the end of a process, and kills it when it does not come. */
export async function ended(pid: number): Promise<void> {
  const isThere = () => Deno.stat(`/proc/${pid}`).then(() => true, () => false);
  try {
    await until(isThere, (is) => !is, `the end of process ${pid}`);
  } finally {
    if (await isThere()) Deno.kill(pid, "SIGKILL");
  }
}
