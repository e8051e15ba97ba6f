/**
 * Filters of Jinja that nunjucks does not have, or has in another way.
 *
 * @module
 */

// deno-lint-ignore-file no-explicit-any -- templates pass anything

import { isTrue } from "./is_true.ts";

/** What a filter is called on. */
interface FilterContext {
  readonly env: {
    getFilter(name: string): (...args: any[]) => unknown;
    getTest(name: string): (...args: any[]) => unknown;
  };
}

/** Marks text that is not to be escaped. */
type MarkSafe = (text: string) => unknown;

/** The attribute of a value by a path with dots. */
function attribute(value: any, path: string): unknown {
  return path.split(".").reduce((member, key) => member?.[key], value);
}

/** Takes arguments given by name off the end. */
function named(args: any[]): Record<string, any> {
  const last = args.at(-1);
  return typeof last === "object" && last !== null && "__keywords" in last ? args.pop() : {};
}

/** Names of the arguments of filters that know them by their place only. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  batch: ["linecount", "fill_with"],
  center: ["width"],
  d: ["default_value", "boolean"],
  default: ["default_value", "boolean"],
  dictsort: ["case_sensitive", "by", "reverse"],
  float: ["default"],
  groupby: ["attribute"],
  indent: ["width", "first"],
  join: ["d", "attribute"],
  replace: ["old", "new", "count"],
  round: ["precision", "method"],
  slice: ["slices"],
  sum: ["attribute", "start"],
  tojson: ["indent"],
  truncate: ["length", "killwords", "end"],
  urlize: ["trim_url_limit", "nofollow"],
};

/**
 * Arguments of a filter with those in their places that were given by name.
 *
 * @throws {TypeError} for a name the filter does not have.
 */
export function positional(filter: string, args: any[]): any[] {
  const last = args.at(-1);
  if (typeof last !== "object" || last === null || !Object.hasOwn(last, "__keywords")) return args;
  const names = Object.hasOwn(PARAMETERS, filter) ? PARAMETERS[filter] : undefined;
  if (names === undefined) return args;
  const places = args.slice(0, -1);
  for (const [name, value] of Object.entries(last)) {
    if (name === "__keywords") continue;
    const at = names.indexOf(name);
    if (at === -1) {
      throw new TypeError(`Filter ${filter} takes ${names.join(", ")}, but not ${name}`);
    }
    // The value that is filtered comes first.
    places[at + 1] = value;
  }
  return places;
}

/** JSON that may stand in a page, in a script as well as in an attribute in single quotes. */
function safeJson(value: unknown, indent?: unknown): string {
  const text = JSON.stringify(
    value,
    (_name, member) => member instanceof String ? String(member) : member,
    typeof indent === "number" ? indent : undefined,
  );
  return (text ?? "null").replace(
    /[<>&'\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Makes the filters. */
export function jinjaFilters(markSafe: MarkSafe): Record<string, (...args: any[]) => unknown> {
  const extreme = (sign: number) => (list: any, ...args: any[]) => {
    const { attribute: path } = named(args);
    let best: any;
    for (const item of list ?? []) {
      const key = path ? attribute(item, path) as any : item;
      const bestKey = path && best !== undefined ? attribute(best, path) as any : best;
      if (best === undefined || (key > bestKey ? 1 : key < bestKey ? -1 : 0) === sign) best = item;
    }
    return best;
  };
  /** Text of another case, marked as safe where it was. */
  const changed = (change: (text: string) => string) => (value: any) => {
    const text = change(String(value ?? ""));
    return value instanceof String ? markSafe(text) : text;
  };
  /** Items whose attribute passes a test, or is true; or the others. */
  const byAttribute = (isWanted: boolean) =>
    function (this: FilterContext, list: any, path: string, test?: string, ...args: any[]) {
      const passes = test === undefined ? isTrue : this.env.getTest(test);
      return [...list ?? []].filter((item) =>
        Boolean(passes.call(this, attribute(item, path), ...args)) === isWanted
      );
    };
  const otherwise = (value: unknown, instead: unknown = "", forFalse = false) =>
    (forFalse ? isTrue(value) : value !== undefined) ? value : instead;
  return {
    upper: changed((text) => text.toUpperCase()),
    lower: changed((text) => text.toLowerCase()),
    selectattr: byAttribute(true),
    rejectattr: byAttribute(false),
    default: otherwise,
    d: otherwise,
    join: (list, between = "", path) =>
      [...list ?? []].map((item) => path ? attribute(item, path) ?? "" : item).join(between),
    sum: (list, path, start = 0) =>
      [...list ?? []].reduce((sum, item) => sum + (path ? attribute(item, path) : item), start),
    dictsort(record, isCaseSensitive = false, by = "key", isReversed = false) {
      if (by !== "key" && by !== "value") {
        throw new TypeError(`Filter dictsort sorts by key or value, not ${by}`);
      }
      const entries = record instanceof Map ? [...record] : Object.entries(record ?? {});
      const at = by === "key" ? 0 : 1;
      const keyOf = (entry: any[]) =>
        typeof entry[at] === "string" && !isCaseSensitive ? entry[at].toLowerCase() : entry[at];
      const sign = isReversed ? -1 : 1;
      return entries.sort((a, b) => keyOf(a) > keyOf(b) ? sign : keyOf(a) < keyOf(b) ? -sign : 0);
    },
    tojson: (value, indent) => markSafe(safeJson(value, indent)),
    map(this: FilterContext, list: any, ...args: any[]) {
      const { attribute: path, default: otherwise } = named(args);
      if (path !== undefined) return [...list ?? []].map((v) => attribute(v, path) ?? otherwise);
      const [name, ...rest] = args;
      const filter = this.env.getFilter(name);
      return [...list ?? []].map((v) => filter.call(this, v, ...rest));
    },
    unique: (list, ...args) => {
      const { attribute: path } = named(args);
      const seen = new Set<unknown>();
      return [...list ?? []].filter((item) => {
        const key = path ? attribute(item, path) : item;
        return !seen.has(key) && seen.add(key);
      });
    },
    min: extreme(-1),
    max: extreme(1),
    attr: (value, name) => value?.[name],
    items: (value) => value instanceof Map ? [...value] : Object.entries(value ?? {}),
  };
}
