/**
 * The test client: a process that serves an app script, and requests with cookies.
 *
 * @module
 */

import { concatBytes } from "../../core/concat_bytes.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isPlainObject } from "../../core/plain_object.ts";
import { TEST_ADDRESS_ENV, TEST_PORT_ENV } from "../run_settings.ts";
import { checkOptions } from "../service.ts";
import { type ApiStub, createApiStub } from "./api_stub.ts";
import { CookieJar } from "./cookie_jar.ts";

/** Options of {@link testClient}. */
export interface TestClientOptions {
  /** The script serves HTTPS; its certificate is not checked. Default false. */
  ssl?: boolean;
  /** Keep what the server prints for `output()`, and show it when it does not start. Default true. */
  silent?: boolean;
  /** Start nothing: use the server that runs on that port already. Default false. */
  dry?: boolean;
  /** Arguments for the script. Default none. */
  args?: readonly string[];
  /** Milliseconds to wait for the first answer. Default 10 000. */
  startTimeoutMs?: number;
}

/** What a request may carry. */
export interface TestRequestOptions {
  /** Headers. */
  headers?: HeadersInit;
  /** Follow redirects. Default true. */
  redirect?: boolean;
}

/** An answer, read completely. */
export interface TestAnswer {
  /** Status code. */
  readonly statusCode: number;
  /** Reason phrase. */
  readonly reason: string;
  /** Headers. */
  readonly headers: Headers;
  /** Body as text. */
  readonly text: string;
  /** Body as bytes. */
  readonly content: Uint8Array;
  /** Body parsed by its content type: JSON as a value, everything else as text. Throws for broken JSON. */
  // deno-lint-ignore no-explicit-any -- whatever the server sent
  readonly data: any;
  /** Address that answered, after redirects. */
  readonly url: string;
}

/** A server under test, and requests to it. */
export interface TestClient extends AsyncDisposable {
  /** Address of the server, without a final slash. */
  readonly origin: string;
  /** False when the server was running before and is left running. */
  readonly started: boolean;
  /** Process of the server, if this client started it. */
  readonly pid: number | undefined;
  /** Cookies kept, by name. */
  readonly cookies: ReadonlyMap<string, string>;
  /** What the server has printed so far; `""` when that is shown instead, or the server was running before. */
  output(): string;
  /** GET. */
  get(path: string, options?: TestRequestOptions): Promise<TestAnswer>;
  /** HEAD. */
  head(path: string, options?: TestRequestOptions): Promise<TestAnswer>;
  /** OPTIONS. */
  options(path: string, options?: TestRequestOptions): Promise<TestAnswer>;
  /** POST: an object as JSON, everything else as it is. */
  post(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer>;
  /** PUT. */
  put(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer>;
  /** PATCH. */
  patch(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer>;
  /** DELETE. */
  delete(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer>;
  /** A path by properties and calls; answers that are not 2xx throw. */
  api(prefix?: string): ApiStub;
  /** Ends the server, if this client started it. Safe to call twice. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const MAX_REDIRECTS = 10;
const STOP_MS = 10_000;
const OPTIONS = [
  "ssl",
  "silent",
  "dry",
  "args",
  "startTimeoutMs",
] satisfies (keyof TestClientOptions)[];

/**
 * Starts an app script as a real server on a port of yours, whatever port the script itself names, and
 * waits until it answers.
 *
 * A server that listens on that port already is used and left running.
 *
 * @param script Path, relative to the working directory, or a `file:` address such as
 * `new URL("./app.ts", import.meta.url)`.
 * @throws {ConfigError} for an unknown option.
 * @throws {Error} with the output of the server when it does not answer in time; with `dry`, when none runs.
 */
export async function testClient(
  script: string | URL,
  port: number,
  options: TestClientOptions = {},
): Promise<TestClient> {
  checkOptions("testClient", options, OPTIONS);
  const { ssl = false, silent = true, dry = false, args = [], startTimeoutMs = 10_000 } = options;
  const path = script instanceof URL || script.startsWith("file:")
    ? fileURLToPath(script)
    : resolve(script);
  const origin = `${ssl ? "https" : "http"}://${HOST}:${port}`;
  if (await isListening(port)) return new RunningClient(origin, undefined);
  if (dry) throw new Error(`Cannot test ${path} dry: nothing listens on port ${port}`);

  const server = new ServerProcess(path, port, args, silent);
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    if (await answers(origin, deadline)) return new RunningClient(origin, server);
    const ended = await server.endedWithin(50);
    if (ended !== undefined) {
      await server.stop();
      const how = typeof ended === "number" ? `with code ${ended}` : `by ${ended}`;
      throw new Error(`${path} ended ${how} before it served:\n${server.output()}`);
    }
    if (Date.now() > deadline) {
      await server.stop();
      throw new Error(
        `${path} did not answer on port ${port} within ${startTimeoutMs} ms:\n${server.output()}`,
      );
    }
  }
}

/** @deprecated Use {@link testClient}. */
export const launch: typeof testClient = testClient;

async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: HOST, port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/**
 * Whether the server under test answers. A connection alone proves nothing: while it starts, a
 * supervisor opens the port for a moment to see that it is free. TRACE is refused by every front, so
 * the question does not reach the app.
 */
function answers(origin: string, deadline: number): Promise<boolean> {
  return new Promise((done) => {
    const { request } = origin.startsWith("https:") ? https : http;
    const probe = request(`${origin}/`, {
      method: "TRACE",
      agent: false,
      rejectUnauthorized: false,
      timeout: Math.max(1, deadline - Date.now()),
    }, (message) => {
      message.resume();
      message.on("close", () => done(true));
    });
    probe.on("timeout", () => probe.destroy());
    // Refused, reset, or no TLS yet: it is asked again until the time is over.
    probe.on("error", () => done(false));
    probe.end();
  });
}

/**
 * The process of the script. What it prints goes to a file instead of a pipe: reading a pipe never ends
 * while the server lives, and a test with leak checks would be blamed for it.
 */
class ServerProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  /** Exit code, or the signal it was ended by. */
  readonly #ended: Promise<number | string>;
  #file: string | undefined;
  #output = "";
  #stopped: Promise<void> | undefined;

  constructor(script: string, port: number, args: readonly string[], silent: boolean) {
    this.#file = silent ? Deno.makeTempFileSync({ prefix: "skitai-test-" }) : undefined;
    const out = this.#file === undefined ? "inherit" : openSync(this.#file, "w");
    try {
      this.#child = spawn(
        Deno.execPath(),
        ["run", "-A", "--quiet", "--no-prompt", script, ...args],
        {
          env: {
            ...Deno.env.toObject(),
            [TEST_PORT_ENV]: String(port),
            [TEST_ADDRESS_ENV]: HOST,
          },
          stdio: ["ignore", out, out],
        },
      );
    } finally {
      if (typeof out === "number") closeSync(out);
    }
    this.pid = this.#child.pid!;
    this.#ended = new Promise((done) => {
      this.#child.on("exit", (code, signal) => done(code ?? signal ?? 0));
    });
  }

  output(): string {
    if (this.#file !== undefined) this.#output = Deno.readTextFileSync(this.#file);
    return this.#output;
  }

  async endedWithin(ms: number): Promise<number | string | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait = new Promise<undefined>((done) => {
      timer = setTimeout(() => done(undefined), ms);
    });
    const end = await Promise.race([this.#ended, wait]);
    clearTimeout(timer);
    return end;
  }

  /** Asks it to stop, then insists. Its output stays known. */
  stop(): Promise<void> {
    return this.#stopped ??= (async () => {
      this.#child.kill("SIGTERM");
      if (await this.endedWithin(STOP_MS) === undefined) this.#child.kill("SIGKILL");
      await this.#ended;
      if (this.#file === undefined) return;
      this.output();
      const file = this.#file;
      this.#file = undefined;
      await Deno.remove(file);
    })();
  }
}

/** Requests to a server, started or found. */
class RunningClient implements TestClient {
  readonly origin: string;
  readonly #server: ServerProcess | undefined;
  readonly #jar = new CookieJar();

  constructor(origin: string, server: ServerProcess | undefined) {
    this.origin = origin;
    this.#server = server;
  }

  get started(): boolean {
    return this.#server !== undefined;
  }
  get pid(): number | undefined {
    return this.#server?.pid;
  }
  get cookies(): ReadonlyMap<string, string> {
    return this.#jar.values();
  }
  output(): string {
    return this.#server?.output() ?? "";
  }

  get(path: string, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("GET", path, undefined, options);
  }
  head(path: string, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("HEAD", path, undefined, options);
  }
  options(path: string, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("OPTIONS", path, undefined, options);
  }
  post(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("POST", path, data, options);
  }
  put(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("PUT", path, data, options);
  }
  patch(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("PATCH", path, data, options);
  }
  delete(path: string, data?: unknown, options?: TestRequestOptions): Promise<TestAnswer> {
    return this.#request("DELETE", path, data, options);
  }

  api(prefix = ""): ApiStub {
    return createApiStub(async (method, path, data, query) => {
      const text = new URLSearchParams(
        Object.entries(query ?? {}).flatMap(([name, value]) =>
          value === undefined ? [] : [value].flat().map((one) => [name, String(one)])
        ),
      ).toString();
      const answer = await this.#request(method, text === "" ? path : `${path}?${text}`, data, {
        headers: { accept: "application/json" },
      });
      if (answer.statusCode < 200 || answer.statusCode > 299) {
        throw new Error(`${method} ${path} answered ${answer.statusCode}: ${answer.text}`, {
          cause: answer,
        });
      }
      return answer.data;
    }, prefix.replace(/\/$/, ""));
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #request(
    method: string,
    path: string,
    data: unknown,
    { headers, redirect = true }: TestRequestOptions = {},
  ): Promise<TestAnswer> {
    let url = path.startsWith("/") ? withTarget(this.origin, path) : new URL(path, this.origin);
    let target = path.startsWith("/") ? encodeTarget(path) : url.pathname + url.search;
    const given = new Headers(headers);
    let body = await bodyOf(data, given);
    for (let hop = 0;; hop++) {
      const answer = await send(method, url, target, this.#headersFor(url, given), body);
      if (url.origin === this.origin) this.#jar.keep(answer.headers, url.pathname);
      const location = answer.headers.get("location");
      const { statusCode } = answer;
      if (!redirect || location === null || ![301, 302, 303, 307, 308].includes(statusCode)) {
        return answer;
      }
      if (hop === MAX_REDIRECTS) throw new Error(`${path} redirects more than ${hop} times`);
      url = new URL(location, url);
      target = url.pathname + url.search;
      const becomesGet = statusCode === 303
        ? method !== "HEAD"
        : statusCode < 303 && method === "POST";
      if (becomesGet) {
        method = "GET";
        body = undefined;
        given.delete("content-type");
      }
    }
  }

  /** Headers of one request. What belongs to this server is not told to another one. */
  #headersFor(url: URL, given: Headers): Headers {
    const headers = new Headers(given);
    if (url.origin !== this.origin) {
      headers.delete("cookie");
      headers.delete("authorization");
    } else if (!headers.has("cookie")) {
      const cookies = this.#jar.header(url.pathname);
      if (cookies !== "") headers.set("cookie", cookies);
    }
    return headers;
  }
}

/** A path is sent as the test wrote it, dots and double slashes included; only what HTTP cannot carry is encoded. */
function encodeTarget(path: string): string {
  return path.replace(/#.*$/s, "").replace(/[^\x21-\x7e]+/g, encodeURI);
}

function withTarget(origin: string, path: string): URL {
  return new URL(origin + encodeTarget(path));
}

/** The bytes of a request body; sets the content type that goes with it. */
async function bodyOf(data: unknown, headers: Headers): Promise<Uint8Array | undefined> {
  if (data === undefined) return undefined;
  const isPlain = Array.isArray(data) || isPlainObject(data);
  const request = new Request("http://localhost/", {
    method: "POST",
    body: isPlain ? JSON.stringify(data) : data as BodyInit,
    headers: isPlain ? { "content-type": "application/json" } : {},
  });
  const type = request.headers.get("content-type");
  if (!headers.has("content-type") && type !== null) headers.set("content-type", type);
  return await request.bytes();
}

/**
 * One request on a connection of its own. `fetch` could not be told to accept the certificate of this
 * server alone, and would keep connections that hold up a graceful stop.
 */
function send(
  method: string,
  url: URL,
  target: string,
  headers: Headers,
  body: Uint8Array | undefined,
): Promise<TestAnswer> {
  return new Promise((done, failed) => {
    const options: https.RequestOptions = {
      method,
      path: target,
      agent: false,
      rejectUnauthorized: false,
      headers: {
        ...Object.fromEntries(headers),
        ...(body === undefined ? {} : { "content-length": body.byteLength }),
      },
    };
    const request = (url.protocol === "https:" ? https : http).request(url, options, (message) => {
      const chunks: Uint8Array[] = [];
      message.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      message.on("error", failed);
      message.on("aborted", () => failed(new Error(`${method} ${url} was cut off by the server`)));
      message.on("end", () => {
        const answered = new Headers();
        for (let i = 0; i < message.rawHeaders.length; i += 2) {
          answered.append(message.rawHeaders[i]!, message.rawHeaders[i + 1]!);
        }
        done(
          new Answer(message.statusCode!, message.statusMessage ?? "", answered, chunks, url.href),
        );
      });
    });
    request.on("error", failed);
    request.end(body);
  });
}

/** An answer whose body is parsed when it is asked for: broken JSON can still be looked at. */
class Answer implements TestAnswer {
  readonly content: Uint8Array;
  readonly text: string;

  constructor(
    readonly statusCode: number,
    readonly reason: string,
    readonly headers: Headers,
    chunks: readonly Uint8Array[],
    readonly url: string,
  ) {
    this.content = concatBytes(chunks);
    this.text = new TextDecoder().decode(this.content);
  }

  get data(): unknown {
    const isJson = /^application\/([\w.-]+\+)?json\b/.test(this.headers.get("content-type") ?? "");
    return isJson && this.text !== "" ? JSON.parse(this.text) : this.text;
  }
}
