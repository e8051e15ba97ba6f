/**
 * Sealing: text encrypted and authenticated as JWE in compact form, `dir` with A256GCM.
 *
 * What comes out is what `jose` makes and reads, but made with `node:crypto`: that is synchronous, so
 * a session is opened when a handler asks for it and not before, and it takes a tenth of the time,
 * since no value goes through the thread pool of WebCrypto.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { nodeBuffer, nodeCrypto } from "../core/node_builtins.ts";

/** A key as it is used. */
export interface SealKey {
  /** Its name in the header, which says nothing about the secret. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

interface Known extends SealKey {
  readonly header: string;
  readonly aad: Uint8Array;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;
const IV_CHARS = 16;
const TAG_CHARS = 22;
/** Texts that were opened lately: the same cookie comes with every request until it changes. */
const KEPT = 512;
const MAX_KEPT_CHARS = 4096;

/** Seals with the first of several keys and opens with all of them. */
export class Sealer {
  #first: Known;
  #byHeader = new Map<string, Known>();
  #recent = new Map<string, string>();
  #older = new Map<string, string>();

  /** Takes the keys, newest first; there must be one. */
  constructor(keys: readonly SealKey[]) {
    for (const key of keys) {
      const header = nodeBuffer().from(JSON.stringify({ alg: "dir", enc: "A256GCM", kid: key.id }))
        .toString("base64url");
      this.#byHeader.set(header, { ...key, header, aad: nodeBuffer().from(header, "latin1") });
    }
    const [first] = this.#byHeader.values();
    if (first === undefined) throw new TypeError("A sealer needs a key");
    this.#first = first;
  }

  /** Seals a text with the newest key. */
  seal(text: string): string {
    const { header, aad, secret } = this.#first;
    const iv = nodeBuffer().allocUnsafe(IV_BYTES);
    crypto.getRandomValues(iv);
    const cipher = nodeCrypto().createCipheriv("aes-256-gcm", secret, iv);
    cipher.setAAD(aad);
    const body = nodeBuffer().concat([cipher.update(text, "utf8"), cipher.final()]);
    const sealed = `${header}..${iv.toString("base64url")}.${body.toString("base64url")}.${
      cipher.getAuthTag().toString("base64url")
    }`;
    this.#keep(sealed, text);
    return sealed;
  }

  /** Size of what {@link seal} makes of so many bytes, in characters. */
  sealedSize(bytes: number): number {
    return this.#first.header.length + 4 + IV_CHARS + Math.ceil(bytes * 4 / 3) + TAG_CHARS;
  }

  /**
   * Opens what one of the keys has sealed. `undefined` for anything else: another key, another
   * algorithm, a changed, shortened or differently written text.
   */
  open(sealed: string): string | undefined {
    const known = this.#recent.get(sealed) ?? this.#older.get(sealed);
    if (known !== undefined) return known;
    const end = sealed.indexOf(".");
    // The header is compared, never parsed: nobody gets to choose an algorithm.
    const key = this.#byHeader.get(sealed.slice(0, end));
    if (key === undefined || sealed[end + 1] !== ".") return undefined;
    const ivAt = end + 2;
    const bodyAt = ivAt + IV_CHARS + 1;
    const tagAt = sealed.length - TAG_CHARS;
    if (tagAt <= bodyAt || sealed[bodyAt - 1] !== "." || sealed[tagAt - 1] !== ".") {
      return undefined;
    }
    const iv = decode(sealed.slice(ivAt, bodyAt - 1));
    const body = decode(sealed.slice(bodyAt, tagAt - 1));
    const tag = decode(sealed.slice(tagAt));
    if (iv === undefined || body === undefined || tag === undefined) return undefined;
    const text = decrypt(key, iv, body, tag);
    if (text !== undefined) this.#keep(sealed, text);
    return text;
  }

  /** Keeps the last few hundred, without moving anything on a hit: two halves, the older one dropped. */
  #keep(sealed: string, text: string): void {
    if (sealed.length > MAX_KEPT_CHARS) return;
    if (this.#recent.size >= KEPT) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(sealed, text);
  }
}

/** Decodes base64url as it is written by encoders; the same bytes written otherwise are refused. */
function decode(text: string): Buffer | undefined {
  const bytes = nodeBuffer().from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

function decrypt(key: Known, iv: Buffer, body: Buffer, tag: Buffer): string | undefined {
  const decipher = nodeCrypto().createDecipheriv("aes-256-gcm", key.secret, iv, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(key.aad);
  decipher.setAuthTag(tag);
  const text = decipher.update(body, undefined, "utf8");
  try {
    return text + decipher.final("utf8");
  } catch {
    // The only thing final() can find wrong is the tag.
    return undefined;
  }
}
