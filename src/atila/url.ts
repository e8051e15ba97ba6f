/**
 * Builds the URL of a handler from its arguments.
 *
 * @module
 */

import { isPlainObject } from "../core/plain_object.ts";
import { REQUIRED } from "./arguments.ts";
import { CSRF_KEY } from "./session.ts";
import { type AnyHandler, defaultOf, type Route } from "./route.ts";
import type { Parameter } from "./rule.ts";

/** A handler by name or the function itself. */
export type HandlerReference = string | AnyHandler;

/** Last argument of `ab`, for values by name. */
export interface NamedValues {
  /** Values by name. */
  named: Record<string, unknown>;
}

function isNamed(value: unknown): value is NamedValues {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.keys(value).length === 1 && isPlainObject((value as NamedValues).named);
}

/** Joins a mount prefix (with its final slash) and a path that starts with one. */
export function joinMount(mountPoint: string, path: string): string {
  return mountPoint === "/" || mountPoint === "" ? path : mountPoint.slice(0, -1) + path;
}

/** Path of a route up to its first parameter: `/user/` for `/user/<id>`. */
export function basePath({ rule }: Route, mountPoint: string): string {
  const end = rule.segments.findIndex((segment) => typeof segment !== "string");
  const fixed = end === -1 ? rule.segments : [...rule.segments.slice(0, end), ""];
  return joinMount(mountPoint, encodeFixed(`/${fixed.join("/")}`));
}

/** The fixed text of a rule as it stands in a URL; what is escaped already stays as it is. */
export function encodeFixed(text: string): string {
  return text.toWellFormed().replace(
    /[^\x21-\x7e]+|["<>\\^`{|}?#]|%(?![0-9A-Fa-f]{2})/g,
    (part) => encodeURIComponent(part),
  );
}

/**
 * Values for a URL of the same handler as the running request, or another: what the request was given,
 * as far as the handler knows it, with some of it replaced. `null` and `undefined` take a value away.
 */
export function partialValues(
  route: Route,
  current: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>>,
): NamedValues {
  const { rule, facts } = route;
  const known = facts.defaults === undefined
    ? undefined
    : new Set([...rule.parameters.map(({ name }) => name), ...Object.keys(facts.defaults)]);
  const named: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(current)) {
    if (known === undefined ? name === CSRF_KEY : !known.has(name)) continue;
    // Objects and lists within lists of a JSON body, and files of a form, have no place in a URL.
    if (![current[name]].flat().some(isObject)) named[name] = current[name];
  }
  for (const name of Object.keys(changes)) named[name] = changes[name];
  return { named };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/**
 * Builds the path and query of a route. Positional values go to the parameters of the rule in their
 * order, then to the declared arguments in theirs.
 *
 * @throws {TypeError} for too many, undeclared or missing values.
 */
export function buildUrl(route: Route, mountPoint: string, args: readonly unknown[]): string {
  const { rule, facts } = route;
  const label = facts.name ?? rule.text;
  const last = args.at(-1);
  const named = isNamed(last) ? last.named : {};
  const positional = isNamed(last) ? args.slice(0, -1) : args;

  const inPath = rule.parameters.map(({ name }) => name);
  const declared = Object.keys(facts.defaults ?? {}).filter((name) => !inPath.includes(name));
  const order = [...inPath, ...declared];
  if (positional.length > order.length) {
    throw new TypeError(
      `Cannot build the URL of "${label}": ${positional.length} values for ${order.length} arguments`,
    );
  }
  const values = new Map<string, unknown>();
  positional.forEach((value, i) => values.set(order[i]!, value));
  for (const name of Object.keys(named)) {
    if (facts.defaults !== undefined && !order.includes(name)) {
      throw new TypeError(`Cannot build the URL of "${label}": no argument is called "${name}"`);
    }
    if (values.has(name)) {
      throw new TypeError(`Cannot build the URL of "${label}": "${name}" is given twice`);
    }
    values.set(name, named[name]);
  }

  const path = rule.segments.map((segment) => {
    if (typeof segment === "string") return encodeFixed(segment);
    const given = values.get(segment.name) ?? defaultOf(facts, segment.name);
    values.delete(segment.name);
    if (given === undefined || given === null || given === REQUIRED) {
      throw new TypeError(`Cannot build the URL of "${label}": "${segment.name}" is missing`);
    }
    return encodeSegment(segment, textOf(label, segment.name, given));
  });
  const query = [...values]
    .filter(([, value]) => value !== undefined && value !== null)
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((item) =>
        `${encode(name.toWellFormed())}=${encode(textOf(label, name, item))}`
      )
    );
  const url = joinMount(mountPoint, `/${path.join("/")}`);
  return query.length === 0 ? url : `${url}?${query.join("&")}`;
}

/**
 * The text of a value. Half a surrogate pair has no encoding and becomes the replacement character.
 *
 * @throws {TypeError} for a plain object.
 */
function textOf(label: string, name: string, value: unknown): string {
  if (isPlainObject(value)) {
    throw new TypeError(
      `Cannot build the URL of "${label}": "${name}" is an object; values by name are ` +
        `{ named: { … } }, the last argument`,
    );
  }
  return (value instanceof Date ? value.toISOString() : String(value)).toWellFormed();
}

/** A value inside a path. A blank becomes an underscore in a plain parameter; a path keeps its slashes. */
function encodeSegment({ name, type }: Parameter, text: string): string {
  if (
    (type === "int" && !/^\d+$/.test(text)) || (type === "float" && !/^\d+(\.\d+)?$/.test(text))
  ) {
    throw new TypeError(
      `Cannot build a URL with ${name}=${JSON.stringify(text)}: expected ${type}`,
    );
  }
  if (type === "path") return text.split("/").map(encodeURIComponent).join("/").replace(/^\//, "");
  return encodeURIComponent(type === "string" ? text.replaceAll(" ", "_") : text);
}

/** A name or value inside a query; a blank is a plus. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll("%20", "+");
}
