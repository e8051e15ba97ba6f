/**
 * The keys of an app: the newest protects what is made, all of them open what was made before.
 *
 * @module
 */

import { nodeBuffer, nodeCrypto } from "../core/node_builtins.ts";
import { ConfigError } from "../core/errors.ts";
import { Sealer } from "./sealing.ts";

/** One key, or several with the newest first: those behind it only open what they protected. */
export type SecureKey = string | readonly string[];

/** Shortest key in characters. Shorter ones can be found by trying. */
export const MIN_KEY_LENGTH = 32;

const SALT = "skitai/securekey";
const WHERE = "app.securekey";
/** Sealers of one ring at a time; named sessions may be many, and a sealer is quickly made again. */
const MAX_SEALERS = 64;

/** Keys that are checked, with what is derived from them. */
export class KeyRing {
  /** The keys, newest first. */
  readonly keys: readonly string[];
  #sealers = new Map<string, Sealer>();

  /**
   * Checks the keys. `where` is what they are of, and begins the message of the error.
   *
   * @throws {ConfigError} for one that is missing, too short, or given twice.
   */
  constructor(keys: SecureKey, where: string = WHERE) {
    const how = where === WHERE ? `${MAKE}, ${SET}` : MAKE;
    const all = Array.isArray(keys) ? [...keys] : [keys];
    if (all.length === 0) throw new ConfigError(where, `there is no key in the list. ${how}`);
    all.forEach((key, i) => {
      const which = all.length === 1 ? "the key" : `key ${i + 1} of ${all.length}`;
      if (typeof key !== "string") throw new ConfigError(where, `${which} is not text. ${how}`);
      if (key.length < MIN_KEY_LENGTH) {
        throw new ConfigError(
          where,
          `${which} has ${key.length} characters, at least ${MIN_KEY_LENGTH} are needed. ${how}`,
        );
      }
      if (all.indexOf(key) !== i) throw new ConfigError(where, `${which} is there twice`);
    });
    this.keys = all;
  }

  /**
   * What seals and opens for one purpose. Keys are derived per purpose, so that a message can never be
   * passed off as a session, nor one named session as another.
   */
  sealer(purpose: string): Sealer {
    let sealer = this.#sealers.get(purpose);
    if (sealer === undefined) {
      sealer = new Sealer(this.keys.map((key) => ({
        id: nodeBuffer().from(nodeCrypto().hkdfSync("sha256", key, SALT, "kid", 6)).toString(
          "base64url",
        ),
        secret: nodeBuffer().from(
          nodeCrypto().hkdfSync("sha256", key, SALT, `A256GCM ${purpose}`, 32),
        ),
      })));
      if (this.#sealers.size >= MAX_SEALERS) this.#sealers.clear();
      this.#sealers.set(purpose, sealer);
    }
    return sealer;
  }
}

const MAKE = 'Make one with "openssl rand -base64 32", keep it out of the code';
const SET = 'and set it with app.securekey = Deno.env.get("SECUREKEY")';

/** What has keys: an app. */
export interface KeyOwner {
  /** Its keys. */
  readonly securekey: SecureKey | undefined;
}

const rings = new WeakMap<KeyOwner, KeyRing>();

/**
 * The ring of an app. Keys may be replaced while it runs: the next request uses the new ones.
 *
 * @throws {ConfigError} when there is no key, saying how to set it, or one that cannot be used.
 */
export function ringOf(owner: KeyOwner, what: string): KeyRing {
  const { securekey } = owner;
  if (securekey === undefined || securekey === "") {
    throw new ConfigError(WHERE, `${what} need a key and there is none. ${MAKE}, ${SET}`);
  }
  let ring = rings.get(owner);
  if (ring === undefined || !isSame(ring.keys, securekey)) {
    ring = new KeyRing(securekey);
    rings.set(owner, ring);
  }
  return ring;
}

function isSame(keys: readonly string[], now: SecureKey): boolean {
  if (typeof now === "string") return keys.length === 1 && keys[0] === now;
  return keys.length === now.length && keys.every((key, i) => key === now[i]);
}

/** Refuses a key nothing can be protected with; none at all is an error only where it is needed. */
export function checkKey(key: SecureKey | undefined): void {
  if (key !== undefined && key !== "") new KeyRing(key);
}

/** A ring of keys that are not those of an app, made once. */
export function ringFor(key: SecureKey): KeyRing {
  const name = typeof key === "string" ? key : key.join("\0");
  let ring = others.get(name);
  if (ring === undefined) {
    ring = new KeyRing(key, "mount(name, key)");
    if (others.size >= MAX_SEALERS) others.clear();
    others.set(name, ring);
  }
  return ring;
}

const others = new Map<string, KeyRing>();
