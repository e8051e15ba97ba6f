/**
 * Filters of Jinja that nunjucks does not have.
 *
 * @module
 */

// deno-lint-ignore-file no-explicit-any -- templates pass anything

/** What a filter is called on. */
interface FilterContext {
  readonly env: { getFilter(name: string): (...args: any[]) => unknown };
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

/** JSON that may stand in a page, in a script as well as in an attribute in single quotes. */
function safeJson(value: unknown, indent?: unknown): string {
  const text = JSON.stringify(value, null, typeof indent === "number" ? indent : undefined);
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
  return {
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
