/**
 * How values go to PostgreSQL and come back, where the driver's own way would lose something or
 * differ from the other databases.
 *
 * @module
 */

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

/** Built-in types that have arrays: type, its array. */
const ARRAYS: readonly (readonly [type: number, array: number])[] = [
  ...[[16, 1000], [17, 1001], [18, 1002], [19, 1003], [20, 1016], [21, 1005], [23, 1007]] as const,
  ...[[25, 1009], [26, 1028], [114, 199], [142, 143], [650, 651], [700, 1021]] as const,
  ...[[701, 1022], [790, 791], [869, 1041], [1042, 1014], [1043, 1015], [1082, 1182]] as const,
  ...[[1083, 1183], [1114, 1115], [1184, 1185], [1186, 1187], [1266, 1270]] as const,
  ...[[1700, 1231], [2950, 2951], [3802, 3807]] as const,
];

const text = (value: unknown) => typeof value === "object" ? JSON.stringify(value) : String(value);

/** Whole numbers as numbers as long as they are exact, beyond that as big integers. */
function parseBigInt(digits: string): number | bigint {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/**
 * A date, or a time with or without its zone; one without is local. Written out, since the runtime
 * takes several times as long for a text it has to guess at.
 */
function parseTime(value: string): Date {
  const { length } = value;
  const year = digits(value, 0, 4);
  const month = digits(value, 5, 2) - 1;
  const day = digits(value, 8, 2);
  // years below 100 would be taken for those of the last century
  if (!(year >= 100) || value[4] !== "-" || value[7] !== "-") return new Date(value);
  if (length === 10) return new Date(Date.UTC(year, month, day));
  const hour = digits(value, 11, 2);
  const minute = digits(value, 14, 2);
  const second = digits(value, 17, 2);
  let ms = 0;
  let at = 19;
  if (value[at] === ".") {
    let scale = 100;
    for (at++; at < length; at++) {
      const digit = value.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) break;
      ms += Math.floor(digit * scale);
      scale /= 10;
    }
  }
  if (at === length && !Number.isNaN(hour + minute + second + month + day)) {
    return new Date(year, month, day, hour, minute, second, ms);
  }
  const sign = value[at] === "+" ? 60_000 : value[at] === "-" ? -60_000 : NaN;
  const minutes = length === at + 3 ? 0 : length === at + 6 ? digits(value, at + 4, 2) : NaN;
  const offset = (digits(value, at + 1, 2) * 60 + minutes) * sign;
  const time = Date.UTC(year, month, day, hour, minute, second, ms) - offset;
  // infinity, years before Christ, zones with seconds
  return Number.isNaN(time) ? new Date(value) : new Date(time);
}

/** A number of so many digits; NaN where there are others. */
function digits(text: string, from: number, count: number): number {
  let number = 0;
  for (let at = from; at < from + count; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    number = number * 10 + digit;
  }
  return number;
}

function serializeBytes(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) {
    return value instanceof ArrayBuffer ? serializeBytes(new Uint8Array(value)) : text(value);
  }
  return `\\x${value.toHex()}`;
}

/** Types whose treatment replaces the driver's. */
const SCALARS: Readonly<Record<string, PgType>> = {
  string: { to: 25, from: [], serialize: text, parse: String },
  bigint: { to: 20, from: [20], serialize: text, parse: parseBigInt },
  // text goes as it is: builders make JSON of objects themselves
  json: { to: 3802, from: [114, 3802], serialize: jsonText, parse: JSON.parse },
  boolean: { to: 16, from: [16], serialize: text, parse: (value) => value === "t" },
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    serialize: (value) => value instanceof Date ? value.toISOString() : text(value),
    parse: parseTime,
  },
  bytea: {
    to: 17,
    from: [17],
    serialize: serializeBytes,
    parse: (value) => Uint8Array.fromHex(value.slice(2)),
  },
};

function jsonText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const NUMBERS = new Set([21, 23, 26, 700, 701]);

/** How one value of a type is read. */
function parserOf(type: number): (value: string) => unknown {
  if (NUMBERS.has(type)) return Number;
  return Object.values(SCALARS).find(({ from }) => from.includes(type))?.parse ?? String;
}

function serializerOf(type: number): (value: unknown) => unknown {
  return Object.values(SCALARS).find(({ from }) => from.includes(type))?.serialize ?? text;
}

/**
 * Types of a connection: those above, the built-in arrays, and arrays of the database's own types.
 */
export function pgTypes(): Record<string, PgType> {
  const types: Record<string, PgType> = { ...SCALARS };
  for (const [type, array] of ARRAYS) types[`array${array}`] = arrayType(type, array);
  return types;
}

/** Query for the arrays of types that are not built in. */
export const OWN_ARRAYS_SQL =
  "select e.oid::int8 as type, e.typarray::int8 as array from pg_catalog.pg_type e " +
  "where e.typarray >= 16384 and e.typtype in ('e', 'd')";

/** An array type of the elements' type. */
export function arrayType(type: number, array: number): PgType {
  const parse = parserOf(type);
  const serialize = serializerOf(type);
  return {
    to: array,
    from: [array],
    parse: (value) => parseArray(value, parse),
    serialize: (value) => Array.isArray(value) ? arrayText(value, serialize) : text(value),
  };
}

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
