/**
 * A cookie whose content only the app can read or make: the carrier of sessions and messages.
 *
 * @module
 */

import { rawCookie } from "../core/cookie.ts";
import { cookieLine, type CookieOptions, MAX_COOKIE_BYTES } from "./cookies.ts";
import type { KeyRing } from "./key_ring.ts";
import type { Sealer } from "./sealing.ts";

/** Where and how a sealed cookie is sent. */
export type SealedOptions = Pick<
  CookieOptions,
  "path" | "domain" | "secure" | "httpOnly" | "sameSite"
>;

/** What a sealed cookie needs to know of the request. */
export interface SealedOwner {
  /** The `Cookie` header. */
  readonly cookieHeader: string | null;
  /** Whether cookies are sent over TLS only, unless they say otherwise. */
  readonly isSecure: boolean;
}

/** What it carries. */
export type SealedKind = "sid" | "mbox";

const KINDS = { sid: "session", mbox: "message box" } as const;

/** One sealed cookie of one request. */
export class SealedCookie {
  /** What it is, for messages to people. */
  readonly label: string;
  /** Name as it is sent. */
  readonly name: string;
  #owner: SealedOwner;
  #sealer: Sealer;
  #options: SealedOptions;
  #measured: number | undefined;

  /**
   * Describes it; nothing is opened yet. `sentAs` is the name it came under, where that does not follow
   * from the options.
   *
   * @throws {TypeError} for a name that cannot be one, and for another path of the default one.
   */
  constructor(
    owner: SealedOwner,
    kind: SealedKind,
    ring: KeyRing,
    { name, sentAs, ...options }: SealedOptions & { name?: string; sentAs?: string },
  ) {
    const { path = "/", domain, secure = owner.isSecure } = options;
    this.label = name === undefined ? KINDS[kind] : `${KINDS[kind]} "${name}"`;
    if (name !== undefined) checkName(this.label, name);
    if (name === undefined && path !== "/") {
      throw new TypeError(
        `Cannot mount the default ${this.label} at ${path}: all apps share it, give it a name`,
      );
    }
    this.#owner = owner;
    this.#options = { ...options, path, secure };
    this.#sealer = ring.sealer(name === undefined ? kind : `${kind} ${name}`);
    this.name = sentAs ?? nameOf(kind, name, prefixOf(secure, path, domain));
  }

  /** Whether one came with the request, valid or not. */
  get came(): boolean {
    return cameAs(this.#owner, this.name) !== undefined;
  }

  /** Its content; `undefined` when there is none, or none that was sealed with our keys. */
  open(): string | undefined {
    const sealed = cameAs(this.#owner, this.name);
    return sealed === undefined || sealed === "" ? undefined : this.#sealer.open(sealed);
  }

  /** How many bytes of content are too many for browsers; 0 and less: it fits. */
  excess(bytes: number): number {
    return this.#sealer.sealedSize(bytes) - this.#room;
  }

  /** Size of the whole cookie for so many bytes of content. */
  sizeOf(bytes: number): number {
    return MAX_COOKIE_BYTES - this.#room + this.#sealer.sealedSize(bytes);
  }

  /** `Set-Cookie` line with new content, kept for so many seconds. */
  line(text: string, seconds: number): string {
    return this.#line(this.#sealer.seal(text), seconds);
  }

  /** `Set-Cookie` line that deletes it. */
  deletion(): string {
    return this.#line("", 0);
  }

  /** Bytes for content; measured with an expiry, the longest of the attributes. */
  get #room(): number {
    return this.#measured ??= MAX_COOKIE_BYTES - this.#line("", 1e9).length;
  }

  #line(value: string, seconds: number): string {
    return cookieLine({ ...this.#options, name: this.name, value }, seconds, false);
  }
}

/** What came under a name. Sealed values have no characters that would be encoded. */
export function cameAs({ cookieHeader }: SealedOwner, name: string): string | undefined {
  return cookieHeader === null ? undefined : rawCookie(cookieHeader, name);
}

/** Names a sealed cookie may have come under: which one depends on how it was mounted. */
export function possibleNames(kind: SealedKind, name: string | undefined): string[] {
  checkName(KINDS[kind], name);
  return PREFIXES.map((prefix) => nameOf(kind, name, prefix));
}

/**
 * Browsers take cookies of these prefixes only over TLS, and `__Host-` only from this very host; so
 * nobody on the network or on a neighbouring host can plant one.
 */
const PREFIXES = ["__Host-", "__Secure-", ""] as const;

type Prefix = typeof PREFIXES[number];

function prefixOf(secure: boolean, path: string, domain: string | undefined): Prefix {
  if (!secure) return "";
  return path === "/" && domain === undefined ? "__Host-" : "__Secure-";
}

function nameOf(kind: SealedKind, name: string | undefined, prefix: Prefix): string {
  return name === undefined ? DEFAULT_NAMES[kind][prefix] : `${prefix}sk.${kind}.${name}`;
}

const DEFAULT_NAMES = {
  sid: { "": "sk.sid", "__Host-": "__Host-sk.sid", "__Secure-": "__Secure-sk.sid" },
  mbox: { "": "sk.mbox", "__Host-": "__Host-sk.mbox", "__Secure-": "__Secure-sk.mbox" },
} as const;

function checkName(label: string, name: unknown): void {
  if (name === undefined || typeof name === "string" && /^[\w-]{1,64}$/.test(name)) return;
  throw new TypeError(
    `Cannot mount ${label}: a name has 1 to 64 letters, digits, underscores and hyphens`,
  );
}
