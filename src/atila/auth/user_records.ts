/**
 * Users and their passwords, as an app hands them to the authentication of HTTP.
 *
 * @module
 */

/**
 * What an app knows of a user: the password; or the password, whether it is hashed (for digest, the hex
 * of `H(user:realm:password)`), and whatever else it wants to find in `was.request.user.info`.
 */
export type UserRecord = string | readonly [password: string, encrypted?: boolean, info?: unknown];

/** Users by name; a `Map` is one. Nothing means that there is no such user. */
export interface UserCollection {
  /** The record of a user. */
  get(
    username: string,
  ): UserRecord | null | undefined | Promise<UserRecord | null | undefined>;
}

/** A record with its parts named. */
export interface KnownUser {
  /** Password or hash. */
  readonly password: string;
  /** Whether it is a hash. */
  readonly encrypted: boolean;
  /** What else the app knows. */
  readonly info: unknown;
}

/**
 * Reads a record. @throws {TypeError} for anything that is none, so that a mistake in the app never
 * lets anybody in.
 */
export function readRecord(
  username: string,
  record: UserRecord | null | undefined,
): KnownUser | undefined {
  if (record === undefined || record === null) return undefined;
  const parts: readonly unknown[] = Array.isArray(record) ? record : [record];
  const [password, encrypted = false, info] = parts;
  if (typeof password !== "string" || typeof encrypted !== "boolean") {
    throw new TypeError(
      `The record of user ${JSON.stringify(username)} is neither a password nor ` +
        "[password, encrypted, info]",
    );
  }
  return { password, encrypted, info };
}
