/**
 * Paths written as properties and calls: `client.api().apis.pets(45).get()` asks for `/apis/pets/45`.
 *
 * @module
 */

/** Sends one request of a stub. */
export type StubSend = (
  method: string,
  path: string,
  data: unknown,
  query: Record<string, unknown> | undefined,
) => Promise<unknown>;

/**
 * A path under construction. Any property adds a segment, a call adds the value it is given; the methods
 * send. Properties called like a method are reached by a call: `api().get("get")`… as `api()("get")`.
 */
export interface ApiStub {
  /** Adds segments. */
  (...segments: (string | number)[]): ApiStub;
  /** GET with a query, `undefined` left out. Gives the data; throws for a status that is not 2xx. */
  // deno-lint-ignore no-explicit-any -- whatever the server sends
  get(query?: Record<string, unknown>): Promise<any>;
  /** DELETE with a query. */
  // deno-lint-ignore no-explicit-any -- whatever the server sends
  delete(query?: Record<string, unknown>): Promise<any>;
  /** POST with JSON. */
  // deno-lint-ignore no-explicit-any -- whatever the server sends
  post(data?: unknown, query?: Record<string, unknown>): Promise<any>;
  /** PUT with JSON. */
  // deno-lint-ignore no-explicit-any -- whatever the server sends
  put(data?: unknown, query?: Record<string, unknown>): Promise<any>;
  /** PATCH with JSON. */
  // deno-lint-ignore no-explicit-any -- whatever the server sends
  patch(data?: unknown, query?: Record<string, unknown>): Promise<any>;
  /** A further segment. */
  // deno-lint-ignore no-explicit-any -- a segment is a stub, a method is a function
  readonly [segment: string]: any;
}

/** Starts a stub at a path. */
export function createApiStub(send: StubSend, path = ""): ApiStub {
  const add = (segment: string | number): string =>
    `${path}/${encodeURIComponent(String(segment))}`;
  const target = (...segments: (string | number)[]): ApiStub =>
    createApiStub(
      send,
      path + segments.map((one) => `/${encodeURIComponent(String(one))}`).join(""),
    );
  return new Proxy(target, {
    get(_target, name) {
      // A stub is not a promise: awaiting one must give the stub itself.
      if (typeof name === "symbol" || name === "then") return undefined;
      switch (name) {
        case "get":
        case "delete":
          return (query?: Record<string, unknown>) =>
            send(name.toUpperCase(), path || "/", undefined, query);
        case "post":
        case "put":
        case "patch":
          return (data?: unknown, query?: Record<string, unknown>) =>
            send(name.toUpperCase(), path || "/", data ?? {}, query);
        default:
          return createApiStub(send, add(name));
      }
    },
  }) as unknown as ApiStub;
}
