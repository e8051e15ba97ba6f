/**
 * `was.request`: the request as a handler sees it. Its body has been read before the handler runs,
 * unless the route streams.
 *
 * @module
 */

import { deriveRequest } from "../core/derive_request.ts";
import type { RequestContext, User } from "../core/context.ts";
import { HttpError } from "../core/errors.ts";
import { freshCopy, mergeAll, newValues, parseQuery, type Values } from "./arguments.ts";
import type { RouteFacts } from "./route.ts";
import type { FormBody } from "./uploads.ts";

/** Parts of a request target; what is missing is `undefined`. */
export interface UriParts {
  /** Path. */
  readonly script: string;
  /** Parameters with their semicolon. */
  readonly params: string | undefined;
  /** Query with its question mark. */
  readonly query: string | undefined;
  /** Fragment with its hash. */
  readonly fragment: string | undefined;
}

const decoder = new TextDecoder();
const EMPTY = new Uint8Array(0);

/** The merged arguments of a request, by `get` or by property. */
export type RequestArguments = Values & {
  /** Value of an argument, or `fallback`. */
  get(name: string, fallback?: unknown): unknown;
};

/** One request. */
export class AtilaRequest {
  /** Context of the request. */
  readonly ctx: RequestContext;
  /** The route that answers. */
  readonly routed: RouteFacts | undefined;
  readonly #raw: Request;
  #again: Request | undefined;
  #body: Uint8Array | undefined;
  #parsed: Values | undefined;
  #pathValues: Values | undefined;
  #args: RequestArguments | undefined;
  #form: FormBody | undefined;

  /** Wraps a request; `body` is what was read of it, `form` a multipart form. */
  constructor(
    raw: Request,
    ctx: RequestContext,
    route?: {
      routed?: RouteFacts;
      body?: Uint8Array;
      form?: FormBody;
      parsed?: Values;
      values?: Values;
    },
  ) {
    this.#raw = raw;
    this.ctx = ctx;
    this.routed = route?.routed;
    this.#body = route?.body;
    this.#form = route?.form;
    this.#parsed = route?.parsed;
    this.#pathValues = route?.values;
  }

  /** Takes a form that was read later, in a route that streams. @internal */
  adoptForm(form: FormBody): void {
    this.#form = form;
    this.#parsed = form.values;
    this.#args = undefined;
  }

  /**
   * The standard request underneath, to be handed to other frameworks: its body can be read, once, also
   * when it was read for the arguments. That of a multipart form with files is gone then.
   */
  get raw(): Request {
    if (this.#body === undefined || this.#body.length === 0 || !this.#raw.bodyUsed) {
      return this.#raw;
    }
    return this.#again ??= deriveRequest(this.#raw, {
      body: new Blob([this.#body as Uint8Array<ArrayBuffer>]).stream(),
    });
  }

  /** Method in upper case. */
  get method(): string {
    return this.#raw.method;
  }

  /** Method in lower case. */
  get command(): string {
    return this.#raw.method.toLowerCase();
  }

  /** Path and query as sent. */
  get uri(): string {
    const { path, query } = this.ctx;
    return query === "" && !this.#raw.url.endsWith("?") ? path : `${path}?${query}`;
  }

  /** Path as sent. */
  get path(): string {
    return this.ctx.path;
  }

  /** Takes the target apart. @throws {TypeError} when it is broken. */
  splitUri(): UriParts {
    const match = /^(\/[^;?#]*|\*)(;[^?#]*)?(\?[^#]*)?(#.*)?$/.exec(this.uri);
    // deno-lint-ignore no-control-regex
    if (match === null || /[\x00-\x20\x7f]/.test(this.uri)) {
      throw new TypeError(`Cannot split ${JSON.stringify(this.uri)}: it is not a request target`);
    }
    return { script: match[1]!, params: match[2], query: match[3], fragment: match[4] };
  }

  /** `"1.0"`, `"1.1"` or `"2.0"`. */
  get version(): string {
    return this.ctx.httpVersion;
  }

  /** `http` or `https`. */
  get scheme(): string {
    return this.ctx.scheme;
  }

  /** Same as {@link scheme}. */
  getScheme(): string {
    return this.ctx.scheme;
  }

  /** Request headers. */
  get headers(): Headers {
    return this.#raw.headers;
  }

  /** A header, or `fallback`. */
  getHeader(name: string, fallback?: string): string | undefined {
    return this.#raw.headers.get(name) ?? fallback;
  }

  /** A header and its parameters: `text/html; charset=utf-8` gives `["text/html", { charset: "utf-8" }]`. */
  getHeaderWithAttr(name: string, fallback?: string): [string | undefined, Record<string, string>] {
    const value = this.getHeader(name, fallback);
    if (value === undefined) return [undefined, {}];
    // A quote without its end reaches to the end: each would be looked for anew up to there.
    const [first, ...rest] = value.match(/(?:[^;"]|"(?:\\.|[^"\\])*(?:"|\\?$))+/g) ?? [value];
    const attributes: Record<string, string> = Object.create(null);
    for (const part of rest) {
      const equals = part.indexOf("=");
      if (equals === -1) continue;
      const raw = part.slice(equals + 1).trim();
      attributes[part.slice(0, equals).trim().toLowerCase()] = /^".*"$/.test(raw)
        ? raw.slice(1, -1).replace(/\\(.)/g, "$1")
        : raw;
    }
    return [first!.trim(), attributes];
  }

  /** All headers as pairs. */
  getHeaders(): [string, string][] {
    return [...this.#raw.headers];
  }

  /**
   * Body as it was sent.
   *
   * @throws {Error} in a route that streams: there the body is `raw.body`. Also for a multipart body
   * larger than `config.maxCacheSize`, which is not kept.
   */
  get body(): Uint8Array {
    if (this.#body === undefined) {
      if (this.#form !== undefined) return this.#body = this.#form.bytes;
      if (this.routed?.stream) {
        throw new Error("Cannot give request.body: the route streams, read request.raw.body");
      }
      return EMPTY;
    }
    return this.#body;
  }

  /** Same as {@link body}. */
  get payload(): Uint8Array {
    return this.body;
  }

  /** Same as {@link body}. */
  getBody(): Uint8Array {
    return this.body;
  }

  /** Parses the body as JSON whatever its content type. @throws {HttpError} 400 that says where it is broken. */
  // deno-lint-ignore no-explicit-any -- the caller knows what was sent
  json(): any {
    return parseJson(this.body);
  }

  /**
   * Members of a form, if the body is one, be it empty; files of a multipart form are
   * {@link UploadedFile}s. Nothing in a route that streams, until `was.readForm()`.
   */
  form(): Values | undefined {
    const type = this.getContentType();
    if (type !== "application/x-www-form-urlencoded" && type !== "multipart/form-data") {
      return undefined;
    }
    return this.#parsed ?? (this.routed?.stream ? undefined : newValues());
  }

  /** Members of a form or JSON value by content type; nothing for an empty body. */
  dict(): Values | undefined {
    if (this.#form !== undefined) return this.form();
    if (this.body.byteLength === 0) return undefined;
    return this.getContentType() === "application/json" ? this.json() : this.form();
  }

  /** Every argument: from the path, the query and the body; a name given in several places is a list. */
  get args(): RequestArguments {
    if (this.#args === undefined) {
      const values = mergeAll({
        path: this.#pathValues,
        query: this.ctx.query,
        body: this.#parsed,
      });
      const defaults = this.routed?.defaults;
      for (const name of Object.keys(defaults ?? {})) {
        const value = defaults![name];
        if (values[name] === undefined && typeof value !== "symbol") {
          values[name] = freshCopy(value);
        }
      }
      // An argument of that name is given up as a property, not as an argument.
      const named = values.get;
      Object.defineProperty(values, "get", {
        value: (name: string, fallback?: unknown) => {
          const value = name === "get" ? named : values[name];
          return value === undefined ? fallback : value;
        },
        enumerable: false,
        configurable: true,
        writable: true,
      });
      this.#args = values as RequestArguments;
    }
    return this.#args;
  }

  /** Whether a route was found. */
  get routable(): boolean {
    return this.routed !== undefined;
  }

  /** @deprecated Use {@link routed}. */
  get routedFunction(): RouteFacts["handler"] | undefined {
    return this.routed?.handler;
  }

  /** Address of the peer. */
  getRemoteAddr(): string {
    return this.ctx.remoteAddr;
  }

  /** First address of `X-Forwarded-For`, or the peer's. */
  getRealIp(): string {
    const first = this.#raw.headers.get("x-forwarded-for")?.split(",", 1)[0]?.trim();
    return first || this.ctx.remoteAddr;
  }

  /**
   * Whether the peer is in 127.0.0.*, 10.*, 192.168.* or 172.16–31.*. Behind a proxy the peer is the
   * proxy, whoever asks.
   */
  isPrivateIp(): boolean {
    return /^(::ffff:)?(127\.0\.0\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(
      this.ctx.remoteAddr,
    );
  }

  /** Media type without parameters, in lower case. */
  getContentType(): string | undefined {
    return mediaTypeOf(this.#raw);
  }

  /** First half of the media type. */
  getMainType(): string | undefined {
    return this.getContentType()?.split("/")[0];
  }

  /** Second half of the media type. */
  getSubType(): string | undefined {
    return this.getContentType()?.split("/")[1];
  }

  /** `User-Agent`. */
  getUserAgent(): string | undefined {
    return this.getHeader("user-agent");
  }

  /** Authenticated user. */
  get user(): User | undefined {
    return this.ctx.user;
  }

  /** Bearer token. */
  get token(): string | undefined {
    const { token } = this.ctx;
    if (token === undefined) return undefined;
    // The context has as much of it as may stand in the log.
    return /^bearer[ \t]+(\S+)/i.exec(this.#raw.headers.get("authorization") ?? "")?.[1] ?? token;
  }

  /** Global transaction id. */
  get gtxnid(): string {
    return this.ctx.gtxnid;
  }

  /** Local transaction id. */
  get ltxnid(): number {
    return this.ctx.ltxnid;
  }
}

/** Media type of a request, without parameters. */
export function mediaTypeOf(req: Request): string | undefined {
  const value = req.headers.get("content-type");
  if (value === null) return undefined;
  const semicolon = value.indexOf(";");
  return (semicolon === -1 ? value : value.slice(0, semicolon)).trim().toLowerCase() || undefined;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new HttpError(400, `The body is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Members of a body that is a form or a JSON object, for arguments.
 *
 * @throws {HttpError} 400 when it is not what its content type says.
 */
export function parseBody(type: string | undefined, bytes: Uint8Array): Values | undefined {
  if (bytes.byteLength === 0) return undefined;
  switch (type) {
    case "application/x-www-form-urlencoded":
      return parseQuery(decoder.decode(bytes));
    case "application/json": {
      const value = parseJson(bytes);
      if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
      const values = newValues();
      for (const name of Object.keys(value)) values[name] = (value as Values)[name];
      return values;
    }
    default:
      return undefined;
  }
}
