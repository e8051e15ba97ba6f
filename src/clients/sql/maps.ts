/**
 * Statements in files: `sqlmaps/report.sql` holds named statements, whose values are bound by name.
 *
 * ```sql
 * <sql name="totals">
 *   select org, count(*) cnt from files where kind = :kind and {_filters} group by org {_limit}
 * </sql>
 * ```
 *
 * @module
 */

import { join } from "../../core/file_path.ts";
import type { SqlRecord } from "../statement.ts";
import { allOf, count, orderSql, raw, type SqlCondition, type SqlDialect } from "./conditions.ts";
import { SqlBuilder, type SqlColumn, type SqlRunner } from "./builder.ts";
import { sql, SqlTemplate } from "./template.ts";

/** One statement of a file. */
export interface MapSource {
  /** Text between the values and slots. */
  readonly strings: readonly string[];
  /** What stands between them. */
  readonly holes: readonly Hole[];
  /** Names of its values. */
  readonly names: ReadonlySet<string>;
  /** Where it stands, for messages. */
  readonly where: string;
}

/** What stands between two pieces of text: a value by its name, or a place for generated SQL. */
export type Hole = { readonly value: string } | { readonly slot: Slot };
/** Places for generated SQL. */
export type Slot = "_filters" | "_orderBy" | "_limit" | "_offset";

const SLOTS: readonly string[] = ["_filters", "_orderBy", "_limit", "_offset"];

/**
 * A statement of a file with its values; filters, order and range go where the file has a place for
 * them.
 */
export class MapBuilder<F = never> extends SqlBuilder<F> {
  readonly #source: MapSource;
  readonly #values: SqlRecord;
  readonly #conditions: SqlCondition[] = [];
  readonly #order: SqlColumn[] = [];
  #limit: number | undefined;
  #offset: number | undefined;

  /** Takes a statement and its values. @throws {TypeError} when they are not the ones it takes. */
  constructor(
    dialect: SqlDialect,
    source: MapSource,
    values: SqlRecord = {},
    run?: SqlRunner<F>,
  ) {
    super(dialect, run);
    for (const name of source.names) {
      if (values[name] === undefined) {
        throw new TypeError(`Cannot use ${source.where}: no value is given for :${name}`);
      }
    }
    for (const name of Object.keys(values)) {
      if (source.names.has(name)) continue;
      throw new TypeError(
        `Cannot use ${source.where}: it takes no ${JSON.stringify(name)}, only ${
          [...source.names].join(", ") || "nothing"
        }`,
      );
    }
    this.#source = source;
    this.#values = values;
  }

  /** Conditions for `{_filters}`. */
  filter(...conditions: SqlCondition[]): this {
    this.#need("_filters");
    this.#conditions.push(...conditions);
    return this;
  }

  /** Order for `{_orderBy}`. */
  orderBy(...columns: SqlColumn[]): this {
    this.#need("_orderBy");
    this.#order.push(...columns);
    return this;
  }

  /** Most rows, for `{_limit}`. @throws {RangeError} */
  limit(rows: number): this {
    this.#need("_limit");
    this.#limit = count(rows, "a limit");
    return this;
  }

  /** Rows to leave out, for `{_offset}`. @throws {RangeError} */
  offset(rows: number): this {
    this.#need("_offset");
    this.#offset = count(rows, "an offset");
    return this;
  }

  /** The statement. */
  template(): SqlTemplate {
    const { strings, holes } = this.#source;
    return new SqlTemplate(
      strings,
      holes.map((hole) => "value" in hole ? this.#values[hole.value] : this.#slot(hole.slot)),
    );
  }

  #slot(slot: Slot): SqlTemplate {
    switch (slot) {
      case "_filters":
        return this.#conditions.length === 0 ? raw("1 = 1") : allOf(this.dialect, this.#conditions);
      case "_orderBy":
        return this.#order.length === 0 ? raw("") : sql`order by ${orderSql(this.#order)}`;
      case "_limit":
        return raw(this.#limit === undefined ? "" : `limit ${this.#limit}`);
      case "_offset":
        return raw(this.#offset === undefined ? "" : `offset ${this.#offset}`);
    }
  }

  #need(slot: Slot): void {
    if (this.#source.holes.some((hole) => "slot" in hole && hole.slot === slot)) return;
    throw new TypeError(`Cannot use ${this.#source.where} so: it has no {${slot}}`);
  }
}

const BLOCK = /<sql\s+name\s*=\s*"([^"]*)"\s*>([\s\S]*?)<\/sql>/g;
/** Strings, quoted names, comments and casts are text; what looks like a value in them is none. */
const PIECE =
  /(?<!\w)[eE]'(?:\\[\s\S]|''|[^\\'])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|::|:([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)|\{(\w+)\}/g;

/**
 * Reads a file of statements. @throws {SyntaxError} naming file and line of what cannot be used.
 */
export function parseMaps(text: string, file: string): Map<string, MapSource> {
  const maps = new Map<string, MapSource>();
  let end = 0;
  for (const match of text.matchAll(BLOCK)) {
    const line = (offset: number) => text.slice(0, offset).split("\n").length;
    const at = `${file}:${line(match.index)}`;
    assertBlank(text.slice(end, match.index), file, line(end));
    end = match.index + match[0].length;
    const [, name = "", body = ""] = match;
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      throw new SyntaxError(`${at}: ${JSON.stringify(name)} is not a name for a statement`);
    }
    if (maps.has(name)) throw new SyntaxError(`${at}: the statement ${name} is there twice`);
    if (body.trim() === "") throw new SyntaxError(`${at}: the statement ${name} is empty`);
    maps.set(name, parseMap(body.trim(), `${name} of ${at}`));
  }
  assertBlank(text.slice(end), file, text.slice(0, end).split("\n").length);
  return maps;
}

function parseMap(text: string, where: string): MapSource {
  const strings: string[] = [];
  const holes: Hole[] = [];
  const names = new Set<string>();
  let from = 0;
  for (const match of text.matchAll(PIECE)) {
    const [whole, , value, slot] = match;
    if (value === undefined && slot === undefined) continue;
    if (slot !== undefined && !SLOTS.includes(slot)) {
      throw new SyntaxError(`${where}: unknown place {${slot}}; known are ${SLOTS.join(", ")}`);
    }
    strings.push(text.slice(from, match.index));
    holes.push(value === undefined ? { slot: slot as Slot } : { value });
    if (value !== undefined) names.add(value);
    from = match.index + whole.length;
  }
  strings.push(text.slice(from));
  return { strings, holes, names, where };
}

/** Between the statements there may be comments only. */
function assertBlank(text: string, file: string, firstLine: number): void {
  const blank = (comment: string) => comment.replace(/[^\n]/g, " ");
  const rest = text.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->/g, blank);
  const at = rest.search(/\S/);
  if (at === -1) return;
  const line = firstLine + rest.slice(0, at).split("\n").length - 1;
  throw new SyntaxError(
    `${file}:${line}: text outside of <sql name="…">: ${
      JSON.stringify(rest.slice(at).trimEnd().slice(0, 40))
    }`,
  );
}

/** How often a file is looked at when it may change, in milliseconds. */
const LOOK_MS = 1000;

interface LoadedFile {
  readonly maps: Map<string, MapSource>;
  readonly stamp: string;
  looked: number;
}

/** The statement files of a directory, read when they are first asked for. */
export class SqlMaps {
  /** Directory of the files. */
  readonly directory: string;
  readonly #reload: () => boolean;
  readonly #files = new Map<string, LoadedFile>();

  /**
   * Takes the directory; it need not be there.
   *
   * @param reload Whether changed files are read again; asked each time.
   */
  constructor(directory: string, reload: () => boolean = () => false) {
    this.directory = directory;
    this.#reload = reload;
  }

  /**
   * The statements of a file, by its name without `.sql`; `undefined` when there is no such file.
   *
   * @throws {SyntaxError} naming the line that cannot be used.
   */
  get(name: string): ReadonlyMap<string, MapSource> | undefined {
    if (!/^\w+$/.test(name)) return undefined;
    const loaded = this.#files.get(name);
    if (loaded !== undefined) {
      if (!this.#reload()) return loaded.maps;
      const now = performance.now();
      if (now - loaded.looked < LOOK_MS) return loaded.maps;
      loaded.looked = now;
    }
    const path = join(this.directory, `${name}.sql`);
    try {
      const { mtime, size } = Deno.statSync(path);
      const stamp = `${mtime?.getTime()} ${size}`;
      if (loaded?.stamp === stamp) return loaded.maps;
      const maps = parseMaps(Deno.readTextFileSync(path), path);
      this.#files.set(name, { maps, stamp, looked: performance.now() });
      return maps;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      this.#files.delete(name);
      return undefined;
    }
  }
}
