/**
 * Directories of logs, processes that write to them, and what is in them afterwards.
 *
 * @module
 */

import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const WRITER = fileURLToPath(new URL("./log_writer.ts", import.meta.url));

/** A directory that is removed at the end. */
export class LogDirectory implements AsyncDisposable {
  /** Its path. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes one. */
  static async make(): Promise<LogDirectory> {
    return new LogDirectory(await Deno.makeTempDir({ prefix: "skitai-logs-" }));
  }

  /** Path of a file in it. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Names of the files of a log or of all, sorted; the state of the rotation is none. */
  names(log = ""): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name)
      .filter((name) => name.startsWith(log) && name.endsWith(".log")).sort();
  }

  /** Lines of all files of a log, or of all logs. A file that does not end with a line break is an error. */
  lines(log = ""): string[] {
    return this.names(log).flatMap((name) => linesOf(join(this.path, name)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path, { recursive: true });
  }
}

/** Lines of a file that ends with a line break, or is empty. */
export function linesOf(path: string): string[] {
  const text = Deno.readTextFileSync(path);
  if (text === "") return [];
  if (!text.endsWith("\n")) {
    throw new Error(`${basename(path)} ends within a line: ${JSON.stringify(text.slice(-200))}`);
  }
  return text.slice(0, -1).split("\n");
}

/** A process of `log_writer.ts`. */
export class LogWriter implements AsyncDisposable {
  /** What it has written to standard error. */
  errors = "";
  #child: Deno.ChildProcess;
  #output: ReadableStreamDefaultReader<string>;
  #reading: Promise<void>;

  private constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", WRITER, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#reading = this.#read();
  }

  /** Starts one and waits until its threads are ready. */
  static async start(
    directory: string,
    name: string,
    { threads = 2, lines = 1000, pauseMs = 0 }: {
      threads?: number;
      lines?: number;
      pauseMs?: number;
    } = {},
  ): Promise<LogWriter> {
    const writer = new LogWriter([
      directory,
      name,
      ...[threads, lines, pauseMs].map(String),
    ]);
    await writer.#said("ready");
    return writer;
  }

  /** Lets it write; resolves when it has written everything and closed its logs. */
  async run(): Promise<void> {
    await this.#child.stdin.close();
    await this.#said("done");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
    await this.#output.cancel();
    await this.#reading;
    await this.#child.status;
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.errors += text;
    }
  }

  async #said(word: string): Promise<void> {
    let text = "";
    while (!text.includes(word)) {
      const { done, value } = await this.#output.read();
      if (done) throw new Error(`The writer ended without saying ${word}: ${text}${this.errors}`);
      text += value;
    }
  }
}

/**
 * Checks that each line of writers is there once and whole: numbers 0 up to `lines` of each id, in their
 * order within a file. Throws where it is not so.
 */
export function checkLines(found: readonly string[], ids: readonly string[], lines: number): void {
  const seen = new Map(ids.map((id) => [id, new Uint8Array(lines)]));
  for (const line of found) {
    const match = /^(\S+) (\d+) (x*)\.$/.exec(line);
    const numbers = match === null ? undefined : seen.get(match[1]!);
    const number = Number(match?.[2]);
    if (numbers === undefined || match![3]!.length !== number % 97) {
      throw new Error(`Torn or strange: ${JSON.stringify(line.slice(0, 300))}`);
    }
    if (numbers[number]!++ > 0) throw new Error(`Twice: ${line.slice(0, 300)}`);
  }
  for (const [id, numbers] of seen) {
    const lost = numbers.reduce((sum, count) => sum + (count === 0 ? 1 : 0), 0);
    if (lost > 0) throw new Error(`${lost} of ${lines} lines of ${id} are lost`);
  }
}
