/**
 * Digest access authentication (RFC 7616): MD5 and SHA-256, `qop="auth"`.
 *
 * A nonce is a time stamp with a signature, so that handing them out takes no memory. Only those with
 * which somebody got in are remembered, together with the counts that were used: each count is good for
 * one request.
 *
 * @module
 */

import { nodeCrypto } from "../../core/node_crypto.ts";
import { parseParameters, quoted } from "./authorization_header.ts";
import { equalSecrets } from "./constant_time.ts";
import type { KnownUser } from "./user_records.ts";

/** Hash functions of digest authentication. */
export type DigestAlgorithm = "MD5" | "SHA-256";

/** Options of {@link DigestAuthority}. */
export interface DigestOptions {
  /** Algorithms offered, the preferred one first. */
  readonly algorithms: readonly DigestAlgorithm[];
  /** How long a nonce is good, in seconds. */
  readonly nonceSeconds: number;
  /** Most nonces remembered; the oldest are given up first. Default 10 000. */
  readonly maxNonces?: number;
  /** Time in milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** A request that wants to be let in. */
export interface DigestRequest {
  /** Method. */
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** What stands behind `Digest` in the header. */
  readonly credentials: string;
}

/** What came of it. */
export type DigestVerdict =
  | { readonly ok: true; readonly name: string; readonly user: KnownUser }
  /** `stale`: the password is right, but the nonce is worn out, and the client may go on by itself. */
  | { readonly ok: false; readonly stale: boolean; readonly problem?: string };

const HASHES: Readonly<Record<DigestAlgorithm, string>> = { "MD5": "md5", "SHA-256": "sha256" };
const REFUSED: DigestVerdict = { ok: false, stale: false };
const STALE: DigestVerdict = { ok: false, stale: true };

/** How far behind the highest count of a nonce another one may come: requests overtake each other. */
const WINDOW = 64;

/** Counts of a nonce that were used: the highest, and which of those before it. */
interface Used {
  readonly issued: number;
  highest: number;
  before: bigint;
}

/** Hands out nonces and checks answers to them. */
export class DigestAuthority {
  readonly #options: Required<DigestOptions>;
  readonly #key = crypto.getRandomValues(new Uint8Array(32));
  readonly #used = new Map<string, Used>();
  /** Nonces up to this time are not accepted any more: what was used of them has been forgotten. */
  #forgottenUntil = 0;

  /** Makes one with a key of its own: what another worker handed out is stale here. */
  constructor(options: DigestOptions) {
    this.#options = { maxNonces: 10_000, now: Date.now, ...options };
  }

  /** Challenges for a realm, one for each algorithm, all with the same fresh nonce. */
  challenges(realm: string, stale = false): string[] {
    const nonce = this.#nonce();
    const opaque = opaqueOf(realm);
    return this.#options.algorithms.map((algorithm) =>
      `Digest realm=${quoted(realm)}, qop="auth", algorithm=${algorithm}, nonce="${nonce}", ` +
      `opaque="${opaque}", charset=UTF-8${stale ? ", stale=true" : ""}`
    );
  }

  /** Checks the answer to a challenge. Fails with what `lookup` throws. */
  async check(
    request: DigestRequest,
    realm: string,
    lookup: (name: string) => KnownUser | undefined | Promise<KnownUser | undefined>,
  ): Promise<DigestVerdict> {
    const given = parseParameters(request.credentials);
    const name = given?.get("username");
    const nonce = given?.get("nonce");
    const uri = given?.get("uri");
    const response = given?.get("response");
    const nc = given?.get("nc");
    const cnonce = given?.get("cnonce");
    const algorithm = this.#options.algorithms.find((known) =>
      known === (given?.get("algorithm") ?? "MD5").toUpperCase()
    );
    if (
      name === undefined || nonce === undefined || uri === undefined || response === undefined ||
      nc === undefined || !/^[0-9a-f]{8}$/i.test(nc) || cnonce === undefined ||
      algorithm === undefined || given!.get("qop") !== "auth" ||
      given!.get("realm") !== realm || given!.get("opaque") !== opaqueOf(realm) ||
      targetOf(uri) !== request.target
    ) return REFUSED;

    const user = await lookup(decodeName(name));
    const hash = (text: string) =>
      nodeCrypto().createHash(HASHES[algorithm]).update(text).digest("hex");
    let ha1: string;
    if (user === undefined || !user.encrypted) {
      // Nobody is asked for like somebody, so that the time does not tell who exists.
      ha1 = hash(`${decodeName(name)}:${realm}:${user?.password ?? this.#key.toHex()}`);
    } else {
      ha1 = user.password.toLowerCase();
      if (ha1.length !== hash("").length) {
        const problem = `The stored hash of user ${JSON.stringify(name)} does not fit ${algorithm}`;
        return { ok: false, stale: false, problem };
      }
    }
    const expected = hash(
      `${ha1}:${nonce}:${nc}:${cnonce}:auth:${hash(`${request.method}:${uri}`)}`,
    );
    const right = equalSecrets(response.toLowerCase(), expected);
    if (!right || user === undefined) return REFUSED;
    return this.#use(nonce, parseInt(nc, 16)) ? { ok: true, name: decodeName(name), user } : STALE;
  }

  #nonce(): string {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.#options.now()));
    crypto.getRandomValues(bytes.subarray(8));
    const signed = new Uint8Array(32);
    signed.set(bytes);
    signed.set(this.#sign(bytes), 16);
    return signed.toBase64({ alphabet: "base64url", omitPadding: true });
  }

  #sign(bytes: Uint8Array): Uint8Array {
    return nodeCrypto().createHmac("sha256", this.#key).update(bytes).digest().subarray(0, 16);
  }

  /** Takes a count of a nonce; false when either is no good (any more). */
  #use(nonce: string, count: number): boolean {
    const issued = this.#issued(nonce);
    const now = this.#options.now();
    if (issued === undefined || issued > now) return false;
    if (issued <= this.#forgottenUntil || issued + this.#options.nonceSeconds * 1000 <= now) {
      return false;
    }
    let used = this.#used.get(nonce);
    if (used === undefined) {
      this.#forget(now);
      this.#used.set(nonce, used = { issued, highest: 0, before: 0n });
    }
    if (count > used.highest) {
      const shift = BigInt(count - used.highest);
      used.before = shift > WINDOW
        ? 0n
        : BigInt.asUintN(WINDOW, (used.before << shift) | (1n << (shift - 1n)));
      used.highest = count;
      return true;
    }
    const behind = used.highest - count;
    if (behind === 0 || behind > WINDOW) return false;
    const bit = 1n << BigInt(behind - 1);
    if ((used.before & bit) !== 0n) return false;
    used.before |= bit;
    return true;
  }

  /** When a nonce was handed out here; `undefined` for any other text. */
  #issued(nonce: string): number | undefined {
    if (!/^[\w-]{43}$/.test(nonce)) return undefined;
    const signed = Uint8Array.fromBase64(nonce, { alphabet: "base64url" });
    const bytes = signed.subarray(0, 16);
    if (!nodeCrypto().timingSafeEqual(signed.subarray(16), this.#sign(bytes))) return undefined;
    return Number(new DataView(signed.buffer).getBigUint64(0));
  }

  /** Makes room for one more nonce. */
  #forget(now: number): void {
    const { nonceSeconds, maxNonces } = this.#options;
    if (this.#used.size < maxNonces) return;
    for (const [nonce, { issued }] of this.#used) {
      if (issued + nonceSeconds * 1000 <= now) this.#used.delete(nonce);
    }
    if (this.#used.size < maxNonces) return;
    const oldest = [...this.#used].sort(([, a], [, b]) => a.issued - b.issued);
    for (const [nonce, { issued }] of oldest.slice(0, Math.max(1, maxNonces >> 3))) {
      this.#used.delete(nonce);
      this.#forgottenUntil = Math.max(this.#forgottenUntil, issued);
    }
  }
}

/** Goes back unchanged with every answer, and tells realms apart. */
function opaqueOf(realm: string): string {
  return nodeCrypto().createHash("sha256").update(realm).digest("hex").slice(0, 32);
}

/** Path and query of a target in any form. */
function targetOf(uri: string): string {
  return uri.replace(/^https?:\/\/[^/?]*/i, "") || "/";
}

/** Header bytes arrive as Latin-1; clients that were told so send UTF-8. */
function decodeName(name: string): string {
  if (!/[\x80-\xff]/.test(name)) return name;
  try {
    return new TextDecoder("utf-8", { fatal: true })
      .decode(Uint8Array.from(name, (character) => character.charCodeAt(0)));
  } catch {
    // Not UTF-8: it is what it looks like.
    return name;
  }
}
