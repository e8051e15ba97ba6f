/**
 * A request that differs from another in its address or its body.
 *
 * @module
 */

/** What is to be different. */
export interface RequestChanges {
  /** Address. Default: the same. */
  readonly url?: string;
  /** Body. Default: that of the original, which then must not be read any more. */
  readonly body?: ReadableStream<Uint8Array> | null;
}

/**
 * Makes a request like another. Unlike `new Request(req, init)` it does not touch the signal of the
 * original, which would halve the throughput of the server; the new request asks for it when it is
 * asked.
 */
export function deriveRequest(req: Request, changes: RequestChanges): Request {
  const body = changes.body === undefined ? req.body : changes.body;
  const derived = new Request(changes.url ?? req.url, {
    method: req.method,
    headers: req.headers,
    body,
    redirect: req.redirect,
    ...(body === null ? {} : { duplex: "half" }),
  });
  Object.defineProperty(derived, "signal", { get: () => req.signal, configurable: true });
  return derived;
}
