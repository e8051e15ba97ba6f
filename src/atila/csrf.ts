/**
 * Protection of forms against requests that other sites make in the name of a visitor.
 *
 * @module
 */

import type { Values } from "./arguments.ts";
import { isEqual } from "./jwt.ts";
import { CSRF_KEY, randomId, type Session } from "./session.ts";

/** Name of the field in forms and JSON bodies. */
export const CSRF_FIELD: string = CSRF_KEY;
/** Header for requests made by scripts. */
export const CSRF_HEADER = "x-csrf-token";

const TOKEN_BYTES = 24;

/** The token of the session, made on first use. */
export function csrfToken(session: Session): string {
  const known = session.get(CSRF_KEY);
  if (typeof known === "string") return known;
  const token = randomId(TOKEN_BYTES);
  session.set(CSRF_KEY, token);
  return token;
}

/** The element for forms. The token has no characters that would have to be escaped. */
export function csrfInput(session: Session): string {
  return `<input type="hidden" name="${CSRF_FIELD}" value="${csrfToken(session)}">`;
}

/**
 * Whether the body or the header carries the token of the session. The query does not count: addresses
 * end up in logs and in other sites' referrers.
 */
export function csrfVerify(
  session: Session,
  body: Values | undefined,
  header: string | null,
  keep: boolean,
): boolean {
  const given = body?.[CSRF_FIELD] ?? header;
  const expected = session.get(CSRF_KEY);
  if (typeof given !== "string" || typeof expected !== "string") return false;
  if (!isEqual(given, expected)) return false;
  if (!keep) session.remove(CSRF_KEY);
  return true;
}
