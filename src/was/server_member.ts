/**
 * Database servers that are named in the code instead of by an alias.
 *
 * @module
 */

import { type AliasMember, type AliasType, parseServer } from "./aliases.ts";
import type { DatabaseAuth } from "./database_call.ts";

/** Servers read before: the same one has to be the same object, since connections hang on it. */
const members = new Map<string, AliasMember>();
const MAX_MEMBERS = 1000;

/** What is given beside the address. */
export interface ServerFacts {
  /** Name of the database. */
  readonly dbname?: string;
  /** User and password. */
  readonly auth?: DatabaseAuth;
  /** Speak TLS. */
  readonly ssl?: boolean;
  /** Certificates to trust besides the system's, PEM. */
  readonly ca?: string | readonly string[];
}

/**
 * Reads the address of a server; what is given beside it goes before what it says itself.
 *
 * @throws {TypeError} for an address or credentials that cannot be used.
 */
export function serverMember(text: string, type: AliasType, facts: ServerFacts): AliasMember {
  const { dbname, auth = undefined, ssl, ca } = facts;
  if (dbname !== undefined && typeof dbname !== "string") {
    throw new TypeError(`Cannot use ${String(dbname)} as the name of a database`);
  }
  if (auth !== undefined && !isAuth(auth)) {
    throw new TypeError("Cannot use the credentials of a database: expected [user, password]");
  }
  const key = JSON.stringify([text, type, dbname, auth, ssl, ca]);
  let member = members.get(key);
  if (member === undefined) {
    const parsed = parseServer(text, type, ssl);
    member = {
      ...parsed,
      database: dbname || parsed.database,
      user: auth?.[0] ?? parsed.user,
      password: auth === undefined ? parsed.password : auth[1] ?? "",
      key,
    };
    if (members.size >= MAX_MEMBERS) members.clear();
    members.set(key, member);
  }
  return member;
}

function isAuth(auth: unknown): auth is DatabaseAuth {
  return Array.isArray(auth) && auth.length >= 1 && auth.length <= 2 &&
    auth.every((part) => part === undefined || typeof part === "string");
}
