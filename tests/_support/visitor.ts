/**
 * A visitor of an app: keeps cookies as a browser does, as far as tests of the app need it.
 *
 * @module
 */

import { parseSetCookie } from "cookie";
import { Atila } from "../../src/atila/mod.ts";
import type { AppAnswer } from "../../src/atila/mod.ts";

/** A key for tests. */
export const KEY = "a key of tests with more than enough characters";
/** Another one. */
export const OTHER_KEY = "another key of tests, which has nothing to do with it";

/** An app with a key. */
export function keyedApp(): Atila {
  const app = new Atila(import.meta.url);
  app.securekey = KEY;
  return app;
}

/** Sends requests with the cookies it got. */
export class VisitorClient {
  /** Cookies by name. */
  readonly cookies = new Map<string, string>();
  /** `Set-Cookie` lines of the last answer. */
  lines: string[] = [];
  #app: Atila;
  #point: string;

  /** A visitor without cookies. */
  constructor(app: Atila, point = "/") {
    this.#app = app;
    this.#point = point;
  }

  /** A second one with the same cookies: what a thief would have. */
  copy(): VisitorClient {
    const other = new VisitorClient(this.#app, this.#point);
    for (const [name, value] of this.cookies) other.cookies.set(name, value);
    return other;
  }

  /** The cookies as they are sent. */
  get header(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** GET. */
  get(path: string, options: { remoteAddr?: string; headers?: HeadersInit } = {}) {
    return this.request("GET", path, undefined, options);
  }

  /** POST of a form. */
  post(path: string, form: Record<string, string> = {}, headers: HeadersInit = {}) {
    return this.request("POST", path, new URLSearchParams(form), { headers });
  }

  /** Any request. */
  async request(
    method: string,
    path: string,
    data?: unknown,
    options: { remoteAddr?: string; headers?: HeadersInit } = {},
  ): Promise<AppAnswer> {
    const headers = new Headers(options.headers);
    if (this.cookies.size > 0) headers.set("cookie", this.header);
    const answer = await this.#app.makeClient(this.#point)
      .request(method, path, data, { ...options, headers });
    this.take(answer.headers);
    return answer;
  }

  /** Keeps what a response sets. */
  take(headers: Headers): void {
    this.lines = headers.getSetCookie();
    for (const line of this.lines) {
      const { name, maxAge } = parseSetCookie(line);
      const value = line.slice(line.indexOf("=") + 1).split(";")[0]!;
      if (maxAge === 0) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }
}

/** Moves the clock of this isolate by hand; time stands still until it is disposed of. */
export class StoppedClock implements Disposable {
  #real = Date.now;
  #now: number;

  /** Stops it. */
  constructor() {
    this.#now = Math.floor(this.#real() / 1000) * 1000;
    Date.now = () => this.#now;
  }

  /** Moves it on. */
  pass(seconds: number): void {
    this.#now += seconds * 1000;
  }

  /** Now, in seconds since 1970. */
  get seconds(): number {
    return this.#now / 1000;
  }

  [Symbol.dispose](): void {
    Date.now = this.#real;
  }
}

/** Runs something while the app log goes to a list, and gives the lines. */
export async function logged(run: () => Promise<unknown>): Promise<string> {
  const { wac } = await import("../../src/was/wac.ts");
  const before = wac.logger;
  const lines: string[] = [];
  const log = {
    log: (text: string) => void lines.push(text),
    trace: (error: unknown) => void lines.push(String((error as Error).stack ?? error)),
  };
  wac.logger = { get: () => log, makeLogger: () => log, rotate: () => {} };
  try {
    await run();
  } finally {
    wac.logger = before;
  }
  return lines.join("\n");
}
