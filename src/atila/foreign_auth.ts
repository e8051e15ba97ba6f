/**
 * Users and sessions of another framework, behind `was.framework`.
 *
 * @module
 */

import type { AtilaWas } from "./was.ts";

/**
 * What another framework can do about its users; each is called with the `was` of the request
 * first.
 */
export interface AuthAdapter<U = unknown> {
  /** Who is logged in. */
  user(was: AtilaWas): U | null | undefined | Promise<U | null | undefined>;
  /** The session of the framework. */
  session(was: AtilaWas): unknown;
  /** Checks a name and a password; gives the user, or nothing. */
  authenticate(
    was: AtilaWas,
    username: string,
    password: string,
  ): U | null | undefined | Promise<U | null | undefined>;
  /** Logs a user in. */
  login(was: AtilaWas, user: U): unknown;
  /** Logs whoever is logged in out. */
  logout(was: AtilaWas): unknown;
  /** Keeps the session good after the password has changed. */
  updateSessionAuthHash?(was: AtilaWas, user: U): unknown;
}

const NEEDED = ["user", "session", "authenticate", "login", "logout"] as const;

/** @throws {TypeError} for an adapter that lacks something. */
export function checkAdapter(adapter: AuthAdapter): void {
  for (const name of NEEDED) {
    if (typeof adapter?.[name] !== "function") {
      throw new TypeError(`Cannot use the adapter: it has no method ${name}`);
    }
  }
}

/** The adapter of the app, bound to a request. */
export class FrameworkAuth<U = unknown> {
  readonly #was: AtilaWas;
  readonly #adapter: AuthAdapter<U>;

  /** Binds an adapter to a request. */
  constructor(was: AtilaWas, adapter: AuthAdapter<U>) {
    this.#was = was;
    this.#adapter = adapter;
  }

  /** Who is logged in; a promise where the framework has to look. */
  get user(): U | null | undefined | Promise<U | null | undefined> {
    return this.#adapter.user(this.#was);
  }

  /** The session of the framework. */
  get session(): unknown {
    return this.#adapter.session(this.#was);
  }

  /** Checks a name and a password; gives the user, or `null`. */
  async authenticate(username: string, password: string): Promise<U | null> {
    return await this.#adapter.authenticate(this.#was, username, password) ?? null;
  }

  /** Logs a user in. */
  async login(user: U): Promise<void> {
    await this.#adapter.login(this.#was, user);
  }

  /** Logs whoever is logged in out. */
  async logout(): Promise<void> {
    await this.#adapter.logout(this.#was);
  }

  /**
   * Keeps the session good after the password of the user has changed.
   *
   * @throws {TypeError} when the framework has nothing of the kind.
   */
  async updateSessionAuthHash(user: U): Promise<void> {
    if (this.#adapter.updateSessionAuthHash === undefined) {
      throw new TypeError("Cannot update the session: the adapter has no updateSessionAuthHash");
    }
    await this.#adapter.updateSessionAuthHash(this.#was, user);
  }
}
