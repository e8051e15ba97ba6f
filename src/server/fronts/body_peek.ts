/**
 * Tells a static response body from a stream without turning the one into the other.
 *
 * Asking a `Response` for its `body` makes a stream of it, which costs a third of the throughput. What
 * it was made of stands behind symbols of the runtime; they are looked up by name and tried out once when
 * this module is loaded. Where the trial fails, in another runtime or a later version, every body
 * counts as a stream unless `core/body_size` knows better: slower, never wrong.
 *
 * @module
 */

import { staticBodyOf } from "../../core/body_size.ts";

/** What is known of a body: none, its content, or that it has to be read as a stream. */
export type PeekedBody = null | string | Uint8Array | undefined;

/** Looks at the body of a response; `undefined` stands for a stream. A body that was read is a stream. */
export const peekBody: (res: Response) => PeekedBody = choose();

/** True for a stream that the runtime sends from a file or socket itself, without calling JavaScript. */
export function isNativeStream(stream: ReadableStream): boolean {
  return Object.getOwnPropertySymbols(stream).some((symbol) =>
    symbol.description === "[[resourceBacking]]" &&
    ((stream as unknown as Opaque)[symbol] ?? null) !== null
  );
}

interface InnerBody {
  readonly streamOrStatic?: { readonly body?: unknown; readonly consumed?: boolean };
}

type Opaque = Record<symbol, unknown>;

function choose(): (res: Response) => PeekedBody {
  const symbols = Object.getOwnPropertySymbols(new Response("x"));
  const find = (name: string) => symbols.find((symbol) => symbol.description === name);
  const lazy = find("lazy static body");
  const response = find("response");
  if (lazy === undefined || response === undefined) return peekKnown;
  const peek = (res: Response): PeekedBody => {
    const opaque = res as unknown as Opaque;
    const given = opaque[lazy];
    if (typeof given === "string") return given;
    const inner = (opaque[response] as { body: InnerBody | null } | undefined)?.body;
    if (inner === null) return null;
    const source = inner?.streamOrStatic;
    const content = source?.body;
    if (source?.consumed !== false) return undefined;
    return typeof content === "string" || content instanceof Uint8Array ? content : undefined;
  };
  return worksAsExpected(peek) ? peek : peekKnown;
}

function peekKnown(res: Response): PeekedBody {
  return staticBodyOf(res);
}

function worksAsExpected(peek: (res: Response) => PeekedBody): boolean {
  const bytes = peek(new Response(new Uint8Array([65])));
  const read = new Response("read");
  // Reading marks it at once; the promise only brings the text.
  void read.text();
  return peek(new Response("a")) === "a" &&
    peek(new Response("b", { status: 201, headers: { a: "b" } })) === "b" &&
    peek(Response.json(1)) === "1" &&
    bytes instanceof Uint8Array && bytes.length === 1 &&
    peek(new Response()) === null &&
    peek(new Response(null, { status: 204 })) === null &&
    peek(read) === undefined &&
    peek(new Response(new ReadableStream())) === undefined;
}
