/**
 * The values of a statement in the types SQLite has.
 *
 * @module
 */

import type { SQLInputValue } from "node:sqlite";
import { keptBytes } from "../../core/kept_values.ts";
import type { SqlParams } from "../statement.ts";
import type { Piece } from "./split.ts";

/**
 * Converts the values of a statement and checks that it gets as many as it takes.
 *
 * `null` and `undefined` become NULL, booleans 0 and 1, a `Date` its ISO 8601 text in UTC, buffers
 * and their views BLOB, whole numbers and big integers INTEGER, other numbers REAL (NaN is NULL).
 *
 * @throws {TypeError} for other values, and for too few, too many or unknown ones.
 * @throws {RangeError} for an integer beyond 64 bits.
 */
export function bindable(
  piece: Piece,
  params: SqlParams,
): readonly SQLInputValue[] | Readonly<Record<string, SQLInputValue>> {
  if (Array.isArray(params)) {
    if (params.length !== piece.positional) {
      throw new TypeError(
        `Cannot bind ${params.length} values to a statement that takes ${piece.positional}`,
      );
    }
    return params.map((value, i) => convert(value, String(i + 1)));
  }
  const unnamed = piece.positional - piece.names.length;
  if (unnamed > 0) {
    throw new TypeError(
      `Cannot bind values by name to a statement with ${unnamed} placeholders without names`,
    );
  }
  const bound: Record<string, SQLInputValue> = {};
  const known = new Set<string>();
  for (const name of piece.names) {
    const record = params as Record<string, unknown>;
    const key = Object.hasOwn(record, name) ? name : name.slice(1);
    if (!Object.hasOwn(record, key)) {
      throw new TypeError(`Cannot execute: no value is given for ${name}`);
    }
    known.add(key);
    bound[name] = convert(record[key], name);
  }
  for (const key of Object.keys(params)) {
    if (!known.has(key)) {
      throw new TypeError(
        `Cannot bind ${JSON.stringify(key)}: the statement takes ` +
          (piece.names.join(", ") || "no values"),
      );
    }
  }
  return bound;
}

function convert(value: unknown, which: string): SQLInputValue {
  switch (typeof value) {
    case "number":
      // The driver binds every number as REAL: 7 would become the text "7.0" where text is made of
      // it.
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case "string":
      // The driver would cut the text there without a word.
      if (value.includes("\0")) {
        throw new TypeError(
          `Cannot bind value ${which}: a text with a NUL character; give it as bytes`,
        );
      }
      return value;
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) {
        throw new RangeError(`Cannot bind value ${which}: ${value} does not fit into 64 bits`);
      }
      return value;
    case "boolean":
      return value ? 1n : 0n;
    case "undefined":
      return null;
    case "object":
      if (value === null) return null;
      if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) {
          throw new TypeError(`Cannot bind value ${which}: an invalid date`);
        }
        return value.toISOString();
      }
      // copies: a statement may have to wait, and the caller go on to put others there
      if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return keptBytes(value);
  }
  const kind = typeof value === "object" ? value!.constructor?.name ?? "object" : typeof value;
  throw new TypeError(
    `Cannot bind value ${which}: ${kind} is no type of SQLite; ` +
      "convert it, to JSON text for instance",
  );
}
