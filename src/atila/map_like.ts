/**
 * What cookies and sessions have in common: values by name, by method or by property.
 *
 * @module
 */

/**
 * Reading names that are not members of the class reads values, and setting them sets values:
 * `session.user` is `session.get("user")`. Methods stay what they are; a value that is called like one
 * is reached by `get` and `set`.
 *
 * The fallback is an object at the end of the prototype chain, so it costs nothing where methods are used
 * and private fields work in them.
 */
const FALLBACK: object = new Proxy(Object.create(null), {
  get(_target, name, receiver: MapLike<unknown>) {
    return typeof name === "string" ? receiver.get(name) : undefined;
  },
  set(_target, name, value, receiver: MapLike<unknown>) {
    if (typeof name !== "string") throw new TypeError(`Cannot set ${String(name)}: not a name`);
    receiver.set(name, value);
    return true;
  },
  has: () => false,
});

/** Values by name. Index and property access work as well: `values.user`, `values["user"]`. */
export abstract class MapLike<V> implements Iterable<[string, V]> {
  /** Values by name. */
  // deno-lint-ignore no-explicit-any -- values by property, beside the methods
  [name: string]: any;

  /** The values there are now. */
  protected abstract current(): ReadonlyMap<string, V>;

  /** Sets a value. */
  abstract set(name: string, value: V, options?: unknown): void;

  /** A value, or `fallback`. */
  get(name: string): V | undefined;
  /** A value, or `fallback`. */
  get<D>(name: string, fallback: D): V | D;
  get(name: string, fallback?: unknown): unknown {
    const values = this.current();
    const value = values.get(name);
    return value === undefined && !values.has(name) ? fallback : value;
  }

  /** Whether there is a value of that name. */
  has(name: string): boolean {
    return this.current().has(name);
  }

  /** Names of the values. */
  keys(): string[] {
    return [...this.current().keys()];
  }

  /** The values. */
  values(): V[] {
    return [...this.current().values()];
  }

  /** Names and values. */
  items(): [string, V][] {
    return [...this.current()];
  }

  /** Number of values. */
  get size(): number {
    return this.current().size;
  }

  /** Goes over names and values. */
  [Symbol.iterator](): IterableIterator<[string, V]> {
    return this.items()[Symbol.iterator]();
  }

  /** Never the values, which may be secret. */
  toString(): string {
    return "[values]";
  }
}

Object.setPrototypeOf(MapLike.prototype, FALLBACK);
// Setting a value that is called like a method would hide the method, and keep nothing.
Object.freeze(MapLike.prototype);
