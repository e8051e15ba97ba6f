/**
 * Apps of other frameworks: any object with `fetch`, or a plain function.
 *
 * @module
 */

import type {
  BodyLimits,
  FetchApp,
  FetchFunction,
  FetchInfo,
  LifecyclePhase,
  MountedApp,
  MountInfo,
} from "../core/app.ts";
import { DEFAULT_BODY_LIMITS } from "../core/app.ts";
import { bodyLimitsOf } from "../core/body_limits.ts";
import { type RequestContext, runInContext } from "../core/context.ts";
import { deriveRequest } from "../core/derive_request.ts";
import { ConfigError } from "../core/errors.ts";
import { type Handler, isThenable } from "../core/handler.ts";
import { checkHeaders } from "../core/response_headers.ts";

/** Options of {@link ForeignApp}. */
export interface ForeignAppOptions {
  /** Cut the mount prefix off the URL of the request. Default false. */
  readonly stripPrefix?: boolean;
  /** File the app was loaded from, watched for the reloader. Default: unknown. */
  readonly file?: string;
}

/** Settings the server honours on the object of a foreign app. */
interface Settings {
  debug?: unknown;
  useReloader?: unknown;
  maxClientBodySize?: unknown;
  config?: unknown;
}

/** True for what can be mounted as a foreign app. */
export function isFetchApp(value: unknown): value is FetchApp | FetchFunction {
  return typeof value === "function" ||
    (typeof value === "object" && value !== null &&
      typeof (value as Partial<FetchApp>).fetch === "function");
}

/**
 * Makes an app of another framework mountable: `Hono`, `h3`, oak, or `(req, info) => Response`.
 *
 * The app gets the request as it came, with its full path, and an info object with the mount
 * prefix, the peer address in the shape `Deno.serve` uses, and `waitUntil`. While it runs, the
 * imported `was` belongs to its request. It never shares anything with other requests.
 */
export class ForeignApp implements MountedApp {
  /** Answers requests below the mount point. */
  readonly handle: Handler;

  #app: FetchApp | FetchFunction;
  #file: string | undefined;
  #stripPrefix: boolean;
  #limits: BodyLimits = DEFAULT_BODY_LIMITS;
  #attached = false;

  /** Wraps an app. */
  constructor(app: FetchApp | FetchFunction, options: ForeignAppOptions = {}) {
    this.#app = app;
    this.#file = options.file;
    this.#stripPrefix = options.stripPrefix ?? false;
    const call = typeof app === "function" ? app : app.fetch.bind(app);
    this.handle = handlerOf(call, this.#stripPrefix);
  }

  /**
   * Applies the preferences: properties are set on the object of the app, `config` is merged into
   * its own and completed by the default limits.
   *
   * @throws {ConfigError} when the object does not let itself be changed or a limit is not a size.
   */
  attach(info: MountInfo): void {
    if (this.#attached) throw new Error(`The app at ${info.mountPoint} is attached already`);
    this.#attached = true;
    const where = `mount(${JSON.stringify(info.mountPoint)})`;
    const settings = this.#app as Settings;
    this.#limits = bodyLimitsOf(where, settings, info.pref);
    const own = typeof settings.config === "object" && settings.config !== null
      ? settings.config
      : undefined;
    const { config: preferred, ...properties } = info.pref;
    try {
      Object.assign(settings, properties);
      const config = { ...this.#limits, ...own, ...preferred };
      // Frameworks keep a reference to their own object.
      if (own !== undefined) Object.assign(own, config);
      else if (Object.isExtensible(settings)) settings.config = config;
    } catch (error) {
      throw new ConfigError(where, "the preferences cannot be set on the object of the app", {
        cause: error,
      });
    }
  }

  /** Foreign apps have no hooks. */
  lifecycle(_phase: LifecyclePhase): Promise<void> {
    return Promise.resolve();
  }

  /** Body limits in force. */
  get limits(): BodyLimits {
    return this.#limits;
  }

  /** Whether errors may be shown to the client: the `debug` property of the app. */
  get debug(): boolean {
    return (this.#app as Settings).debug === true;
  }

  /** Whether a change of its file reloads the app: the `useReloader` property of the app. */
  get useReloader(): boolean {
    return (this.#app as Settings).useReloader === true;
  }

  /** The file it was loaded from, if any. */
  get watched(): readonly string[] {
    return this.#file === undefined ? [] : [this.#file];
  }
}

type Call = (req: Request, info: FetchInfo, execution: FetchInfo) => unknown;

function handlerOf(call: FetchFunction, stripPrefix: boolean): Handler {
  function run(req: Request, ctx: RequestContext): Response | Promise<Response> {
    const info = new RequestInfo(ctx);
    const request = stripPrefix ? withoutPrefix(req, ctx) : req;
    // Hono takes its execution context third; the others take what they need.
    const result = (call as Call)(request, info, info);
    return isThenable(result)
      ? Promise.resolve(result).then((value) => checked(value, ctx))
      : checked(result, ctx);
  }
  return function foreignApp(req, ctx) {
    return runInContext(ctx, run, req, ctx, undefined);
  };
}

function checked(value: unknown, ctx: RequestContext): Response {
  if (value instanceof Response) return sendable(value, ctx);
  if (isResponseLike(value)) {
    // Frameworks built for Node bring a Response class of their own, which no server here would
    // take.
    const response = new Response(value.body, {
      status: value.status,
      statusText: value.statusText,
      headers: [...value.headers],
    });
    return sendable(response, ctx);
  }
  const got = value === null
    ? "null"
    : typeof value === "object"
    ? `an object of ${value.constructor?.name ?? "no class"}`
    : typeof value;
  throw new TypeError(
    `The app mounted at ${ctx.mountPoint} answered ${ctx.path} with ${got} instead of a Response`,
  );
}

/** @throws {TypeError} for a header that cannot be sent; the body, a file perhaps, is let go then. */
function sendable(response: Response, ctx: RequestContext): Response {
  try {
    checkHeaders(response);
  } catch (error) {
    if (response.body !== null && !response.bodyUsed) ctx.waitUntil(response.body.cancel());
    throw error;
  }
  return response;
}

/** What a response of another class has in common with ours. */
interface ResponseLike {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: ReadableStream<Uint8Array> | null;
}

function isResponseLike(value: unknown): value is ResponseLike {
  const { status, headers, body } = (value ?? {}) as Partial<ResponseLike>;
  return typeof status === "number" && typeof headers?.[Symbol.iterator] === "function" &&
    (body === null || body instanceof ReadableStream);
}

/** The same request at the path below the mount point. */
function withoutPrefix(req: Request, ctx: RequestContext): Request {
  if (ctx.mountPoint === "/" || ctx.mountPoint === "") return req;
  const { url } = req;
  const start = url.indexOf("/", url.indexOf("//") + 2);
  return deriveRequest(req, {
    url: url.slice(0, start) + url.slice(start + ctx.mountPoint.length - 1),
  });
}

/** What a foreign app is told; its parts are made when asked for. */
class RequestInfo implements FetchInfo {
  #ctx: RequestContext;

  constructor(ctx: RequestContext) {
    this.#ctx = ctx;
  }

  get mountPoint(): string {
    return this.#ctx.mountPoint;
  }

  get remoteAddr(): Deno.NetAddr {
    return {
      transport: "tcp",
      hostname: this.#ctx.remoteAddr,
      port: this.#ctx.remotePort,
    };
  }

  waitUntil(promise: Promise<unknown>): void {
    this.#ctx.waitUntil(promise);
  }

  /** Asked for by code written for edge runtimes, where it means something. */
  passThroughOnException(): void {}
}
