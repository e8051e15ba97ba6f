/**
 * Headers that tell browsers to be careful with what an app sends.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import { ConfigError } from "../core/errors.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";

/** What is sent. `false` leaves a header out; a response that sets one itself keeps its own. */
export interface SecureHeadersOptions {
  /** `X-Content-Type-Options`. Default `nosniff`. */
  contentTypeOptions?: string | false;
  /** `X-Frame-Options`. Default `SAMEORIGIN`. */
  frameOptions?: string | false;
  /** `Referrer-Policy`. Default `strict-origin-when-cross-origin`. */
  referrerPolicy?: string | false;
  /** `Cross-Origin-Opener-Policy`. Default `same-origin`. */
  crossOriginOpenerPolicy?: string | false;
  /** `Cross-Origin-Resource-Policy`. Default `same-origin`. */
  crossOriginResourcePolicy?: string | false;
  /**
   * `Strict-Transport-Security`, on requests that came over TLS, here or at a proxy that says so in
   * `X-Forwarded-Proto`. Default `max-age=31536000`.
   */
  strictTransportSecurity?: string | false;
  /**
   * `Content-Security-Policy`. Default `base-uri 'self'; object-src 'none'; frame-ancestors 'self'`,
   * which no ordinary page runs into; say here where scripts may come from.
   */
  contentSecurityPolicy?: string | false;
  /** `Permissions-Policy`. Default: not sent. */
  permissionsPolicy?: string | false;
}

const HEADERS: Readonly<Record<keyof SecureHeadersOptions, [name: string, value: string | false]>> =
  {
    contentTypeOptions: ["x-content-type-options", "nosniff"],
    frameOptions: ["x-frame-options", "SAMEORIGIN"],
    referrerPolicy: ["referrer-policy", "strict-origin-when-cross-origin"],
    crossOriginOpenerPolicy: ["cross-origin-opener-policy", "same-origin"],
    crossOriginResourcePolicy: ["cross-origin-resource-policy", "same-origin"],
    strictTransportSecurity: ["strict-transport-security", "max-age=31536000"],
    contentSecurityPolicy: [
      "content-security-policy",
      "base-uri 'self'; object-src 'none'; frame-ancestors 'self'",
    ],
    permissionsPolicy: ["permissions-policy", false],
  };

/** Checks options. @throws {ConfigError} for unknown names and values that cannot be sent. */
export function checkSecureHeaders(options: SecureHeadersOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const where = `secureHeaders({ ${name} })`;
    if (!Object.hasOwn(HEADERS, name)) {
      throw new ConfigError(where, `unknown; known are ${Object.keys(HEADERS).join(", ")}`);
    }
    if (value === false || value === undefined) continue;
    if (typeof value !== "string" || !/^[\x20-\x7e]+$/.test(value)) {
      throw new ConfigError(where, `${JSON.stringify(value)} is no header value; false for none`);
    }
  }
}

/**
 * Adds the headers to every response, errors included.
 *
 * @throws {ConfigError} for options that cannot be used.
 */
export function secureHeaders(options: SecureHeadersOptions = {}): Layer {
  checkSecureHeaders(options);
  const always: [string, string][] = [];
  const overTls: [string, string][] = [];
  for (const [option, [name, usual]] of Object.entries(HEADERS)) {
    const value = options[option as keyof SecureHeadersOptions] ?? usual;
    if (value === false) continue;
    (name === "strict-transport-security" ? overTls : always).push([name, value]);
  }

  const add = (res: Response, req: Request, ctx: RequestContext): Response => {
    if (res.status < 200) return res;
    const pairs = overTls.length > 0 && isTls(req, ctx) ? [...always, ...overTls] : always;
    try {
      fill(res.headers, pairs);
      return res;
    } catch (error) {
      // Responses of fetch() cannot be changed.
      if (!(error instanceof TypeError)) throw error;
      const headers = new Headers(res.headers);
      fill(headers, pairs);
      return new Response(res.body, { status: res.status, statusText: res.statusText, headers });
    }
  };

  return (next: Handler): Handler =>
    function secureHeaders(req, ctx) {
      const result = next(req, ctx);
      return isThenable(result)
        ? Promise.resolve(result).then((res) => add(res, req, ctx))
        : add(result, req, ctx);
    };
}

function fill(headers: Headers, pairs: readonly [string, string][]): void {
  for (const [name, value] of pairs) if (!headers.has(name)) headers.set(name, value);
}

function isTls(req: Request, ctx: RequestContext): boolean {
  return ctx.scheme === "https" ||
    req.headers.get("x-forwarded-proto")?.split(",", 1)[0]?.trim().toLowerCase() === "https";
}
