/**
 * Services of `log_service.ts`: starting them, and reading their logs.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseRequestLine, type RequestFacts } from "../../src/wire/request_line.ts";
import { type ServiceProcess, type StartOptions, Workshop } from "./service_process.ts";
import { linesOf } from "./log_directory.ts";

const SCRIPT = fileURLToPath(new URL("./log_service.ts", import.meta.url));

/** A service of `log_service.ts` with the directory of its logs. */
export class LogService implements AsyncDisposable {
  /** The process that was started. */
  readonly process: ServiceProcess;
  /** Where its logs are, unless they are elsewhere. */
  readonly logs: string;
  #workshop: Workshop;

  private constructor(workshop: Workshop, logs: string, process: ServiceProcess) {
    this.#workshop = workshop;
    this.logs = logs;
    this.process = process;
  }

  /**
   * Starts one. `env` goes to the script; a `LOG_DIR` of `""` leaves file logging off. Without one the
   * logs are in a directory of their own.
   */
  static async start(
    env: Record<string, string> = {},
    { script = SCRIPT, ...options }: StartOptions & { script?: string } = {},
  ): Promise<LogService> {
    const workshop = await Workshop.open();
    const logs = join(workshop.path, "logs");
    const { LOG_DIR = logs, ...rest } = env;
    const process = workshop.start(script, {
      ...options,
      env: { ...(LOG_DIR === "" ? {} : { LOG_DIR }), ...rest },
    });
    return new LogService(workshop, logs, process);
  }

  /** Its port, once it serves. */
  async port(): Promise<number> {
    const line = await this.process.line(/\[info\] serving on /);
    return Number(/serving on \S*127\.0\.0\.1(?: port |:)(\d+)/.exec(line)![1]);
  }

  /** Stops it in order; everything is in its logs then. Gives the exit code. */
  stop(): Promise<number> {
    this.process.signal("SIGTERM");
    return this.process.code();
  }

  /** Names of the files of a log, old ones first. */
  files(log: string): string[] {
    return [...Deno.readDirSync(this.logs)].map(({ name }) => name)
      .filter((name) => name === `${log}.log` || name.startsWith(`${log}-2`)).sort();
  }

  /** Lines of all files of a log. */
  lines(log: string): string[] {
    return this.files(log).flatMap((name) => linesOf(join(this.logs, name)));
  }

  /** The requests of all request logs. Throws for a line that is none. */
  requests(): RequestFacts[] {
    return this.lines("request").map(parseRequestLine);
  }

  /** The address of a path. */
  async url(path: string): Promise<string> {
    return `http://127.0.0.1:${await this.port()}${path}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#workshop[Symbol.asyncDispose]();
  }
}

/** Asks with curl; headers as curl takes them. Gives the body. */
export async function fetchText(url: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("curl", {
    args: ["-s", "-m", "20", ...args, url],
  }).output();
  return new TextDecoder().decode(stdout);
}
