/**
 * SQL as a tagged template: what stands in `${}` is bound, never part of the text.
 *
 * @module
 */

import { quoteName } from "./quote.ts";

/** Makes the placeholder of value number `n`, counted from 1, in a dialect. */
export type Placeholder = (n: number) => string;

/** A piece of SQL with its values; pieces can be put into others. */
export class SqlTemplate {
  readonly #strings: readonly string[];
  readonly #values: readonly unknown[];

  /** Takes the strings between the values, one more than values. */
  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.#strings = strings;
    this.#values = values;
  }

  /** The statement with the placeholders of a dialect. */
  render(placeholder: Placeholder): { readonly sql: string; readonly params: readonly unknown[] } {
    const params: unknown[] = [];
    return { sql: this.#text(placeholder, params), params };
  }

  #text(placeholder: Placeholder, params: unknown[]): string {
    let text = this.#strings[0] ?? "";
    this.#values.forEach((value, i) => {
      if (value instanceof SqlTemplate) text += value.#text(placeholder, params);
      else if (value instanceof SqlName) text += quoteName(value.name);
      else text += placeholder(params.push(value));
      text += this.#strings[i + 1];
    });
    return text;
  }
}

/** The name of a table or column; it is quoted where it stands. */
export class SqlName {
  /** The name as it was given. */
  readonly name: string;

  /** Takes a name; a dot separates schema, table and column. */
  constructor(name: string) {
    this.name = name;
  }
}

/** `sql` and what goes with it. */
export interface SqlTag {
  /**
   * Makes a piece of SQL; values are bound.
   *
   * @example
   * ```ts
   * import { sql } from "./template.ts";
   * const cheap = sql`price < ${10}`;
   * const { sql: text, params } = sql`select * from ${sql.name("items")} where ${cheap}`
   *   .render((n) => `$${n}`);
   * console.assert(text === 'select * from "items" where price < $1' && params[0] === 10);
   * ```
   */
  (strings: TemplateStringsArray, ...values: unknown[]): SqlTemplate;
  /** The name of a table or column. */
  name(name: string): SqlName;
  /**
   * Pieces or values one after the other, with a comma between them unless another text is given.
   */
  join(parts: readonly unknown[], separator?: string): SqlTemplate;
}

/** Tag of SQL templates; see {@link SqlTag}. */
export const sql: SqlTag = Object.assign(
  (strings: TemplateStringsArray, ...values: unknown[]) => new SqlTemplate(strings, values),
  {
    // a name of its own, since functions have one that cannot be written
    join(parts: readonly unknown[], separator = ", "): SqlTemplate {
      if (parts.length === 0) throw new TypeError("Cannot join an empty list of SQL");
      return new SqlTemplate(["", ...parts.slice(1).map(() => separator), ""], parts);
    },
  },
) as unknown as SqlTag;
Object.defineProperty(sql, "name", { value: (name: string) => new SqlName(name) });
