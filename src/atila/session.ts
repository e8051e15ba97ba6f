/**
 * `was.session`: values that come back with the next request of the same visitor.
 *
 * They travel in a cookie that is encrypted and authenticated, so there is nothing to store on the server
 * and every worker and machine with the key can read them. What a server has to remember is only what
 * ended early; see `store/revocations`.
 *
 * @module
 */

import { nodeBuffer } from "../core/node_builtins.ts";
import type { Revocations } from "../store/revocations.ts";
import { ringFor, ringOf, type SecureKey } from "./key_ring.ts";
import { MapLike } from "./map_like.ts";
import {
  cameAs,
  possibleNames,
  SealedCookie,
  type SealedOptions,
  type SealedOwner,
} from "./sealed_cookie.ts";

/** Options of {@link Session.mount}. */
export interface SessionOptions extends SealedOptions {
  /** Seconds a change keeps it alive. Default: `app.sessionTimeout`. */
  sessionTimeout?: number;
}

/** What an app says about its sessions. */
export interface SessionApp {
  /** Keys. */
  readonly securekey: SecureKey | undefined;
  /** Seconds a change keeps a session alive. */
  readonly sessionTimeout: number;
  /** Seconds after which a session ends whatever happens. */
  readonly sessionLifetime: number;
}

/** What sessions need to know of the request. */
export interface SessionOwner extends SealedOwner {
  /** The app. */
  readonly app: SessionApp;
  /** Address of the client. */
  readonly remoteAddr: string;
  /** What ended early. */
  readonly revocations: Revocations;
  /** Refuses a change that comes too late. */
  checkOpen(what: string): void;
}

/** What is in the cookie. */
interface Content {
  /** Random id, for ending it early. */
  i: string;
  /** When it began, as all times in seconds since 1970. */
  c: number;
  /** When it ends. */
  e: number;
  /** Latest end any cookie of this id was given, where that is later. */
  m?: number;
  /** Address of the last change. */
  a: string;
  /** Values. */
  v: Record<string, unknown>;
}

const ID_BYTES = 16;
/** Content around the values, without the address: braces, names, id and times. */
const FRAME_BYTES = 100;

/** One session of one request, as it came and as it is going to be. */
class SessionState {
  /** Its cookie. */
  cookie: SealedCookie;
  #owner: SessionOwner;
  /** Seconds a change keeps it alive. */
  timeout: number;
  #isLoaded = false;
  #values = new Map<string, unknown>();
  #sizes: Map<string, number> | undefined;
  #id = "";
  #created = 0;
  #expires = 0;
  #latest = 0;
  #addr: string | undefined;
  #isChanged = false;
  #hasOwnExpiry = false;
  /** Whether a client has the id. */
  #isIssued = false;
  /** What ends when the handler has succeeded. */
  #ending: { readonly id: string; readonly until: number }[] = [];

  constructor(owner: SessionOwner, cookie: SealedCookie, timeout: number) {
    this.#owner = owner;
    this.cookie = cookie;
    this.timeout = timeout;
  }

  get values(): ReadonlyMap<string, unknown> {
    this.#load();
    return this.#values;
  }

  get id(): string {
    this.#load();
    return this.#id;
  }

  get created(): number {
    this.#load();
    return this.#created;
  }

  get expires(): number {
    this.#load();
    return this.#expires;
  }

  get isPresent(): boolean {
    this.#load();
    return this.#id !== "";
  }

  get isFromSameAddress(): boolean {
    this.#load();
    return this.#addr === this.#owner.remoteAddr;
  }

  set(name: string, value: unknown): void {
    this.#owner.checkOpen(this.cookie.label);
    if (typeof name !== "string") {
      throw new TypeError(`Cannot set a value of the ${this.cookie.label}: its key is not text`);
    }
    const text = jsonOf(
      `Cannot keep ${JSON.stringify(name)} in the ${this.cookie.label}`,
      value,
    );
    this.#load();
    const bytes = nodeBuffer().byteLength(text) + nodeBuffer().byteLength(JSON.stringify(name)) + 2;
    this.#checkSize(name, bytes);
    // Read back, so that it is in this request what it will be in the next, and nobody else's object.
    this.#values.set(name, typeof value === "object" ? JSON.parse(text) : value);
    this.#sizes!.set(name, bytes);
    this.#touch();
  }

  remove(name: string): void {
    this.#owner.checkOpen(this.cookie.label);
    this.#load();
    if (!this.#values.delete(name)) return;
    this.#sizes?.delete(name);
    this.#touch();
  }

  touch(): void {
    this.#owner.checkOpen(this.cookie.label);
    this.#load();
    if (this.#id !== "") this.#touch();
  }

  setExpiry(seconds: number): void {
    this.#owner.checkOpen(this.cookie.label);
    const { sessionLifetime } = this.#owner.app;
    // Text would be put behind the time it is added to, which is an end far in the future.
    if (typeof seconds !== "number" || !(seconds > 0) || seconds > sessionLifetime) {
      throw new RangeError(
        `Cannot let a session expire in ${
          show(seconds)
        } seconds: expected more than 0 and at most ` +
          `${sessionLifetime}, the app.sessionLifetime`,
      );
    }
    this.#load();
    this.#touch();
    this.#hasOwnExpiry = true;
    this.#expires = this.#bounded(now() + seconds);
  }

  /** Ends it, with every copy of its cookie. */
  end(): void {
    this.#owner.checkOpen(this.cookie.label);
    this.#load();
    this.#endId();
    this.#values.clear();
    this.#sizes = undefined;
    this.#hasOwnExpiry = false;
    this.#isChanged = true;
  }

  /** Goes on under a new id with the same values; copies of the old cookie end. */
  renew(): void {
    this.#owner.checkOpen(this.cookie.label);
    this.#load();
    this.#endId();
    this.#touch();
  }

  /** `Set-Cookie` line, if it was changed, once what ended is known everywhere. */
  commit(): string | undefined {
    if (!this.#isChanged) return undefined;
    if (this.#values.size === 0 && this.#id !== "") this.#endId();
    for (const { id, until } of this.#ending.splice(0)) {
      this.#owner.revocations.revoke(id, until);
    }
    if (this.#values.size === 0) {
      return this.cookie.came ? this.cookie.deletion() : undefined;
    }
    const values: Record<string, unknown> = Object.create(null);
    for (const [name, value] of this.#values) values[name] = value;
    const content: Content = {
      i: this.#id,
      c: this.#created,
      e: this.#expires,
      a: this.#addr = this.#owner.remoteAddr,
      v: values,
    };
    this.#latest = Math.max(this.#latest, this.#expires);
    if (this.#latest > this.#expires) content.m = this.#latest;
    const text = JSON.stringify(content);
    const bytes = nodeBuffer().byteLength(text);
    if (this.cookie.excess(bytes) > 0) throw this.#tooLarge(bytes);
    return this.cookie.line(text, Math.max(1, Math.ceil(this.#expires - now())));
  }

  /** Forgets what was changed. */
  reset(): void {
    this.#isLoaded = false;
    this.#values = new Map();
    this.#sizes = undefined;
    this.#id = "";
    this.#created = this.#expires = this.#latest = 0;
    this.#addr = undefined;
    this.#isChanged = this.#hasOwnExpiry = this.#isIssued = false;
    this.#ending = [];
  }

  #load(): void {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    const text = this.cookie.open();
    if (text === undefined) return;
    const content = JSON.parse(text) as Content;
    const time = now();
    const { sessionLifetime } = this.#owner.app;
    if (content.e <= time || content.c + sessionLifetime <= time) return;
    // Made when longer sessions were allowed.
    if (content.e > time + sessionLifetime) return;
    if (this.#owner.revocations.isRevoked(content.i)) return;
    this.#id = content.i;
    this.#isIssued = true;
    this.#created = content.c;
    this.#expires = content.e;
    this.#latest = content.m ?? content.e;
    this.#addr = content.a;
    // JSON.parse makes every name a property of its own, __proto__ included.
    for (const name in content.v) this.#values.set(name, content.v[name]);
  }

  #touch(): void {
    const time = now();
    if (this.#id === "") {
      this.#id = randomId();
      this.#created = time;
      // One that came is compared with where it came from, also where a hook has touched it before.
      this.#addr = this.#owner.remoteAddr;
      this.#expires = this.#latest = 0;
    }
    this.#isChanged = true;
    const next = this.#bounded(time + this.timeout);
    // One that was set to last longer stays as it is until less than the usual time is left.
    if (!this.#hasOwnExpiry && next > this.#expires) this.#expires = next;
  }

  #bounded(expires: number): number {
    return Math.min(expires, this.#created + this.#owner.app.sessionLifetime);
  }

  #endId(): void {
    if (this.#id === "" || !this.#isIssued) {
      this.#id = "";
      return;
    }
    const until = Math.max(this.#latest, this.#expires, now() + this.timeout);
    this.#ending.push({ id: this.#id, until });
    this.#id = "";
    this.#isIssued = false;
  }

  #checkSize(name: string, bytes: number): void {
    if (this.#sizes === undefined) {
      this.#sizes = new Map();
      for (const [key, value] of this.#values) {
        this.#sizes.set(key, nodeBuffer().byteLength(JSON.stringify([key, value])));
      }
    }
    let total = FRAME_BYTES + this.#owner.remoteAddr.length + bytes;
    for (const [key, size] of this.#sizes) if (key !== name) total += size;
    if (this.cookie.excess(total) > 0) throw this.#tooLarge(total, name, bytes);
  }

  #tooLarge(total: number, name?: string, bytes = 0): RangeError {
    const sizes = [...this.#sizes ?? []].filter(([key]) => key !== name);
    if (name !== undefined) sizes.push([name, bytes]);
    sizes.sort((a, b) => b[1] - a[1]);
    const largest = sizes.slice(0, 3).map(([key, size]) => `${key} (${size} bytes)`).join(", ");
    return new RangeError(
      `Cannot keep ${name === undefined ? "the values" : JSON.stringify(name)} in the ` +
        `${this.cookie.label}: its cookie would have ${this.cookie.sizeOf(total)} bytes, and ` +
        `browsers drop what has more than 4096. The largest values: ${largest}. Keep large things ` +
        `in a database, and their id here`,
    );
  }
}

/**
 * The session of the visitor. Values are anything JSON can say; they can be read by property as well:
 * `was.session.user` is `was.session.get("user")`.
 */
export class Session extends MapLike<unknown> {
  #owner: SessionOwner;
  #default: SessionState | undefined;
  #mounted: Map<string, SessionState> | undefined;
  #current: SessionState | undefined;

  /** Made by the container, on first use. */
  constructor(owner: SessionOwner) {
    super();
    this.#owner = owner;
  }

  /** The values there are now. */
  protected current(): ReadonlyMap<string, unknown> {
    return this.#state.values;
  }

  get #state(): SessionState {
    return this.#current ??= this.#first();
  }

  /**
   * Sets a value, and extends the session.
   *
   * @throws {TypeError} for a key that is not text and a value that JSON cannot say.
   * @throws {RangeError} when browsers would drop the cookie for its size. Nothing is changed then.
   */
  set(name: string, value: unknown): void {
    this.#state.set(name, value);
  }

  /** Removes a value, and extends the session; one that is empty then ends. */
  remove(name: string): void {
    this.#state.remove(name);
  }

  /** Removes all values, which ends the session. */
  clear(): void {
    this.#state.end();
  }

  /** Extends the session by the timeout. */
  touch(): void {
    this.#state.touch();
  }

  /**
   * Lets the session live for so many seconds. Changes extend it again when less than the usual time is
   * left. It never lives longer than `app.sessionLifetime` from its beginning.
   *
   * @throws {RangeError} unless above 0 and within that lifetime.
   */
  setExpiry(seconds: number): void {
    this.#state.setExpiry(seconds);
  }

  /** Ends the session: the cookie is deleted, and copies of it are refused by every worker. */
  expire(): void {
    this.#state.end();
  }

  /**
   * Goes on under a new id and with a fresh lifetime: to be called when somebody logs in, logs in again, or
   * gets other rights. Copies of the cookie from before are refused, and the CSRF token is a new one.
   */
  renew(): void {
    const state = this.#state;
    state.renew();
    if (state.values.has(CSRF_KEY)) state.remove(CSRF_KEY);
  }

  /** Id of the session, for logs; `""` when there is none. It does not open anything. */
  get id(): string {
    return this.#state.id;
  }

  /** When it began, in seconds since 1970; 0 when there is none. */
  get created(): number {
    return this.#state.created;
  }

  /** When it ends, in seconds since 1970; 0 when there is none. */
  get expires(): number {
    return this.#state.expires;
  }

  /**
   * Whether the client has the address it had at the last change, which is its own in a session that
   * began or was renewed in this request; false when there is no session.
   */
  sourceVerified(): boolean {
    return this.#state.isFromSameAddress;
  }

  /** A value if the source is verified; otherwise `fallback`, and the session ends. */
  getv(name: string, fallback?: unknown): unknown {
    if (this.sourceVerified()) return this.get(name, fallback);
    if (this.#state.isPresent) this.#state.end();
    return fallback;
  }

  /**
   * Goes on with another session, which has a cookie of its own; what was changed in the one before is
   * kept. Without a name it is the default one.
   *
   * @param key Key of its own. Default: that of the app.
   * @throws {TypeError} for a bad name, and for a path other than `/` of the default session.
   */
  mount(name?: string | null, key?: SecureKey | null, options: SessionOptions = {}): this {
    const isDefault = (name ?? undefined) === undefined && (key ?? undefined) === undefined &&
      Object.keys(options).length === 0;
    this.#current = isDefault
      ? this.#first()
      : this.#open(name ?? undefined, key ?? undefined, options);
    return this;
  }

  /**
   * Whether a valid session of that name came, or was made in this request; `null` is the default one.
   * The session in use stays what it is.
   *
   * @param key Key of its own, unless it was mounted before in this request.
   */
  exists(name: string | null, key?: SecureKey): boolean {
    const id = name ?? "";
    for (const [place, state] of this.#mounted ?? []) {
      if (place.startsWith(`${id};`)) return state.values.size > 0;
    }
    if (name === null && key === undefined) return this.#first().values.size > 0;
    const ring = key === undefined ? ringOf(this.#owner.app, "Sessions") : ringFor(key);
    for (const cookieName of possibleNames("sid", name ?? undefined)) {
      if (cameAs(this.#owner, cookieName) === undefined) continue;
      const facts = { name: name ?? undefined, sentAs: cookieName };
      const cookie = new SealedCookie(this.#owner, "sid", ring, facts);
      if (new SessionState(this.#owner, cookie, 1).values.size > 0) return true;
    }
    return false;
  }

  /** Adds the `Set-Cookie` lines of what was changed. @internal */
  commit(lines: string[]): void {
    for (const state of this.#states()) {
      const line = state.commit();
      if (line !== undefined) lines.push(line);
    }
  }

  /** Forgets what was changed. @internal */
  reset(): void {
    for (const state of this.#states()) state.reset();
    this.#current = undefined;
  }

  #states(): SessionState[] {
    const states = this.#default === undefined ? [] : [this.#default];
    if (this.#mounted !== undefined) states.push(...this.#mounted.values());
    return states;
  }

  /** The default session, which nobody has mounted. */
  #first(): SessionState {
    if (this.#default === undefined) {
      const { app } = this.#owner;
      const cookie = new SealedCookie(this.#owner, "sid", ringOf(app, "Sessions"), NO_OPTIONS);
      this.#default = new SessionState(this.#owner, cookie, app.sessionTimeout);
    }
    return this.#default;
  }

  #open(
    name: string | undefined,
    key: SecureKey | undefined,
    { sessionTimeout, ...options }: SessionOptions,
  ): SessionState {
    const { app } = this.#owner;
    const timeout = sessionTimeout === undefined
      ? app.sessionTimeout
      : checkSeconds("sessionTimeout of a session", sessionTimeout);
    const ring = key === undefined ? ringOf(app, "Sessions") : ringFor(key);
    const cookie = new SealedCookie(this.#owner, "sid", ring, { ...options, name });
    const { path = "/", domain = "" } = options;
    const place = [name ?? "", cookie.name, path, domain, key ?? ""].join(";");
    const mounted = this.#mounted ??= new Map();
    let state = mounted.get(place);
    if (state === undefined && place === `;${this.#default?.cookie.name};/;;`) {
      state = this.#default;
    }
    if (state === undefined) {
      state = new SessionState(this.#owner, cookie, timeout);
      mounted.set(place, state);
    } else {
      // The same cookie, with other flags from now on if some are given.
      if (options.httpOnly !== undefined || options.sameSite !== undefined) state.cookie = cookie;
      if (sessionTimeout !== undefined) state.timeout = timeout;
    }
    return state;
  }
}

Object.freeze(Session.prototype);

const NO_OPTIONS: SealedOptions = {};

/** Where the CSRF token is kept. */
export const CSRF_KEY = "_csrf_token";

/** Seconds since 1970. */
function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** Refuses what is no time to live; `Infinity` is one. @throws {RangeError} */
export function checkSeconds(where: string, seconds: number): number {
  if (typeof seconds === "number" && seconds > 0) return seconds;
  throw new RangeError(`${where}: ${show(seconds)} seconds, expected a number above 0`);
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** Text nobody can guess. */
export function randomId(bytes: number = ID_BYTES): string {
  return nodeBuffer().from(crypto.getRandomValues(new Uint8Array(bytes))).toString("base64url");
}

/** A value as JSON. `action` begins the message of the error. @throws {TypeError} for what has no form in it. */
export function jsonOf(action: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = typeof value === "number" && !Number.isFinite(value) ? undefined : JSON.stringify(value);
  } catch (error) {
    throw new TypeError(`${action}: ${(error as Error).message}`, { cause: error });
  }
  if (text === undefined) {
    const what = typeof value === "function" ? "a function" : String(value);
    throw new TypeError(`${action}: ${what} has no form in JSON`);
  }
  return text;
}
