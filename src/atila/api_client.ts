/**
 * Asks the routes of an app by their rules, with the types that `skitai client` has written. Runs
 * wherever there is `fetch`: in browsers, Deno, Node.
 *
 * @example
 * ```ts
 * import { createClient } from "@skitai/skitai/api-client";
 *
 * // As made by `skitai client app.ts > api.d.ts`
 * interface Api {
 *   "GET /pets/<int:id>": { args: { id: number; full?: boolean }; returns: { name: string } };
 * }
 *
 * const api = createClient<Api>("https://shop.example");
 * const ask = async () => (await api("GET /pets/<int:id>", { id: 7 })).name;
 * console.assert(typeof ask === "function");
 * ```
 *
 * @module
 */

/** One member of the declarations. */
export interface ApiRoute {
  /** Arguments, those of the path included. */
  args: unknown;
  /** What it answers. */
  returns: unknown;
}

/** Arguments of a call: may be left out where none has to be given. */
// deno-lint-ignore ban-types -- that nothing is required shows when the empty object will do
export type CallArguments<Args> = {} extends Args ? [args?: Args] : [args: Args];

/** Asks routes by method and rule, such as `"GET /pets/<int:id>"`. */
export type ApiClient<Api> = <Route extends keyof Api & string>(
  route: Route,
  ...args: CallArguments<Api[Route] extends ApiRoute ? Api[Route]["args"] : never>
) => Promise<Api[Route] extends ApiRoute ? Api[Route]["returns"] : never>;

/** Options of {@link createClient}. */
export interface ApiClientOptions {
  /** Headers of every request, or a function that gives them. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** What sends the requests. Default: the global `fetch`. */
  fetch?: (req: Request) => Promise<Response>;
}

/** An answer that is none of the good ones. */
export class ApiError extends Error {
  /** Status code. */
  readonly status: number;
  /** What was sent with it: parsed, where it is JSON. */
  readonly data: unknown;

  /** Makes the error. */
  constructor(message: string, status: number, data: unknown) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.data = data;
  }
}

const IN_QUERY = ["GET", "HEAD", "DELETE"];

/**
 * Makes a client of the routes below an address.
 *
 * Calling it rejects with an {@link ApiError} for a status from 400 on, and with what `fetch` throws
 * when there is no answer.
 */
export function createClient<Api>(
  base: string | URL,
  options: ApiClientOptions = {},
): ApiClient<Api> {
  const root = String(base).replace(/\/$/, "");
  const send = options.fetch ?? ((req: Request) => fetch(req));
  const ask = async (route: string, args: Record<string, unknown> = {}): Promise<unknown> => {
    const space = route.indexOf(" ");
    const method = route.slice(0, space);
    const left = new Map(Object.entries(args).filter(([, value]) => value !== undefined));
    const path = route.slice(space + 1).replace(/<(?:(\w+):)?(\w+)>/g, (_, type, name) => {
      const value = left.get(name);
      left.delete(name);
      if (value === undefined || value === null) {
        throw new TypeError(`Cannot ask ${route}: "${name}" is missing`);
      }
      return inPath(type ?? (name === "path" ? "path" : "string"), String(value));
    });
    const given = typeof options.headers === "function" ? await options.headers() : options.headers;
    const headers = new Headers(given);
    if (!headers.has("accept")) headers.set("accept", "application/json");
    let query = "";
    let body: BodyInit | undefined;
    if (IN_QUERY.includes(method)) query = queryOf(left);
    else body = bodyOf(left, headers);
    const answer = await send(new Request(root + path + query, { method, headers, body }));
    const isJson = /^application\/(\w[\w.-]*\+)?json\b/.test(
      answer.headers.get("content-type") ?? "",
    );
    const text = await answer.text();
    const data: unknown = isJson && text !== "" ? JSON.parse(text) : text;
    if (answer.ok) return data;
    const said = (data as { message?: unknown } | null)?.message;
    throw new ApiError(
      `${route}: ${answer.status} ${typeof said === "string" ? said : answer.statusText}`,
      answer.status,
      data,
    );
  };
  return ask as ApiClient<Api>;
}

/** A value inside a path: a blank is an underscore in a plain parameter, a path keeps its slashes. */
function inPath(type: string, value: string): string {
  if (type === "path") return value.replace(/^\//, "").split("/").map(encodeURIComponent).join("/");
  return encodeURIComponent(type === "string" ? value.replaceAll(" ", "_") : value);
}

function queryOf(values: ReadonlyMap<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of values) {
    for (const one of Array.isArray(value) ? value : [value]) {
      query.append(name, one instanceof Date ? one.toISOString() : String(one));
    }
  }
  return query.size === 0 ? "" : `?${query}`;
}

/** JSON, or a form where there are files among the values. */
function bodyOf(values: ReadonlyMap<string, unknown>, headers: Headers): BodyInit | undefined {
  if (values.size === 0) return undefined;
  if (![...values.values()].flat().some((value) => value instanceof Blob)) {
    headers.set("content-type", "application/json");
    return JSON.stringify(Object.fromEntries(values));
  }
  const form = new FormData();
  for (const [name, value] of values) {
    for (const one of Array.isArray(value) ? value : [value]) {
      form.append(name, one instanceof Blob ? one : String(one));
    }
  }
  return form;
}
