/**
 * How values go to PostgreSQL and come back, where the driver's own way would lose something or
 * differ from the other databases.
 *
 * @module
 */

import { isThenable } from "../../core/handler.ts";
import { parseTime, type SessionZone, timeText } from "./times.ts";

/** A type as the driver takes it. */
export interface PgType {
  /** Type of the values that are sent. */
  readonly to: number;
  /** Types of the columns that are read. */
  readonly from: number[];
  /** Value to text. */
  readonly serialize: (value: unknown) => unknown;
  /** Text to value. */
  readonly parse: (text: string) => unknown;
}

/** Built-in types that have arrays with commas between the members: type, its array. */
const ARRAYS: readonly (readonly [type: number, array: number])[] = [
  ...[[16, 1000], [17, 1001], [18, 1002], [19, 1003], [20, 1016], [21, 1005], [23, 1007]] as const,
  ...[[24, 1008], [25, 1009], [26, 1028], [114, 199], [142, 143], [600, 1017]] as const,
  ...[[601, 1018], [602, 1019], [604, 1027], [628, 629], [650, 651], [700, 1021]] as const,
  ...[[701, 1022], [718, 719], [774, 775], [790, 791], [829, 1040], [869, 1041]] as const,
  ...[[1042, 1014], [1043, 1015], [1082, 1182], [1083, 1183], [1114, 1115]] as const,
  ...[[1184, 1185], [1186, 1187], [1266, 1270], [1560, 1561], [1562, 1563]] as const,
  ...[[1700, 1231], [2202, 2207], [2205, 2210], [2206, 2211], [2950, 2951]] as const,
  ...[[3220, 3221], [3614, 3643], [3615, 3645], [3802, 3807], [3904, 3905]] as const,
  ...[[3906, 3907], [3908, 3909], [3910, 3911], [3912, 3913], [3926, 3927]] as const,
  ...[[4072, 4073], [4089, 4090], [4096, 4097], [4451, 6150], [4532, 6151]] as const,
  ...[[4533, 6152], [4534, 6153], [4535, 6155], [4536, 6157], [5069, 271]] as const,
];

function text(value: unknown): string {
  if (typeof value !== "object") return String(value);
  if (value instanceof Date) return timeText(value);
  if (hasText(value)) return String(value);
  return value instanceof Uint8Array ? `\\x${value.toHex()}` : JSON.stringify(value);
}

/** Addresses, numbers of many digits, times of `Temporal`: JSON would put quotes around them. */
function hasText(value: object | null): boolean {
  if (value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return false;
  const { toString } = value;
  return typeof toString === "function" && toString !== Object.prototype.toString;
}

/** Whole numbers as numbers as long as they are exact, beyond that as big integers. */
function parseBigInt(digits: string): number | bigint {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/** Bytes in the form the settings of the server ask for. */
function parseBytes(value: string): Uint8Array {
  if (value.startsWith("\\x")) return Uint8Array.fromHex(value.slice(2));
  const bytes = value.replace(/\\(\\|[0-3][0-7]{2})/g, (_, code: string) => {
    return code === "\\" ? code : String.fromCharCode(parseInt(code, 8));
  });
  return Uint8Array.from(bytes, (char) => char.charCodeAt(0));
}

/** Types whose treatment replaces the driver's. */
const scalars = (zone: SessionZone): Readonly<Record<string, PgType>> => ({
  string: { to: 25, from: [], serialize: text, parse: String },
  bigint: { to: 20, from: [20], serialize: text, parse: parseBigInt },
  // text goes as it is: builders make JSON of objects themselves
  json: { to: 3802, from: [114, 3802], serialize: jsonText, parse: JSON.parse },
  boolean: { to: 16, from: [16], serialize: text, parse: (value) => value === "t" },
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    serialize: text,
    parse: (value) => parseTime(value, zone),
  },
  bytea: { to: 17, from: [17], serialize: text, parse: parseBytes },
});

function jsonText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const NUMBERS = new Set([21, 23, 26, 700, 701]);

/** Types of one connection. */
export class PgTypes {
  readonly #scalars: Readonly<Record<string, PgType>>;

  /** @param zone Zone of times that come without one. */
  constructor(zone: SessionZone) {
    this.#scalars = scalars(zone);
  }

  /** Those whose treatment replaces the driver's, and the built-in arrays. */
  all(): Record<string, PgType> {
    const types: Record<string, PgType> = { ...this.#scalars };
    for (const [type, array] of ARRAYS) types[`array${array}`] = this.#array(type, array);
    return types;
  }

  /** Arrays of the database's own types; `rows` are those of {@link OWN_ARRAYS_SQL}. */
  own(rows: readonly OwnArray[]): PgType[] {
    const bases = new Map(rows.map(({ type, base }) => [type, base]));
    return rows.map(({ type, array }) => {
      // the members of a domain are what it is made of, which may be a domain again
      let element = type;
      for (let base = bases.get(type); base; base = bases.get(base)) element = base;
      return this.#array(element, array);
    });
  }

  #array(type: number, array: number): PgType {
    const scalar = Object.values(this.#scalars).find(({ from }) => from.includes(type));
    const parse = scalar?.parse ?? (NUMBERS.has(type) ? Number : String);
    const serialize = scalar?.serialize ?? text;
    return {
      to: array,
      from: [array],
      parse: (value) => parseArray(value, parse),
      serialize: (value) => Array.isArray(value) ? arrayText(value, serialize) : text(value),
    };
  }
}

/** An array of a type of the database's own. */
export interface OwnArray {
  /** Type of its members. */
  readonly type: number;
  /** Its own. */
  readonly array: number;
  /** What a domain is made of; 0 for other types. */
  readonly base: number;
}

/**
 * Checks the values of a statement: what has no text of its own would be stored as the text `{}`.
 *
 * @throws {TypeError} for functions, symbols, maps, sets, promises and dates that are none.
 */
export function checkValues(values: readonly unknown[]): void {
  values.forEach((value, i) => {
    const problem = problemOf(value);
    if (problem === undefined) return;
    throw new TypeError(`Cannot bind value ${i + 1}: ${problem}`);
  });
}

function problemOf(value: unknown): string | undefined {
  switch (typeof value) {
    case "function":
    case "symbol":
      return `${typeof value} is no type of PostgreSQL`;
    case "object":
      if (value === null) return undefined;
      if (Array.isArray(value)) {
        for (const member of value) {
          const problem = problemOf(member);
          if (problem !== undefined) return problem;
        }
      } else if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) return "an invalid date";
      } else if (value instanceof Map || value instanceof Set || isThenable(value)) {
        return `${value.constructor.name} is no type of PostgreSQL; give a list or a record`;
      }
  }
  return undefined;
}

/** Query for the arrays of types that are not built in; not of the rows of tables. */
export const OWN_ARRAYS_SQL =
  "select e.oid::int8 as type, e.typarray::int8 as array, e.typbasetype::int8 as base " +
  "from pg_catalog.pg_type e left join pg_catalog.pg_class c on c.oid = e.typrelid " +
  "where e.typarray >= 16384 and e.typdelim = ',' and (e.typtype <> 'c' or c.relkind = 'c')";

/** Writes `{1,"a b",NULL,{…}}`. */
export function arrayText(
  values: readonly unknown[],
  serialize: (value: unknown) => unknown = text,
): string {
  const parts = values.map((value) => {
    if (value === null || value === undefined) return "NULL";
    if (Array.isArray(value)) return arrayText(value, serialize);
    return `"${String(serialize(value)).replace(/["\\]/g, "\\$&")}"`;
  });
  return `{${parts.join(",")}}`;
}

/** Reads `{1,"a b",NULL,{…}}`, with bounds before it if there are any. */
function parseArray(source: string, parse: (value: string) => unknown): unknown[] {
  let at = source.indexOf("{");
  const list = (): unknown[] => {
    const values: unknown[] = [];
    at++;
    while (source[at] !== "}") {
      if (source[at] === "{") values.push(list());
      else if (source[at] === '"') values.push(parse(quoted()));
      else {
        const start = at;
        while (at < source.length && source[at] !== "," && source[at] !== "}") at++;
        const word = source.slice(start, at);
        values.push(word === "NULL" ? null : parse(word));
      }
      if (source[at] === ",") at++;
      if (at >= source.length) throw new SyntaxError("An array of PostgreSQL has no end");
    }
    at++;
    return values;
  };
  const quoted = (): string => {
    let value = "";
    for (at++; source[at] !== '"'; at++) {
      if (at >= source.length) throw new SyntaxError("A string of PostgreSQL has no end");
      if (source[at] === "\\") at++;
      value += source[at];
    }
    at++;
    return value;
  };
  return list();
}
