/**
 * JWT signed with a shared key (HMAC), made and read synchronously.
 *
 * @module
 */

import { nodeBuffer, nodeCrypto } from "../core/node_builtins.ts";

/** Claims of a token. */
export interface JwtClaims {
  /** Not valid from then on, in seconds since 1970. */
  exp?: number;
  /** Not valid before, in seconds since 1970. */
  nbf?: number;
  /** Name of the user; reading the token makes it `was.request.user`. */
  username?: string;
  /** Anything else. */
  [claim: string]: unknown;
}

/** Algorithms that can be configured. */
export type JwtAlgorithm = "HS256" | "HS384" | "HS512";

/** Hash, and the shortest key in bytes that RFC 7518 allows with it. */
const ALGORITHMS = {
  HS256: { hash: "sha256", bytes: 32 },
  HS384: { hash: "sha384", bytes: 48 },
  HS512: { hash: "sha512", bytes: 64 },
} as const;

/** Whether it is an algorithm at all. */
export function isJwtAlgorithm(name: unknown): name is JwtAlgorithm {
  return typeof name === "string" && Object.hasOwn(ALGORITHMS, name);
}

/** Makes a token. @throws {TypeError} for claims that are no object or whose times are no numbers. */
export function signJwt(claims: JwtClaims, key: string, alg: JwtAlgorithm): string {
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) {
    throw new TypeError("Cannot make a JWT: the claims are an object");
  }
  for (const name of ["exp", "nbf", "iat"]) {
    const time = claims[name];
    if (time !== undefined && (typeof time !== "number" || !Number.isFinite(time))) {
      throw new TypeError(`Cannot make a JWT: ${name} is ${String(time)}, expected seconds`);
    }
  }
  const { bytes } = ALGORITHMS[alg];
  if (nodeBuffer().byteLength(key) < bytes) {
    throw new TypeError(`Cannot make a JWT with ${alg}: its key has ${bytes} bytes or more`);
  }
  const head = nodeBuffer().from(JSON.stringify({ alg, typ: "JWT" })).toString("base64url");
  const signed = `${head}.${nodeBuffer().from(JSON.stringify(claims)).toString("base64url")}`;
  return `${signed}.${signature(signed, key, alg)}`;
}

/**
 * Claims of a token; `undefined` when it is not signed by one of the keys with one of the algorithms, is not
 * valid yet or any more, or is not a token. Times are honoured wherever they are present.
 */
export function verifyJwt(
  token: string,
  keys: readonly string[],
  algorithms: readonly JwtAlgorithm[],
): JwtClaims | undefined {
  const parts = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(token);
  if (parts === null) return undefined;
  const [, head, body, given] = parts;
  const header = parseObject(head!);
  // An extension we do not know must be refused; RFC 7515, 4.1.11.
  if (header === undefined || Object.hasOwn(header, "crit")) return undefined;
  const { alg } = header;
  if (!isJwtAlgorithm(alg) || !algorithms.includes(alg)) return undefined;
  const signed = `${head}.${body}`;
  const { bytes } = ALGORITHMS[alg];
  const isSigned = keys.some((key) =>
    nodeBuffer().byteLength(key) >= bytes && isEqual(signature(signed, key, alg), given!)
  );
  const claims = isSigned ? parseObject(body!) : undefined;
  return claims !== undefined && isInTime(claims) ? claims as JwtClaims : undefined;
}

/** Compares texts in a time that does not tell where they differ. */
export function isEqual(one: string, other: string): boolean {
  const a = nodeBuffer().from(one);
  const b = nodeBuffer().from(other);
  return a.length === b.length && nodeCrypto().timingSafeEqual(a, b);
}

function signature(signed: string, key: string, alg: JwtAlgorithm): string {
  return nodeCrypto().createHmac(ALGORITHMS[alg].hash, key).update(signed).digest("base64url");
}

function isInTime({ exp, nbf }: Record<string, unknown>): boolean {
  const now = Date.now() / 1000;
  if (exp !== undefined && !(typeof exp === "number" && exp > now)) return false;
  return nbf === undefined || typeof nbf === "number" && nbf <= now;
}

function parseObject(part: string): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(nodeBuffer().from(part, "base64url").toString());
  } catch {
    // Not a token: the caller is told so.
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : undefined;
}
