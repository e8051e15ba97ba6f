/**
 * `was.mbox`: messages to the visitor that are shown once, on this page or the next one.
 *
 * @module
 */

import { nodeBuffer } from "../core/node_builtins.ts";
import { ringFor, ringOf, type SecureKey } from "./key_ring.ts";
import { SealedCookie, type SealedOptions, type SealedOwner } from "./sealed_cookie.ts";
import { jsonOf, type SessionApp } from "./session.ts";

/** A message. */
export interface Message {
  /** Number within the box. */
  readonly id: number;
  /** Category, `info` unless given. */
  readonly category: string;
  /** When it was sent, in seconds since 1970. */
  readonly created: number;
  /** Seconds it stays; 0: until it was read once. */
  readonly valid: number;
  /** Text. */
  readonly msg: string;
  /** Further values. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Options of {@link MessageBox.send}; what is not named here is an extra value. */
export interface MessageOptions {
  /** Seconds it stays; 0, the default: until it was read once. */
  valid?: number;
  /** An extra value. */
  [name: string]: unknown;
}

/** What messages need to know of the request. */
export interface MessageOwner extends SealedOwner {
  /** The app. */
  readonly app: Pick<SessionApp, "securekey">;
  /** Address of the client. */
  readonly remoteAddr: string;
  /** Refuses a change that comes too late. */
  checkOpen(what: string): void;
}

type Row = [
  id: number,
  category: string,
  created: number,
  valid: number,
  msg: string,
  extra?: Record<string, unknown>,
];

interface Content {
  /** Address of the last change. */
  a: string;
  /** Messages. */
  m: Row[];
}

/** Messages that nobody has read yet are kept as long as browsers keep cookies: 400 days. */
const UNREAD_SECONDS = 400 * 86_400;

/** One box of one request. */
class BoxState {
  readonly cookie: SealedCookie;
  #owner: MessageOwner;
  #messages: Message[] | undefined;
  #addr: string | undefined;
  #next = 1;
  #isChanged = false;
  /** Ids of messages that go when the page is finished. */
  #read = new Set<number>();
  /** Ids of messages that came with the request. */
  #stored = new Set<number>();

  constructor(owner: MessageOwner, cookie: SealedCookie) {
    this.#owner = owner;
    this.cookie = cookie;
  }

  get messages(): readonly Message[] {
    return this.#load();
  }

  get isFromSameAddress(): boolean {
    this.#load();
    return this.#addr === this.#owner.remoteAddr;
  }

  send(message: Omit<Message, "id" | "created">): number {
    this.#owner.checkOpen(this.cookie.label);
    const messages = this.#load();
    const id = this.#next++;
    messages.push({ id, created: now(), ...message });
    return id;
  }

  /** Notes that messages were handed out; those shown once go when the page is finished. */
  markRead(messages: readonly Message[]): void {
    for (const { id, valid } of messages) {
      if (valid !== 0) continue;
      // A page that is being sent cannot take anything out of the cookie any more.
      if (this.#stored.has(id) && !this.#read.has(id)) this.#owner.checkOpen(this.cookie.label);
      this.#read.add(id);
    }
  }

  remove(id: number): void {
    this.#owner.checkOpen(this.cookie.label);
    const messages = this.#load();
    const at = messages.findIndex((message) => message.id === id);
    if (at === -1) return;
    messages.splice(at, 1);
    this.#isChanged ||= this.#stored.has(id);
  }

  clear(): void {
    this.clearStored();
    this.#load().length = 0;
  }

  /** Removes what came; what was sent in this request stays. */
  clearStored(): void {
    this.#owner.checkOpen(this.cookie.label);
    const messages = this.#load();
    this.#isChanged ||= this.#stored.size > 0;
    this.#messages = messages.filter(({ id }) => !this.#stored.has(id));
  }

  commit(): string | undefined {
    if (this.#messages === undefined) return undefined;
    const left = this.#messages.filter(({ id }) => !this.#read.has(id));
    const isChanged = this.#isChanged || [...this.#read].some((id) => this.#stored.has(id)) ||
      left.some(({ id }) => !this.#stored.has(id));
    if (!isChanged) return undefined;
    if (left.length === 0) return this.cookie.came ? this.cookie.deletion() : undefined;
    const content: Content = { a: this.#owner.remoteAddr, m: left.map(rowOf) };
    const text = jsonOf(
      `Cannot keep ${left.length} messages that were not read in the ${this.cookie.label}`,
      content,
    );
    const bytes = nodeBuffer().byteLength(text);
    if (this.cookie.excess(bytes) > 0) {
      throw new RangeError(
        `Cannot keep ${left.length} messages that were not read in the ${this.cookie.label}: its ` +
          `cookie would have ${this.cookie.sizeOf(bytes)} bytes, and browsers drop what has more ` +
          "than 4096. Read them in the request that sends them, or send less",
      );
    }
    const time = now();
    const seconds = left.map(({ created, valid }) =>
      valid === 0 ? UNREAD_SECONDS : created + valid - time
    );
    return this.cookie.line(text, Math.max(1, ...seconds));
  }

  reset(): void {
    this.#messages = undefined;
    this.#addr = undefined;
    this.#next = 1;
    this.#isChanged = false;
    this.#read.clear();
    this.#stored.clear();
  }

  #load(): Message[] {
    if (this.#messages !== undefined) return this.#messages;
    this.#messages = [];
    const text = this.cookie.open();
    if (text === undefined) return this.#messages;
    const { a, m } = JSON.parse(text) as Content;
    this.#addr = a;
    const time = now();
    for (const [id, category, created, valid, msg, extra = {}] of m) {
      this.#next = Math.max(this.#next, id + 1);
      this.#stored.add(id);
      if (valid === 0 || created + valid > time) {
        this.#messages.push({ id, category, created, valid, msg, extra });
      } else this.#isChanged = true;
    }
    return this.#messages;
  }
}

/** Messages to the visitor. */
export class MessageBox {
  #owner: MessageOwner;
  #mounted = new Map<string, BoxState>();
  #current: BoxState | undefined;

  /** Made by the container, on first use. */
  constructor(owner: MessageOwner) {
    this.#owner = owner;
  }

  get #state(): BoxState {
    return this.#current ??= this.#open(undefined, undefined, {});
  }

  /**
   * Sends a message: it is there at once, and if nobody reads it in this request it travels in a sealed
   * cookie until somebody does.
   *
   * @returns Its id.
   * @throws {TypeError} for a `valid` that is not a number of seconds.
   */
  send(msg: string, category = "info", { valid = 0, ...extra }: MessageOptions = {}): number {
    if (typeof valid !== "number" || !(valid >= 0) || !Number.isFinite(valid)) {
      const given = typeof valid === "string" ? JSON.stringify(valid) : String(valid);
      throw new TypeError(`Cannot send a message that is valid for ${given} seconds`);
    }
    return this.#state.send({ msg: String(msg), category: String(category), valid, extra });
  }

  /** Same as {@link send}. */
  push(msg: string, category?: string, options?: MessageOptions): number {
    return this.send(msg, category, options);
  }

  /**
   * Messages, the oldest first. Those shown once go when the page has succeeded; others stay until their
   * time is over.
   *
   * With one name or a list: messages of these categories. With a name and a value: those whose extra
   * value of that name is the value, and, as two texts may be two categories, those of either category.
   * What does not match stays.
   */
  get(): Message[];
  /** Messages of these categories. */
  get(...categories: (string | readonly string[])[]): Message[];
  /** Messages with an extra value. */
  get(key: string, value: unknown): Message[];
  get(...filter: unknown[]): Message[] {
    const found = this.#state.messages.filter((message) => matches(message, filter));
    this.#state.markRead(found);
    return found;
  }

  /** Ids of the messages whose extra `key` is the value; without a value, of the category `key`. */
  search(key: string, value?: unknown): number[] {
    return this.#state.messages.filter(({ category, extra }) =>
      value === undefined ? category === key : hasExtra(extra, key, value)
    ).map(({ id }) => id);
  }

  /** Removes a message. */
  remove(id: number): void {
    this.#state.remove(id);
  }

  /** Removes all messages. */
  clear(): void {
    this.#state.clear();
  }

  /** Whether the client has the address it had at the last change; false when no messages came. */
  sourceVerified(): boolean {
    return this.#state.isFromSameAddress;
  }

  /**
   * Like {@link get} if the source is verified; otherwise what came is removed, and only what was sent in
   * this request is there.
   */
  getv(...filter: (string | readonly string[])[]): Message[] {
    if (!this.sourceVerified()) this.#state.clearStored();
    return this.get(...filter);
  }

  /**
   * Goes on with another box, which has a cookie of its own; what was sent to the one before is kept.
   *
   * @param key Key of its own. Default: that of the app.
   * @throws {TypeError} for a bad name, and for a path other than `/` of the default box.
   */
  mount(name?: string | null, key?: SecureKey | null, options: SealedOptions = {}): this {
    this.#current = this.#open(name ?? undefined, key ?? undefined, options);
    return this;
  }

  /** Adds the `Set-Cookie` lines of what was changed. @internal */
  commit(lines: string[]): void {
    for (const state of this.#mounted.values()) {
      const line = state.commit();
      if (line !== undefined) lines.push(line);
    }
  }

  /** Forgets what was changed. @internal */
  reset(): void {
    for (const state of this.#mounted.values()) state.reset();
    this.#current = undefined;
  }

  #open(name: string | undefined, key: SecureKey | undefined, options: SealedOptions): BoxState {
    const ring = key === undefined ? ringOf(this.#owner.app, "Messages") : ringFor(key);
    const cookie = new SealedCookie(this.#owner, "mbox", ring, { ...options, name });
    const { path = "/", domain = "" } = options;
    const place = [name ?? "", cookie.name, path, domain, key ?? ""].join(";");
    let state = this.#mounted.get(place);
    if (state === undefined) {
      state = new BoxState(this.#owner, cookie);
      this.#mounted.set(place, state);
    }
    return state;
  }
}

function matches({ category, extra }: Message, filter: readonly unknown[]): boolean {
  if (filter.length === 0) return true;
  if (filter.flat().includes(category)) return true;
  const [key, value] = filter;
  return filter.length === 2 && typeof key === "string" && hasExtra(extra, key, value);
}

function hasExtra(extra: Message["extra"], key: string, value: unknown): boolean {
  return Object.hasOwn(extra, key) && extra[key] === value;
}

function rowOf({ id, category, created, valid, msg, extra }: Message): Row {
  const row: Row = [id, category, created, valid, msg];
  if (Object.keys(extra).length > 0) row.push(extra);
  return row;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
