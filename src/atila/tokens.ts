/**
 * Tokens of an app: sealed values that expire, and JWT.
 *
 * @module
 */

import { nodeBuffer, nodeCrypto } from "../core/node_builtins.ts";
import type { Revocations } from "../store/revocations.ts";
import {
  isEqual,
  isJwtAlgorithm,
  type JwtAlgorithm,
  type JwtClaims,
  signJwt,
  verifyJwt,
} from "./jwt.ts";
import { ringOf, type SecureKey } from "./key_ring.ts";
import { jsonOf, randomId, type Session } from "./session.ts";

/** What tokens need of the request. */
export interface TokenOwner {
  /** The app. */
  readonly app: {
    readonly securekey: SecureKey | undefined;
    readonly config: { readonly jwtAlgorithms?: readonly JwtAlgorithm[] };
  };
  /** The session, for tokens that depend on it. */
  readonly session: Session;
  /** What ended early. */
  readonly revocations: Revocations;
}

/** Seconds a token is valid unless told otherwise. */
export const TOKEN_SECONDS = 1200;

interface Content {
  /** Value. */
  v: unknown;
  /** When it ends, in seconds since 1970. */
  e: number;
  /** Random id, for ending it early. */
  n: string;
  /** Key in the session, and what stands there. */
  s?: [key: string, secret: string];
}

/** Makes a token. See `was.mktoken`. */
export function makeToken(
  owner: TokenOwner,
  value: unknown,
  timeout: number,
  sessionKey: string | undefined,
): string {
  if (typeof timeout !== "number" || !Number.isFinite(timeout)) {
    throw new TypeError(`Cannot make a token that is valid for ${String(timeout)} seconds`);
  }
  jsonOf("Cannot make a token", value);
  const content: Content = { v: value, e: Date.now() / 1000 + timeout, n: randomId() };
  if (sessionKey !== undefined) {
    const secret = randomId();
    owner.session.set(sessionKey, secret);
    content.s = [sessionKey, secret];
  }
  return ringOf(owner.app, "Tokens").sealer("token").seal(JSON.stringify(content));
}

/** Value of a token. See `was.detoken`. */
export function readToken(owner: TokenOwner, token: string): unknown {
  return contentOf(owner, asSent(token))?.v;
}

/**
 * A plain path parameter reads underscores as blanks, and no token has a blank: so links like
 * `/reset/<token>` work.
 */
function asSent(token: unknown): string {
  return typeof token === "string" ? token.replaceAll(" ", "_") : "";
}

/** Ends a token, of whichever kind. See `was.rmtoken`. */
export function revokeToken(owner: TokenOwner, text: string): void {
  const token = asSent(text);
  const content = contentOf(owner, token);
  if (content !== undefined) {
    if (content.s !== undefined) owner.session.remove(content.s[0]);
    owner.revocations.revoke(content.n, content.e);
    return;
  }
  const claims = verified(owner, token);
  if (claims === undefined) return;
  if (claims.exp === undefined) {
    throw new TypeError(
      "Cannot revoke a JWT that never expires: it would have to be kept for ever",
    );
  }
  owner.revocations.revoke(jwtId(token), claims.exp);
}

/** Makes a JWT. See `was.mkjwt`. */
export function makeJwt(owner: TokenOwner, claims: JwtClaims, alg: string): string {
  const known = algorithmsOf(owner);
  if (!isJwtAlgorithm(alg) || !known.includes(alg)) {
    throw new TypeError(
      `Cannot make a JWT with ${String(alg)}: app.config.jwtAlgorithms has ${known.join(", ")}`,
    );
  }
  return signJwt(claims, ringOf(owner.app, "Tokens").keys[0]!, alg);
}

/** Claims of a JWT. See `was.dejwt`. */
export function readJwt(owner: TokenOwner, text: string): JwtClaims | undefined {
  const token = asSent(text);
  const claims = verified(owner, token);
  return claims === undefined || owner.revocations.isRevoked(jwtId(token)) ? undefined : claims;
}

function verified(owner: TokenOwner, token: string): JwtClaims | undefined {
  const { keys } = ringOf(owner.app, "Tokens");
  return verifyJwt(token, keys, algorithmsOf(owner));
}

function contentOf(owner: TokenOwner, token: string): Content | undefined {
  const sealer = ringOf(owner.app, "Tokens").sealer("token");
  const text = sealer.open(token);
  if (text === undefined) return undefined;
  const content = JSON.parse(text) as Content;
  if (content.e <= Date.now() / 1000 || owner.revocations.isRevoked(content.n)) return undefined;
  if (content.s !== undefined) {
    const [key, secret] = content.s;
    const held = owner.session.get(key);
    if (typeof held !== "string" || !isEqual(held, secret)) return undefined;
  }
  return content;
}

const DEFAULT_ALGORITHMS: readonly JwtAlgorithm[] = ["HS256"];

/** @throws {TypeError} for a setting with anything but HMAC algorithms. */
function algorithmsOf({ app }: TokenOwner): readonly JwtAlgorithm[] {
  const { jwtAlgorithms = DEFAULT_ALGORITHMS } = app.config;
  if (!Array.isArray(jwtAlgorithms) || !jwtAlgorithms.every(isJwtAlgorithm)) {
    throw new TypeError(
      `app.config.jwtAlgorithms is ${JSON.stringify(jwtAlgorithms)}: expected a list of HS256, ` +
        "HS384 and HS512",
    );
  }
  return jwtAlgorithms;
}

/** What a JWT is known by when it is revoked: the signature alone would do, but may be short. */
function jwtId(token: string): string {
  return nodeCrypto().createHash("sha256").update(nodeBuffer().from(token)).digest("base64url");
}
