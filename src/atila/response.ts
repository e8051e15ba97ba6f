/**
 * `was.response`: status and headers collected for the response, and the ways to make its body.
 *
 * @module
 */

import { basename } from "../core/file_path.ts";
import { acceptsJson } from "../core/accept.ts";
import type { RequestContext } from "../core/context.ts";
import { HttpError } from "../core/errors.ts";
import { checkHeader, MAX_FIELDS, tooManyFields } from "../core/header_value.ts";
import { httpDate } from "../core/http_date.ts";
import { parseStatus, type Status, type StatusLike } from "../core/status.ts";
import { type BodyContent, discardBody } from "./body.ts";
import { faultMembers, type FaultOptions } from "./fault.ts";
import { setTrailer } from "./trailers.ts";

/** Headers as pairs, a record, or `Headers`. */
export type HeaderPairs = HeadersInit;

/** The one-object form of `was.response(…)`. */
export interface ReplyOptions {
  /** Status. Default `"200 OK"`. */
  status?: StatusLike;
  /** Body, that of another reply among them; absent: the error page of the status. */
  body?: ReplyBody | Reply;
  /** Headers, added to those set before. */
  headers?: HeaderPairs;
  /** A caught error whose stack is to be shown although debug is off. */
  error?: unknown;
}

/** What can be handed to `was.response(…)` as a body. */
export type ReplyBody = BodyContent | ApiContainer | null;

/** Status and headers collected while a handler runs. */
export class ResponseState {
  /** Status; 200 unless set. */
  status: Status = OK;
  /** Headers in the order they were set, names in lower case. */
  readonly headers: [string, string][] = [];
  /** True once the response was made of it. */
  sent = false;

  /** Refuses a change that would come too late. */
  #check(): void {
    if (this.sent) throw new Error("Response already sent: status and headers cannot be changed");
  }

  /** Sets the status. @throws {TypeError} for a bad one. */
  setStatus(status: StatusLike): void {
    this.#check();
    this.status = parseStatus(status);
  }

  /**
   * Adds a header.
   *
   * @throws {TypeError} for names and values that cannot be sent, such as line breaks, and for one too many.
   */
  add(name: string, value: string): void {
    this.#check();
    checkHeader(name, value);
    if (this.headers.length >= MAX_FIELDS) throw tooManyFields(MAX_FIELDS + 1);
    this.headers.push([name.toLowerCase(), value]);
  }

  /** Removes all headers of a name. */
  remove(name: string): void {
    this.#check();
    const lower = name.toLowerCase();
    for (let i = this.headers.length - 1; i >= 0; i--) {
      if (this.headers[i]![0] === lower) this.headers.splice(i, 1);
    }
  }

  /** First value of a header. */
  get(name: string): string | undefined {
    const lower = name.toLowerCase();
    return this.headers.find(([other]) => other === lower)?.[1];
  }
}

const OK: Status = { code: 200, reason: "OK" };

/** A finished answer: what a handler returns after `was.response(…)`. */
export class Reply {
  /** Body; `undefined` stands for the page of the status. */
  readonly body: ReplyBody | undefined;
  /** Error to show on that page. */
  readonly error: unknown;
  /** Explanation on that page. */
  readonly detail: string;
  /** Size of a streamed body in bytes, where it is known. */
  readonly size: number | undefined;

  /** Status and headers are in the state already. */
  constructor(
    body: ReplyBody | undefined,
    options: { error?: unknown; detail?: string; size?: number } = {},
  ) {
    this.body = body;
    this.error = options.error;
    this.detail = options.detail ?? "";
    this.size = options.size;
  }
}

/** Marks data that is to be sent. */
export const DATA: unique symbol = Symbol("data");

/** An object, but no list and no other collection: the members of those are not properties. */
export type DataObject =
  | { readonly [name: string]: unknown; readonly [Symbol.iterator]?: never }
  | object & { readonly [Symbol.iterator]?: never };

/**
 * Data that is sent as JSON, or as XML-RPC to a client that asks for `text/xml`. Its own properties are
 * the data, so it can be filled afterwards, by method or by index.
 *
 * @example
 * ```ts ignore
 * const api = was.response.API({ user_id: "x" });
 * api.set("age", 30);
 * return api;
 * ```
 */
export class ApiContainer {
  /** Nothing at run time: keeps other objects from passing for one that was made of them. */
  declare readonly [DATA]: true;
  /** Members of the data. */
  [name: string]: unknown;

  /** Copies the data. @throws {TypeError} for lists, other collections, and what is no object. */
  constructor(data?: DataObject) {
    if (data === undefined) return;
    if (typeof data !== "object" || data === null || Symbol.iterator in data) {
      throw new TypeError(
        "was.response.API takes an object of named values: give a list a name, as in API({ items })",
      );
    }
    if (!Object.hasOwn(data, "__proto__")) Object.assign(this, data);
    else for (const [name, value] of Object.entries(data)) put(this, name, value);
  }
}

// Methods are not enumerable, so they never appear in the data, and a data property of the same name
// wins over them in the answer.
Object.defineProperties(ApiContainer.prototype, {
  set: {
    value(this: ApiContainer, name: string, value: unknown): ApiContainer {
      put(this, name, value);
      return this;
    },
    writable: true,
    configurable: true,
  },
  get: {
    value(this: ApiContainer, name: string, fallback?: unknown): unknown {
      return Object.hasOwn(this, name) ? this[name] : fallback;
    },
    writable: true,
    configurable: true,
  },
  error: {
    value(this: ApiContainer, message: string, code = 20000, debug?: string, moreInfo?: unknown) {
      put(this, "code", code);
      put(this, "message", message);
      if (debug !== undefined) put(this, "debug", debug);
      if (moreInfo !== undefined) put(this, "more_info", moreInfo);
      return this;
    },
    writable: true,
    configurable: true,
  },
  traceback: {
    value(this: ApiContainer, error: unknown, message?: string, code = 20090) {
      const known = error instanceof Error ? error : new Error(String(error));
      put(this, "code", code);
      put(this, "message", message ?? known.message);
      put(this, "debug", "see traceback");
      put(this, "traceback", (known.stack ?? known.message).split("\n").map((line) => line.trim()));
      return this;
    },
    writable: true,
    configurable: true,
  },
});

/** The methods of an {@link ApiContainer}, beside its data. */
export interface ApiMethods {
  /** Sets a member. */
  set(name: string, value: unknown): this;
  /** A member, or `fallback`. */
  get(name: string, fallback?: unknown): unknown;
  /** Turns the data into an error: `code` 20000 unless given. */
  error(message: string, code?: number, debug?: string, moreInfo?: unknown): this;
  /** Adds a caught error with its stack: `code` 20090 unless given. */
  traceback(error: unknown, message?: string, code?: number): this;
}

/** What `was.response.API` gives. */
export type Api = ApiContainer & ApiMethods;

/** `__proto__` as a name would otherwise change the object instead of naming a member. */
function put(target: ApiContainer, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else target[name] = value;
}

/** The request of a response, as far as it matters here. */
export interface ResponseOwner {
  /** State of the response, made on first use. */
  readonly responseState: ResponseState;
  /** Home directory of the app, for relative files. */
  readonly home: string;
  /** Context of the request. */
  readonly ctx: RequestContext | undefined;
  /** Whether the app shows its errors. */
  readonly app: { readonly debug: boolean };
}

/** `was.response`: call it to answer with a status, or use its methods. */
export interface AtilaResponse extends ResponseMethods {
  /**
   * Answers with a status, a body and headers. Without a body the page of the status is sent.
   *
   * @throws {TypeError} for a bad status or header.
   */
  (status?: StatusLike, body?: ReplyBody | Reply, headers?: HeaderPairs, error?: unknown): Reply;
  /** The same as one object. */
  (options: ReplyOptions): Reply;
}

/** Methods of `was.response`. */
export class ResponseMethods {
  /** State the methods work on. */
  declare readonly owner: ResponseOwner;

  /** Sets the status, a code or a string such as `"404 Not Found"`. @throws {TypeError} for a bad one. */
  setStatus(status: StatusLike): void {
    this.owner.responseState.setStatus(status);
  }

  /** Status as a string. */
  getStatus(): string {
    const { code, reason } = this.owner.responseState.status;
    return `${code} ${reason}`;
  }

  /** Adds a header. @throws {TypeError} when it cannot be sent. */
  setHeader(name: string, value: string | number): void {
    this.owner.responseState.add(name, String(value));
  }

  /** First value of a header, or `fallback`. */
  getHeader(name: string, fallback?: string): string | undefined {
    return this.owner.responseState.get(name) ?? fallback;
  }

  /** Removes all headers of a name. */
  delHeader(name: string): void {
    this.owner.responseState.remove(name);
  }

  /** Adds headers. */
  setHeaders(headers: HeaderPairs): void {
    const state = this.owner.responseState;
    const pairs = headers instanceof Headers
      ? [...headers]
      : Array.isArray(headers)
      ? headers
      : Object.entries(headers);
    for (const [name, value] of pairs) state.add(name!, String(value));
  }

  /** All headers set so far. */
  getHeaders(): [string, string][] {
    return this.owner.responseState.headers.map(([name, value]) => [name, value]);
  }

  /**
   * Lets clients keep the response for this many seconds, in place of what was set before: as
   * `Cache-Control`, or as `Expires` for a client of HTTP/1.0, which the `fast` front cannot tell.
   *
   * @throws {RangeError} for anything but a whole number from 0.
   */
  setCache(maxAge: number): void {
    if (!Number.isInteger(maxAge) || maxAge < 0) {
      const shown = typeof maxAge === "string" ? JSON.stringify(maxAge) : String(maxAge);
      throw new RangeError(`Cannot cache for ${shown} seconds: expected a whole number from 0`);
    }
    const state = this.owner.responseState;
    state.remove("cache-control");
    state.remove("expires");
    if (this.owner.ctx?.httpVersion === "1.0") {
      state.add("expires", httpDate(Date.now() + maxAge * 1000));
    } else {
      state.add("cache-control", `max-age=${maxAge}`);
    }
  }

  /**
   * Sets a field to be sent after the body, as the status of an RPC is. The first one has to be set
   * before the handler returns, further ones and new values until the body ends.
   *
   * @returns Whether it reaches the client: on the `edge` front over HTTP/2, and over HTTP/1.1 when the
   * client sends `TE: trailers`. Elsewhere there is no way to send it.
   * @throws {TypeError} for a field that cannot be sent, or not after the body.
   */
  setTrailer(name: string, value: string | number): boolean {
    const { ctx, responseState } = this.owner;
    return setTrailer(ctx!, responseState.sent, name, String(value));
  }

  /** Ends the request at once with a status; `why` stands on its page. */
  throw(status: StatusLike, why = ""): never {
    throw new HttpError(status, why);
  }

  /**
   * Data as JSON, or XML-RPC for a client that asks for `text/xml`. Dates become strings.
   *
   * @throws {TypeError} for a list or another collection: those need a name.
   */
  API(data?: DataObject): Api {
    return new ApiContainer(data) as Api;
  }

  /**
   * An error as data: sets the status and gives `{ code, message, debug?, more_info?, traceback? }`. With
   * a status below 300 it is {@link API}.
   *
   * @throws {TypeError} for a bad status, code or option.
   */
  Fault(status: StatusLike, message?: string | object, options?: FaultOptions): Api;
  /** The same with everything in its place. */
  Fault(
    status: StatusLike,
    message?: string | object,
    code?: number,
    debug?: string,
    moreInfo?: unknown,
    error?: unknown,
    options?: Pick<FaultOptions, "traceback">,
  ): Api;
  Fault(
    status: StatusLike,
    message?: string | object,
    third?: FaultOptions | number,
    debug?: string,
    moreInfo?: unknown,
    error?: unknown,
    rest?: Pick<FaultOptions, "traceback">,
  ): Api {
    const state = this.owner.responseState;
    state.setStatus(status);
    if (state.status.code < 300) {
      return this.API(typeof message === "string" ? { message } : message);
    }
    const options = typeof third === "object" && third !== null
      ? third
      : { code: third, debug, moreInfo, error, ...rest };
    const text = typeof message === "object" ? JSON.stringify(message) : message;
    return this.API(faultMembers(state.status, text, options, this.owner.app.debug));
  }

  /** @deprecated Use {@link Fault}. */
  fault(status: StatusLike, message?: string | object, options?: FaultOptions): Api {
    return this.Fault(status, message, options);
  }

  /** @deprecated Use {@link Fault}. */
  for_api(status: StatusLike, message?: string | object, options?: FaultOptions): Api {
    return this.Fault(status, message, options);
  }

  /** @deprecated Use {@link API}. */
  api(data?: DataObject): Api {
    return this.API(data);
  }

  /**
   * Sends a file. With `filename` the client is told to save it under that name. Relative paths start
   * at the home directory of the app.
   *
   * @throws {Deno.errors.NotFound} when there is no such file.
   */
  file(path: string, mime = "application/octet-stream", filename?: string): Reply {
    const full = path.startsWith("/") ? path : `${this.owner.home}/${path}`;
    const file = Deno.openSync(full);
    try {
      const info = file.statSync();
      if (!info.isFile) throw new TypeError(`Cannot send ${full}: it is not a file`);
      const state = this.owner.responseState;
      state.remove("content-type");
      state.add("content-type", mime);
      state.add("content-length", String(info.size));
      if (filename !== undefined) state.add("content-disposition", disposition(filename));
      return new Reply(file, { size: info.size });
    } catch (error) {
      file.close();
      throw error;
    }
  }
}

/** `Content-Disposition` for a name, with the form for names beyond ASCII beside it. */
function disposition(filename: string): string {
  const name = basename(filename);
  const ascii = name.replace(/[^\x20-\x7e]|["\\]/g, "_");
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return ascii === name
    ? `attachment; filename="${name}"`
    : `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}

/** Makes the callable object of one request. */
export function createResponse(owner: ResponseOwner): AtilaResponse {
  const respond = (
    first: StatusLike | ReplyOptions = "200 OK",
    body?: ReplyBody | Reply,
    headers?: HeaderPairs,
    error?: unknown,
  ): Reply => {
    const options: ReplyOptions = typeof first === "object"
      ? first
      : { status: first, body, headers, error };
    const state = owner.responseState;
    state.setStatus(options.status ?? "200 OK");
    if (options.headers !== undefined) response.setHeaders(options.headers);
    return options.body instanceof Reply
      ? options.body
      : new Reply(options.body, { error: options.error });
  };
  const response = Object.setPrototypeOf(respond, ResponseMethods.prototype) as AtilaResponse;
  (response as { owner: ResponseOwner }).owner = owner;
  return response;
}

/** Closes what a handler returned when something else is sent in its place. */
export async function discardReturned(returned: unknown): Promise<void> {
  const body = returned instanceof Reply ? returned.body : returned;
  if (body instanceof Response) await body.body?.cancel();
  else await discardBody(body);
}

/** Whether a client that failed wants data rather than a page. */
export function wantsFault(req: Request): boolean {
  return acceptsJson(req.headers.get("accept"));
}
