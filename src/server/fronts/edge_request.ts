/**
 * The `Request` of the `edge` front. A real one costs more than everything else about a small request,
 * so it is made for those only who need it: to clone, to pass on, or to make another one from.
 *
 * @module
 */

import type { EdgeBody } from "./edge_body.ts";
import { EdgeHeaders } from "./edge_headers.ts";

/** What a request needs of its exchange. */
export interface RequestSource {
  /** Absolute URL, as sent. */
  readonly url: string;
  /** Names and values in turns. */
  readonly rawHeaders: readonly string[];
  /** Body, where the message has one. */
  readonly body: EdgeBody | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** A request that is a `Request` to everybody who looks. */
export class EdgeRequest {
  /** As `Request.method`. */
  readonly method: string;
  readonly #source: RequestSource;
  #url: string | undefined;
  #headers: Headers | undefined;
  #real: Request | undefined;

  /** Nothing is worked out here. */
  constructor(method: string, source: RequestSource) {
    this.method = method;
    this.#source = source;
  }

  /** As `Request.url`, but not normalised. */
  get url(): string {
    return this.#url ??= this.#source.url;
  }

  /** As `Request.headers`. */
  get headers(): Headers {
    return this.#headers ??= new EdgeHeaders(this.#source.rawHeaders) as unknown as Headers;
  }

  /** As `Request.signal`. */
  get signal(): AbortSignal {
    return this.#source.signal;
  }

  /** As `Request.body`. */
  get body(): ReadableStream<Bytes> | null {
    return this.#source.body === undefined ? null : this.#make().body;
  }

  /** As `Request.bodyUsed`. */
  get bodyUsed(): boolean {
    if (this.#real !== undefined) return this.#real.bodyUsed;
    return this.#source.body?.isTaken ?? false;
  }

  /** As `Request.bytes`. */
  async bytes(): Promise<Bytes> {
    const { body } = this.#source;
    if (body === undefined || this.#real !== undefined) return await this.#make().bytes();
    if (body.isTaken) throw new TypeError("Body already consumed.");
    return await body.bytes();
  }

  /** As `Request.arrayBuffer`. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = await this.bytes();
    return byteLength === buffer.byteLength
      ? buffer
      : buffer.slice(byteOffset, byteOffset + byteLength);
  }

  /** As `Request.text`. */
  async text(): Promise<string> {
    return this.#source.body === undefined ? "" : new TextDecoder().decode(await this.bytes());
  }

  /** As `Request.json`. */
  // deno-lint-ignore no-explicit-any -- as in the platform
  async json(): Promise<any> {
    return JSON.parse(await this.text());
  }

  /** As `Request.blob`. */
  async blob(): Promise<Blob> {
    const type = this.headers.get("content-type");
    return new Blob([await this.bytes()], type === null ? {} : { type: type.toLowerCase() });
  }

  /** As `Request.formData`. */
  async formData(): Promise<FormData> {
    return await this.#make().formData();
  }

  /** As `Request.clone`. */
  clone(): Request {
    return this.#make().clone();
  }

  /** The real request. Made once; its URL is normalised, as every `new Request` does. */
  #make(): Request {
    if (this.#real !== undefined) return this.#real;
    const { body } = this.#source;
    if (body?.isTaken) throw new TypeError("Body already consumed.");
    return this.#real = new Request(
      this.url,
      {
        method: this.method,
        headers: this.headers,
        signal: this.#source.signal,
        ...(body === undefined ? {} : { body: body.stream(), duplex: "half" }),
      } as RequestInit,
    );
  }

  static {
    // What the platform keeps behind symbols of its own is found in the real request. Whoever makes a
    // `Request` from this one, or fetches it, looks there.
    for (const symbol of Object.getOwnPropertySymbols(new Request("http://localhost/"))) {
      Object.defineProperty(EdgeRequest.prototype, symbol, {
        get(this: EdgeRequest): unknown {
          return (this.#make() as unknown as Record<symbol, unknown>)[symbol];
        },
        set(this: EdgeRequest, value: unknown) {
          (this.#make() as unknown as Record<symbol, unknown>)[symbol] = value;
        },
        configurable: true,
      });
    }
    Object.setPrototypeOf(EdgeRequest.prototype, Request.prototype);
  }
}
