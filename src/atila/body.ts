/**
 * What a handler may return, and how it becomes the body of a `Response`.
 *
 * @module
 */

import { type RequestContext, runInContext } from "../core/context.ts";

/** An object that is read piece by piece until it gives nothing more. */
export interface ReadableBody {
  /** Next bytes, at most `size`; empty, `null` or `undefined` at the end. */
  read(
    size: number,
  ): string | Uint8Array | null | undefined | Promise<string | Uint8Array | null | undefined>;
  /** Called once, at the end or when the client goes away. */
  close?(): unknown;
}

/**
 * An object that produces the next piece when asked; an empty one ends it. With `ready` it is live: what
 * it gives reaches the client as it comes, never compressed.
 */
export interface ProducerBody {
  /**
   * Asked before each `more()`: whether there is something to give, or a promise of it. After `false` it
   * is asked again every 20 ms, so a promise that settles when there is something is the better answer.
   */
  ready?(): boolean | Promise<boolean>;
  /** Next piece. */
  more():
    | string
    | Uint8Array
    | null
    | undefined
    | Promise<string | Uint8Array | null | undefined>;
  /** Called once, at the end or when the client goes away. */
  close?(): unknown;
}

/** A piece of a body that is sent as it comes. */
export type Chunk = string | Uint8Array;

/** Everything that can be sent as a body. Lists are sent one after the other. */
export type BodyContent =
  | string
  | Uint8Array
  | ReadableStream<Uint8Array>
  | ReadableStream<string>
  | Deno.FsFile
  | ReadableBody
  | ProducerBody
  | Iterable<Chunk>
  | AsyncIterable<Chunk>
  | Iterator<Chunk>
  | AsyncIterator<Chunk>
  | readonly BodyContent[];

const READ_BYTES = 64 * 1024;

/** How often a live producer that has nothing is asked again, in milliseconds. */
const READY_POLL_MS = 20;

/** Marks bodies of other kinds that are live. */
export const LIVE: unique symbol = Symbol("live");

const encoder = new TextEncoder();

/** Text and bytes go out in one piece, with a known length. */
export function isStatic(body: unknown): body is string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array;
}

/**
 * Makes a stream of anything else. It is pulled: nothing is produced before the client has taken what
 * came before. However it ends, what it was made of is closed exactly once. Its source runs as a part of
 * the request whose context is given.
 *
 * @throws {TypeError} for numbers, plain objects and whatever else cannot be sent.
 */
export function streamOf(
  body: unknown,
  onError: (error: unknown) => void,
  ctx?: RequestContext,
): ReadableStream<Uint8Array> {
  if (body instanceof Deno.FsFile) return body.readable;
  const chunks = chunksOf(body);
  let isOver = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        for (;;) {
          const { done, value } = await run(nextOf, chunks, ctx);
          // The client left while the source was working.
          if (isOver) return;
          if (done) return controller.close();
          if (value.byteLength === 0) continue;
          return controller.enqueue(value);
        }
      } catch (error) {
        onError(error);
        if (!isOver) controller.error(error);
      }
    },
    async cancel() {
      isOver = true;
      try {
        await run(returnOf, chunks, ctx);
      } catch (error) {
        onError(error);
      }
    },
  }, { highWaterMark: 0 });
}

type Chunks = AsyncGenerator<Uint8Array, void>;

const nextOf = (chunks: Chunks) => chunks.next();
const returnOf = (chunks: Chunks) => chunks.return();

function run<R>(step: (chunks: Chunks) => R, chunks: Chunks, ctx: RequestContext | undefined): R {
  return ctx === undefined ? step(chunks) : runInContext(ctx, step, chunks, undefined, undefined);
}

/** Whether a body, or a part of a list, is to reach the client as it comes. */
export function isLive(body: unknown): boolean {
  if (typeof body !== "object" || body === null) return false;
  if (Array.isArray(body)) return body.some(isLive);
  return (body as { [LIVE]?: boolean })[LIVE] === true ||
    (hasMethod(body, "more") && hasMethod(body, "ready"));
}

/** Closes a body that will not be sent, as if its client had left. */
export async function discardBody(body: unknown): Promise<void> {
  if (typeof body !== "object" || body === null || body instanceof Uint8Array) return;
  let chunks: Chunks;
  try {
    chunks = chunksOf(body);
  } catch (error) {
    // What cannot be sent has nothing to close.
    if (error instanceof TypeError) return;
    throw error;
  }
  await chunks.return();
}

/** The pieces of a body. Checks what can be checked before the first one is asked for. */
function chunksOf(body: unknown): Chunks {
  if (isStatic(body)) return one(body);
  if (Array.isArray(body)) return sequence(body);
  if (body instanceof Deno.FsFile) return iterate(body.readable, undefined);
  if (body instanceof ReadableStream) return iterate(body, undefined);
  if (typeof body === "object" && body !== null) {
    const close = closerOf(body);
    if (Symbol.asyncIterator in body || Symbol.iterator in body) {
      return iterate(body as AsyncIterable<unknown>, close);
    }
    if (hasMethod(body, "next")) {
      const iterator = body as unknown as Iterator<unknown>;
      return iterate({ [Symbol.asyncIterator]: () => iterator as never }, close);
    }
    if (hasMethod(body, "read")) {
      return repeat(() => (body as ReadableBody).read(READ_BYTES), close);
    }
    if (hasMethod(body, "more")) return produce(body as ProducerBody, close);
  }
  throw new TypeError(
    `Cannot send ${
      describe(body)
    } as a response: return text, bytes, a stream, an iterator, a list ` +
      `of these, or was.response.API(…) for data`,
  );
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return `${typeof value} ${String(value)}`;
  const name = (value as object).constructor?.name;
  return name === undefined || name === "Object" ? "an object" : `an object of class ${name}`;
}

function hasMethod(value: object, name: string): boolean {
  return typeof (value as Record<string, unknown>)[name] === "function";
}

function closerOf(body: object): (() => unknown) | undefined {
  return hasMethod(body, "close") ? () => (body as { close(): unknown }).close() : undefined;
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return encoder.encode(chunk);
  throw new TypeError(
    `Cannot send ${describe(chunk)} as a piece of a response: expected text or bytes`,
  );
}

async function* one(body: Chunk): Chunks {
  yield bytesOf(body);
}

/** The parts of a list one after the other. Parts that are never reached hold resources, too. */
function sequence(bodies: readonly unknown[]): Chunks {
  const parts: Chunks[] = [];
  try {
    for (const body of bodies) parts.push(chunksOf(body));
  } catch (error) {
    // Whoever made the list hears of its mistake; trouble with closing the rest is no news beside it.
    closeAll(parts).catch(() => {});
    throw error;
  }
  let at = 0;
  return closing(async () => {
    for (; at < parts.length; at++) {
      const { done, value } = await parts[at]!.next();
      if (!done) return value;
    }
    return undefined;
  }, () => closeAll(parts));
}

/** Closes all, whatever some of them throw; throws the first of that. */
async function closeAll(parts: readonly Chunks[]): Promise<void> {
  const ends = await Promise.allSettled(parts.map((part) => part.return()));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/**
 * Runs through something iterable. A generator that has not been started does nothing when it is
 * returned, so the source is held here and closed by {@link closing} even then.
 */
function iterate(
  source: AsyncIterable<unknown> | Iterable<unknown>,
  close: (() => unknown) | undefined,
): Chunks {
  const iterator = Symbol.asyncIterator in source
    ? source[Symbol.asyncIterator]()
    : source[Symbol.iterator]();
  let ended = false;
  return closing(async () => {
    let result: IteratorResult<unknown>;
    try {
      result = await iterator.next();
    } catch (error) {
      // One that has failed or ended by itself must not be told to.
      ended = true;
      throw error;
    }
    if (!result.done) return bytesOf(result.value);
    ended = true;
    return undefined;
  }, async () => {
    // A generator that waits for something returns only after that, which its close() may bring about.
    const returned = ended ? undefined : iterator.return?.();
    await Promise.all([returned, close?.()]);
  });
}

/** A producer; one that is live is asked whether it is ready before each piece. */
function produce(
  body: ProducerBody,
  close: (() => unknown) | undefined,
): Chunks {
  if (body.ready === undefined) return repeat(() => body.more(), close);
  let isOver = false;
  let wake: (() => void) | undefined;
  return repeat(async () => {
    while (!await body.ready!()) {
      if (isOver) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, READY_POLL_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return isOver ? undefined : await body.more();
  }, () => {
    isOver = true;
    wake?.();
    return close?.();
  });
}

function repeat(
  next: () => unknown | Promise<unknown>,
  close: (() => unknown) | undefined,
): Chunks {
  return closing(async () => {
    const chunk = await next();
    if (chunk === null || chunk === undefined) return undefined;
    const bytes = bytesOf(chunk);
    return bytes.byteLength === 0 ? undefined : bytes;
  }, async () => void await close?.());
}

/** A generator over `next` that runs `close` exactly once in every ending, started or not. */
function closing(
  next: () => Promise<Uint8Array | undefined>,
  close: () => Promise<void>,
): Chunks {
  let closed = false;
  const end = async (): Promise<IteratorResult<Uint8Array, void>> => {
    if (!closed) {
      closed = true;
      await close();
    }
    return { done: true, value: undefined };
  };
  const generator: Chunks = {
    async next() {
      if (closed) return { done: true, value: undefined };
      let value: Uint8Array | undefined;
      try {
        value = await next();
      } catch (error) {
        await end();
        throw error;
      }
      return value === undefined ? await end() : { done: false, value };
    },
    return: end,
    async throw(error) {
      await end();
      throw error;
    },
    [Symbol.asyncIterator]: () => generator,
    [Symbol.asyncDispose]: async () => void await end(),
  };
  return generator;
}
