/**
 * What a request knows of its visitor, and what the response is going to tell the browser about it.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import { MAX_FIELDS, tooManyFields } from "../core/header_value.ts";
import type { Revocations } from "../store/revocations.ts";
import { revocations } from "../was/revocations.ts";
import { type CookieOwner, Cookies } from "./cookies.ts";
import { MessageBox, type MessageOwner } from "./messages.ts";
import type { ResponseState } from "./response.ts";
import { Session, type SessionApp, type SessionOwner } from "./session.ts";

/** What it is made of. */
export interface VisitorParts {
  /** The app. */
  readonly app: SessionApp & { readonly config: { readonly secureCookies?: boolean } };
  /** The request. */
  readonly ctx: RequestContext;
  /** Its `Cookie` header. */
  readonly cookieHeader: string | null;
  /** Whether the response is on its way. */
  isAnswered(): boolean;
}

/** Cookies, session and messages of one request. Made on first use. */
export class Visitor implements CookieOwner, SessionOwner, MessageOwner {
  /** The app. */
  readonly app: SessionApp;
  /** The `Cookie` header. */
  readonly cookieHeader: string | null;
  /** Whether cookies are sent over TLS only, unless they say otherwise. */
  readonly isSecure: boolean;
  /** Address of the client. */
  readonly remoteAddr: string;
  #parts: VisitorParts;
  #cookies: Cookies | undefined;
  #session: Session | undefined;
  #messages: MessageBox | undefined;
  #sent: string[] = [];

  /** Reads nothing yet. */
  constructor(parts: VisitorParts) {
    const { app, ctx, cookieHeader } = parts;
    this.#parts = parts;
    this.app = app;
    this.cookieHeader = cookieHeader;
    this.isSecure = app.config.secureCookies ?? ctx.scheme === "https";
    this.remoteAddr = ctx.remoteAddr;
  }

  /** Prefix of the mount. */
  get mountPoint(): string {
    return this.#parts.ctx.mountPoint;
  }

  /** What ended early. */
  get revocations(): Revocations {
    return revocations();
  }

  /** Cookies. */
  get cookies(): Cookies {
    return this.#cookies ??= new Cookies(this);
  }

  /** Session. */
  get session(): Session {
    return this.#session ??= new Session(this);
  }

  /** Messages. */
  get messages(): MessageBox {
    return this.#messages ??= new MessageBox(this);
  }

  /** @throws {Error} when the response is on its way. */
  checkOpen(what: string): void {
    if (this.#parts.isAnswered()) {
      throw new Error(`Response already sent: the ${what} cannot be changed`);
    }
  }

  /**
   * Adds the `Set-Cookie` lines of what was changed. It may be called again, when the page of a status
   * follows: then the lines are those of both.
   *
   * @param given Headers of a response the handler has made itself.
   * @throws {RangeError} when a cookie became too large.
   * @throws {TypeError} when there are too many.
   */
  commit(state: () => ResponseState, given: Headers | undefined): void {
    const lines: string[] = [];
    this.#cookies?.commit(lines);
    this.#session?.commit(lines);
    this.#messages?.commit(lines);
    if (lines.length === 0) return;
    const known = state();
    this.#takeBack(known);
    const count = known.headers.length + lines.length;
    if (count > MAX_FIELDS) throw tooManyFields(count);
    for (const line of lines) known.headers.push(["set-cookie", line]);
    this.#sent = lines;
    // What is made for one visitor must not be handed to the next one by a cache on the way.
    if (known.get("cache-control") === undefined && !given?.has("cache-control")) {
      known.headers.push(["cache-control", "private"]);
    }
  }

  /** Forgets all changes, after an error that nobody has handled. */
  rollback(state: ResponseState | undefined): void {
    if (state !== undefined) this.#takeBack(state);
    this.#cookies?.reset();
    this.#session?.reset();
    this.#messages?.reset();
  }

  #takeBack({ headers }: ResponseState): void {
    if (this.#sent.length === 0) return;
    for (let i = headers.length - 1; i >= 0; i--) {
      const [name, value] = headers[i]!;
      if (name === "set-cookie" && this.#sent.includes(value)) headers.splice(i, 1);
    }
    this.#sent = [];
  }
}
