/**
 * Digest access authentication (RFC 7616): MD5 and SHA-256, `qop="auth"`.
 *
 * A nonce is a time stamp with a signature, so that handing them out takes no memory. Only those with
 * which somebody got in are remembered, together with the counts that were used: each count is good for
 * one request, whichever worker of the engine it meets.
 *
 * @module
 */

import { nodeBuffer, nodeCrypto } from "../../core/node_builtins.ts";
import type { NonceTable } from "../../store/nonce_table.ts";
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
  /** What signs and remembers nonces. */
  readonly nonces: NonceTable;
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

/** Hands out nonces and checks answers to them. */
export class DigestAuthority {
  readonly #options: Required<DigestOptions>;

  /** Makes one; what another one with the same nonces hands out is good here, too. */
  constructor(options: DigestOptions) {
    this.#options = { now: Date.now, ...options };
  }

  /** Challenges for a realm, one for each algorithm, all with the same fresh nonce. */
  challenges(realm: string, stale = false): string[] {
    const nonce = this.#nonce();
    const opaque = opaqueOf(realm);
    return this.#options.algorithms.map((algorithm) =>
      `Digest realm=${
        quoted(bytesOf(realm))
      }, qop="auth", algorithm=${algorithm}, nonce="${nonce}", ` +
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
    const name = given && nameOf(given);
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
      decodeUtf8(given!.get("realm") ?? "") !== realm || given!.get("opaque") !== opaqueOf(realm) ||
      targetOf(uri) !== request.target
    ) return REFUSED;

    const user = await lookup(name);
    const hash = (text: string) =>
      nodeCrypto().createHash(HASHES[algorithm]).update(text).digest("hex");
    let ha1: string;
    if (user === undefined || !user.encrypted) {
      // Nobody is asked for like somebody, so that the time does not tell who exists.
      ha1 = hash(
        `${name}:${realm}:${user?.password ?? this.#options.nonces.key.toHex()}`,
      );
    } else {
      ha1 = user.password.toLowerCase();
      if (ha1.length !== hash("").length) {
        const problem = `The stored hash of user ${JSON.stringify(name)} does not fit ` +
          `${algorithm}: app.digestAlgorithms has more than what hashes are stored for`;
        return { ok: false, stale: false, problem };
      }
    }
    const expected = hash(
      `${ha1}:${nonce}:${nc}:${cnonce}:auth:${hash(`${request.method}:${uri}`)}`,
    );
    const right = equalSecrets(response.toLowerCase(), expected);
    if (!right || user === undefined) return REFUSED;
    return this.#use(nonce, parseInt(nc, 16)) ? { ok: true, name, user } : STALE;
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
    return nodeCrypto().createHmac("sha256", this.#options.nonces.key).update(bytes).digest()
      .subarray(0, 16);
  }

  /** Takes a count of a nonce; false when either is no good (any more). */
  #use(nonce: string, count: number): boolean {
    const { nonces, nonceSeconds } = this.#options;
    const signed = this.#signed(nonce);
    if (signed === undefined) return false;
    const issued = Number(new DataView(signed.buffer).getBigUint64(0));
    const now = this.#options.now();
    const expired = now - nonceSeconds * 1000;
    if (issued > now || issued <= expired) return false;
    return nonces.use(signed.subarray(16), issued, Math.floor(expired), count, now);
  }

  /** The bytes of a nonce that was handed out here; `undefined` for any other text. */
  #signed(nonce: string): Uint8Array<ArrayBuffer> | undefined {
    if (!/^[\w-]{43}$/.test(nonce)) return undefined;
    const signed = Uint8Array.fromBase64(nonce, { alphabet: "base64url" });
    const own = this.#sign(signed.subarray(0, 16));
    return nodeCrypto().timingSafeEqual(signed.subarray(16), own) ? signed : undefined;
  }
}

/** Goes back unchanged with every answer, and tells realms apart. */
function opaqueOf(realm: string): string {
  return nodeCrypto().createHash("sha256").update(realm).digest("hex").slice(0, 32);
}

/** Path and query of a target in any form. An empty query, which browsers send as well, is none. */
function targetOf(uri: string): string {
  return uri.replace(/^https?:\/\/[^/?]*/i, "").replace(/^([^?]*)\?$/, "$1") || "/";
}

/** The name in one of its two forms; both at once, or a hash of it, which nobody has offered, are none. */
function nameOf(given: ReadonlyMap<string, string>): string | undefined {
  const plain = given.get("username");
  const extended = given.get("username*");
  if (given.get("userhash")?.toLowerCase() === "true") return undefined;
  if (extended === undefined) return plain === undefined ? undefined : decodeUtf8(plain);
  const encoded = /^utf-8'[\w-]*'(.*)$/i.exec(extended)?.[1];
  if (encoded === undefined || plain !== undefined) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    // Not encoded as it says: the answer is malformed.
    return undefined;
  }
}

/** Text as its bytes in UTF-8 are written into a header: clients hash a realm as they got it. */
function bytesOf(text: string): string {
  return nodeBuffer().from(text).toString("latin1");
}

/** Header bytes arrive as Latin-1; clients that were told so send UTF-8. */
function decodeUtf8(text: string): string {
  if (!/[\x80-\xff]/.test(text)) return text;
  try {
    return new TextDecoder("utf-8", { fatal: true })
      .decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  } catch {
    // Not UTF-8: it is what it looks like.
    return text;
  }
}
