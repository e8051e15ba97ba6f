/**
 * Ways to authenticate, and which of them a route asks for.
 *
 * @module
 */

/** Ways to authenticate. */
export type AuthScheme = "basic" | "digest" | "bearer";

/**
 * What `authenticate` may be: a scheme; `true` for the one `app.authorization` names; `null` or `false`
 * for none.
 */
export type Authenticate = AuthScheme | boolean | null;

/** Checks a scheme. @throws {TypeError} naming where it stands. */
export function checkScheme(where: string, value: unknown): asserts value is AuthScheme {
  if (value === "basic" || value === "digest" || value === "bearer") return;
  throw new TypeError(
    `${where}: cannot authenticate by ${JSON.stringify(value)}; ` +
      'known are "basic", "digest" and "bearer"',
  );
}

/** Checks a value of `authenticate`. @throws {TypeError} naming where it stands. */
export function checkAuthenticate(
  where: string,
  value: unknown,
): asserts value is Authenticate | undefined {
  switch (value) {
    case "basic":
    case "digest":
    case "bearer":
    case true:
    case false:
    case null:
    case undefined:
      return;
    default:
      throw new TypeError(
        `${where}: cannot authenticate by ${JSON.stringify(value)}; ` +
          'known are "basic", "digest", "bearer", true and null',
      );
  }
}
