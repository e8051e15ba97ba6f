/**
 * A client that sends requests to an app without a network, for unit tests.
 *
 * @module
 */

import type { MountedApp } from "../core/app.ts";
import { type Completion, createContext } from "../core/context.ts";
import { isPlainObject } from "../core/plain_object.ts";
import { reasonOf } from "../core/status.ts";

/** An answer, read completely. */
export interface AppAnswer {
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
  /** Body parsed by its content type: JSON as a value, everything else as text. */
  // deno-lint-ignore no-explicit-any -- whatever the app sent
  readonly data: any;
}

/** What a request may carry. */
export interface AppRequestOptions {
  /** Headers. */
  headers?: HeadersInit;
  /** Address the app sees. Default `127.0.0.1`. */
  remoteAddr?: string;
}

/** Sends requests to one app. */
export class AppClient {
  #app: MountedApp;
  #point: string;
  #requests = 0;

  /** A client for an app as if it were mounted at `point`. */
  constructor(app: MountedApp, point: string) {
    this.#app = app;
    this.#point = point.endsWith("/") ? point : `${point}/`;
  }

  /** GET. */
  get(path: string, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("GET", path, undefined, options);
  }
  /** HEAD. */
  head(path: string, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("HEAD", path, undefined, options);
  }
  /** OPTIONS. */
  options(path: string, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("OPTIONS", path, undefined, options);
  }
  /** POST: an object as JSON, everything else as it is. */
  post(path: string, data?: unknown, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("POST", path, data, options);
  }
  /** PUT. */
  put(path: string, data?: unknown, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("PUT", path, data, options);
  }
  /** PATCH. */
  patch(path: string, data?: unknown, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("PATCH", path, data, options);
  }
  /** DELETE. */
  delete(path: string, data?: unknown, options?: AppRequestOptions): Promise<AppAnswer> {
    return this.request("DELETE", path, data, options);
  }

  /** Sends a request; the path is below the point. */
  async request(
    method: string,
    path: string,
    data?: unknown,
    options: AppRequestOptions = {},
  ): Promise<AppAnswer> {
    const sent = Promise.withResolvers<Completion>();
    const after: Promise<unknown>[] = [];
    const response = await this.#send(method, path, data, options, {
      completion: sent.promise,
      waitUntil: (promise) => after.push(promise),
    });
    const content = await response.bytes().finally(() => sent.resolve({ delivered: true }));
    // A server would end before this work does only if it had to.
    await Promise.allSettled(after);
    const text = new TextDecoder().decode(content);
    const isJson = /^application\/([\w.-]+\+)?json\b/.test(
      response.headers.get("content-type") ?? "",
    );
    return {
      statusCode: response.status,
      // A server sends the usual one where the app gives none.
      reason: response.statusText || reasonOf(response.status),
      headers: response.headers,
      content,
      text,
      data: isJson && text !== "" ? JSON.parse(text) : text,
    };
  }

  /** The same, with the body still to be read. For the app the request is over. */
  fetch(
    method: string,
    path: string,
    data?: unknown,
    options: AppRequestOptions = {},
  ): Promise<Response> {
    return this.#send(method, path, data, options, {
      completion: Promise.resolve({ delivered: true }),
    });
  }

  async #send(
    method: string,
    path: string,
    data: unknown,
    { headers, remoteAddr }: AppRequestOptions,
    end: { completion: Promise<Completion>; waitUntil?: (promise: Promise<unknown>) => void },
  ): Promise<Response> {
    const all = new Headers(headers);
    const init: RequestInit = { method, headers: all };
    if (data !== undefined) {
      const isPlain = Array.isArray(data) || isPlainObject(data);
      if (isPlain && !all.has("content-type")) all.set("content-type", "application/json");
      init.body = isPlain ? JSON.stringify(data) : data as BodyInit;
    }
    // The path is joined as text: it must reach the app exactly as the test wrote it.
    const url = `http://127.0.0.1:5000${this.#point.slice(0, -1)}${path}`;
    const ctx = createContext({
      url,
      connectionId: 1,
      requestId: ++this.#requests,
      mountPoint: this.#point,
      ...end,
      ...(remoteAddr === undefined ? {} : { remoteAddr }),
    });
    ctx.gtxnid = `GTID-C1-R${ctx.requestId}`;
    const response = await this.#app.handle(new Request(url, init), ctx);
    if (method !== "HEAD" || response.body === null) return response;
    // A server does not send it either; whatever makes it is closed.
    await response.body.cancel();
    return new Response(null, response);
  }
}
