/**
 * Answers to authentication challenges: basic and digest (RFC 7617, RFC 7616).
 *
 * @module
 */

import type { HttpRequest } from "./request.ts";

/** One challenge of a `WWW-Authenticate` header. */
export interface Challenge {
  /** Scheme in lower case. */
  readonly scheme: string;
  /** Parameters, names in lower case. */
  readonly params: ReadonlyMap<string, string>;
}

interface Accepted {
  readonly challenge: Challenge;
  /** How often the nonce has been used. */
  uses: number;
}

const FIELD = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?/g;
const MAX_REMEMBERED = 1000;

/** Reads the challenges of a `WWW-Authenticate` header, several of them included. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  for (const [, name, value] of header.matchAll(FIELD)) {
    if (value === undefined) challenges.push({ scheme: name!.toLowerCase(), params: new Map() });
    else {
      const text = value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
      challenges.at(-1)?.params.set(name!.toLowerCase(), text);
    }
  }
  return challenges;
}

/**
 * Makes `Authorization` values. What a server once asked for is remembered per origin and user, so
 * that only the first request has to be sent twice.
 */
export class Authenticator {
  readonly #accepted = new Map<string, Accepted>();

  /** Value to send without having been asked, if any. */
  async first(request: HttpRequest, origin: string, path: string): Promise<string | undefined> {
    const { auth } = request;
    if (auth === undefined) return undefined;
    const [user, password] = auth;
    if (password === undefined) return `Bearer ${user}`;
    const known = this.#accepted.get(keyOf(origin, auth));
    return known && await answer(known, request.method, path, user, password);
  }

  /**
   * Value for the challenges of a 401 response, the strongest of them answered; `undefined` when none
   * can be, or when the answer has just been refused.
   */
  async next(
    request: HttpRequest,
    origin: string,
    path: string,
    header: string,
    tried: string | undefined,
  ): Promise<string | undefined> {
    const { auth } = request;
    if (auth === undefined || auth[1] === undefined) return undefined;
    const challenges = parseChallenges(header);
    const challenge = challenges.find((one) => one.scheme === "digest" && hashOf(one)) ??
      challenges.find((one) => one.scheme === "basic");
    if (challenge === undefined) return undefined;
    const key = keyOf(origin, auth);
    const before = this.#accepted.get(key);
    if (tried !== undefined) {
      this.#accepted.delete(key);
      // a digest is refused for good only when its nonce was fresh; the nonce remembered may be old
      const renewed = challenge.scheme === "digest" &&
        challenge.params.get("nonce") !== before?.challenge.params.get("nonce") &&
        (challenge.params.get("stale")?.toLowerCase() === "true" || (before?.uses ?? 0) > 1);
      if (!renewed) return undefined;
    }
    const accepted: Accepted = { challenge, uses: 0 };
    if (this.#accepted.size >= MAX_REMEMBERED) {
      this.#accepted.delete(this.#accepted.keys().next().value!);
    }
    this.#accepted.set(key, accepted);
    return await answer(accepted, request.method, path, auth[0], auth[1]);
  }
}

function keyOf(origin: string, auth: readonly [string, string?]): string {
  return `${origin}\n${auth[0]}\n${auth[1]}`;
}

async function answer(
  accepted: Accepted,
  method: string,
  path: string,
  user: string,
  password: string,
): Promise<string | undefined> {
  accepted.uses++;
  const { challenge } = accepted;
  if (challenge.scheme === "basic") return `Basic ${base64(`${user}:${password}`)}`;
  return await digest(challenge, accepted.uses, method, path, user, password);
}

/** Hash function of a digest challenge; `undefined` for one that is not supported. */
function hashOf(challenge: Challenge): string | undefined {
  const qop = challenge.params.get("qop");
  if (qop !== undefined && !/(?:^|[\s,])auth(?:$|[\s,])/.test(qop)) return undefined;
  switch (challenge.params.get("algorithm")?.toUpperCase().replace(/-SESS$/, "") ?? "MD5") {
    case "MD5":
      return "md5";
    case "SHA-256":
      return "sha256";
    case "SHA-512-256":
      return "sha512-256";
    default:
      return undefined;
  }
}

async function digest(
  challenge: Challenge,
  uses: number,
  method: string,
  uri: string,
  user: string,
  password: string,
): Promise<string> {
  // MD5 is not in Web Crypto, and servers still ask for it
  const { createHash, randomBytes } = await import("node:crypto");
  const { params } = challenge;
  const hash = (text: string) => createHash(hashOf(challenge)!).update(text, "utf8").digest("hex");
  const realm = params.get("realm") ?? "";
  const nonce = params.get("nonce") ?? "";
  const algorithm = params.get("algorithm");
  const cnonce = randomBytes(12).toString("hex");
  const nc = uses.toString(16).padStart(8, "0");
  let ha1 = hash(`${user}:${realm}:${password}`);
  if (algorithm?.toLowerCase().endsWith("-sess")) ha1 = hash(`${ha1}:${nonce}:${cnonce}`);
  const ha2 = hash(`${method}:${uri}`);
  const qop = params.has("qop");
  const response = qop
    ? hash(`${ha1}:${nonce}:${nc}:${cnonce}:auth:${ha2}`)
    : hash(`${ha1}:${nonce}:${ha2}`);
  const fields = [
    `username=${quoted(user)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    `response="${response}"`,
  ];
  if (algorithm !== undefined) fields.push(`algorithm=${algorithm}`);
  const opaque = params.get("opaque");
  if (opaque !== undefined) fields.push(`opaque=${quoted(opaque)}`);
  if (qop) fields.push("qop=auth", `nc=${nc}`, `cnonce="${cnonce}"`);
  return latin1(`Digest ${fields.join(", ")}`);
}

function quoted(text: string): string {
  return `"${text.replace(/[\r\n]/g, "").replace(/["\\]/g, "\\$&")}"`;
}

/** UTF-8 bytes of a text as characters up to U+00FF, the form in which headers are written. */
function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function base64(text: string): string {
  return btoa(latin1(text));
}
