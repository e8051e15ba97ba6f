/**
 * Changes of models, told by an ORM: the shape they have, and an adapter for Drizzle.
 *
 * @module
 */

/** One change. */
export interface ModelChange {
  /** Created, updated, deleted. */
  readonly operation: "C" | "U" | "D";
  /** Name of the model, such as `"shop.models.Item"`. */
  readonly model: string;
  /** What was stored, or as much as the ORM tells. */
  readonly instance?: unknown;
  /** Names of the members that were changed. */
  readonly fields?: readonly string[];
}

/** Something that tells of changes after they have happened. */
export interface ModelEvents {
  /** Calls the listener with each change until the returned function is called. */
  subscribe(listener: (change: ModelChange) => void): () => void;
}

/** Changes of models collected from wherever they are told. */
export class ModelChanges implements ModelEvents {
  readonly #listeners = new Set<(change: ModelChange) => void>();

  /** See {@link ModelEvents}. */
  subscribe(listener: (change: ModelChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells a change. */
  tell(change: ModelChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

const OPERATIONS: Readonly<Record<string, ModelChange["operation"]>> = {
  insert: "C",
  update: "U",
  delete: "D",
};

/** Members of a statement of Drizzle that run it. */
const RUNS = new Set(["then", "execute", "run", "all", "get", "values"]);

/**
 * Wraps a database of Drizzle, so that its inserts, updates and deletes are told once they have
 * succeeded; those in a transaction when it is committed.
 *
 * @param db What `drizzle(…)` gives.
 * @param models Tables by the names of their models; changes of others are not told.
 *
 * @example
 * ```ts ignore
 * const { db, events } = drizzleEvents(drizzle(client), { "shop.models.Item": items });
 * app.redirectSignal(events);
 * await db.insert(items).values({ name: "pen" });
 * ```
 */
export function drizzleEvents<D extends object>(
  db: D,
  models: Readonly<Record<string, object>>,
): { readonly db: D; readonly events: ModelEvents } {
  const changes = new ModelChanges();
  const names = new Map(Object.entries(models).map(([name, table]) => [table, name]));
  return { db: wrapDatabase(db, names, (change) => changes.tell(change)), events: changes };
}

type Tell = (change: ModelChange) => void;

function wrapDatabase<D extends object>(
  db: D,
  names: ReadonlyMap<object, string>,
  tell: Tell,
): D {
  return new Proxy(db, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name === "transaction") return transaction(target, member, names, tell);
      if (name === "with") {
        return (...args: unknown[]) => wrapDatabase(member.apply(target, args), names, tell);
      }
      const operation = typeof name === "string" ? OPERATIONS[name] : undefined;
      if (operation === undefined) return member.bind(target);
      return (table: object, ...rest: unknown[]) => {
        const statement: object = member.call(target, table, ...rest);
        const model = names.get(table);
        if (model === undefined) return statement;
        return wrapStatement(statement, { operation, model }, tell);
      };
    },
  });
}

/** What is changed in a transaction is told after it, if it succeeds. */
function transaction(
  target: object,
  // deno-lint-ignore ban-types -- a method of the ORM
  method: Function,
  names: ReadonlyMap<object, string>,
  tell: Tell,
) {
  return (work: (tx: object) => unknown, ...rest: unknown[]): unknown => {
    const changes: ModelChange[] = [];
    const result: unknown = method.call(
      target,
      (tx: object) => work(wrapDatabase(tx, names, (change) => void changes.push(change))),
      ...rest,
    );
    const done = (value: unknown) => {
      changes.forEach(tell);
      return value;
    };
    return isThenable(result) ? result.then(done) : done(result);
  };
}

function wrapStatement(statement: object, change: ModelChange, tell: Tell): object {
  return new Proxy(statement, {
    get(target, name, proxy: PromiseLike<unknown>) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      // these would run it where nobody sees how it ends
      if (name === "catch" || name === "finally") {
        return (listener: () => unknown) =>
          Promise.resolve(proxy.then((rows) => rows))[name](listener);
      }
      // before its values are given, an insert has a method of that name that only takes them
      const takes = (name === "values" || name === "set") && !("then" in target);
      if (typeof name !== "string" || takes || !RUNS.has(name)) {
        return (...args: unknown[]) => {
          const next: unknown = member.apply(target, args);
          if (typeof next !== "object" || next === null || name === "toSQL" || name === "getSQL") {
            return next;
          }
          return wrapStatement(next, takes ? { ...change, ...told(args[0]) } : change, tell);
        };
      }
      if (name === "then") {
        return (onRows?: (rows: unknown) => unknown, onError?: (error: unknown) => unknown) =>
          member.call(target, (rows: unknown) => {
            tell(change);
            return onRows === undefined || onRows === null ? rows : onRows(rows);
          }, onError);
      }
      return (...args: unknown[]) => {
        const rows: unknown = member.apply(target, args);
        const done = (value: unknown) => {
          tell(change);
          return value;
        };
        return isThenable(rows) ? rows.then(done) : done(rows);
      };
    },
  });
}

function told(values: unknown): Pick<ModelChange, "instance" | "fields"> {
  const first: unknown = Array.isArray(values) ? values[0] : values;
  return { instance: values, fields: Object.keys(first ?? {}) };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null)?.then === "function";
}
