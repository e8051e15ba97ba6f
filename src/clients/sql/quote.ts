/**
 * Names of tables and columns in SQL text.
 *
 * @module
 */

/**
 * Quotes a name, so that nothing in it is SQL: `user` becomes `"user"`, `public.user` becomes
 * `"public"."user"`.
 *
 * @throws {TypeError} for an empty name, one with an empty part, or one with a NUL character.
 */
export function quoteName(name: string): string {
  if (typeof name !== "string" || name === "" || name.includes("\0")) {
    throw new TypeError(`Cannot use ${JSON.stringify(name)} as a name in SQL`);
  }
  return name.split(".").map((part) => {
    if (part === "") throw new TypeError(`Cannot use ${JSON.stringify(name)} as a name in SQL`);
    return `"${part.replaceAll('"', '""')}"`;
  }).join(".");
}
