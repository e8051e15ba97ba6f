/**
 * XML-RPC values and responses as text.
 *
 * @module
 */

import { nodeBuffer } from "../core/node_builtins.ts";

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function escape(text: string): string {
  // Control characters other than tab and line ends cannot stand in an XML 1.0 document at all.
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>]/g, (character) => ESCAPES[character]!);
}

/**
 * Encodes one value. Dates become ISO strings, bytes base64, `null` and `undefined` the `<nil/>`
 * extension.
 *
 * @param dates Write dates with their own type instead. Default false.
 * @throws {TypeError} for functions, symbols, circular structures and numbers that are not finite.
 */
export function encodeValue(
  value: unknown,
  seen: readonly unknown[] = [],
  dates = false,
): string {
  if (value === null || value === undefined) return "<value><nil/></value>";
  switch (typeof value) {
    case "string":
      return `<value><string>${escape(value)}</string></value>`;
    case "boolean":
      return `<value><boolean>${value ? 1 : 0}</boolean></value>`;
    case "bigint":
      return encodeValue(Number(value));
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`Cannot encode ${value} as XML-RPC`);
      return Number.isInteger(value) && Math.abs(value) < 2 ** 31
        ? `<value><int>${value}</int></value>`
        : `<value><double>${value}</double></value>`;
    case "object":
      break;
    default:
      throw new TypeError(`Cannot encode a ${typeof value} as XML-RPC`);
  }
  if (value instanceof Date) {
    const iso = value.toISOString();
    if (!dates) return encodeValue(iso);
    // the form of the specification: no dashes, no fractions, no zone
    const compact = iso.replaceAll("-", "").replace(/\.\d+Z$/, "");
    return `<value><dateTime.iso8601>${compact}</dateTime.iso8601></value>`;
  }
  if (value instanceof Uint8Array) {
    return `<value><base64>${nodeBuffer().from(value).toString("base64")}</base64></value>`;
  }
  if (seen.includes(value)) throw new TypeError("Cannot encode a circular structure as XML-RPC");
  const inner = [...seen, value];
  if (Array.isArray(value)) {
    const items = value.map((item) => encodeValue(item, inner, dates)).join("");
    return `<value><array><data>${items}</data></array></value>`;
  }
  const members = Object.entries(value as object)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) =>
      `<member><name>${escape(name)}</name>${encodeValue(member, inner, dates)}</member>`
    )
    .join("");
  return `<value><struct>${members}</struct></value>`;
}

/** Encodes the answer of a method; see {@link encodeValue}. */
export function encodeResponse(value: unknown, dates = false): string {
  return `<?xml version="1.0" encoding="utf-8"?>\n<methodResponse><params><param>${
    encodeValue(value, [], dates)
  }</param></params></methodResponse>\n`;
}
