/**
 * Data as JSON.
 *
 * @module
 */

const { toJSON, toISOString } = Date.prototype;
/** Deeper than that the runtime writes dates itself. */
const MAX_DEPTH = 6;

/**
 * The same text as `JSON.stringify`, sooner where there are many dates: for each of them the runtime
 * leaves its fast way, and formats it slowly. What a list has first tells what to look for in it.
 *
 * @throws {TypeError} for what is no JSON, such as a `bigint` or a circle.
 */
export function jsonText(data: unknown): string {
  return JSON.stringify(easyJson(data));
}

/** The data, or a copy of which the runtime makes the same JSON sooner. */
export function easyJson(data: unknown): unknown {
  const usual = Date.prototype.toJSON === toJSON && Date.prototype.toISOString === toISOString;
  return usual ? withTexts(data, 0) : data;
}

/** The value itself, or a copy with texts in place of dates. */
function withTexts(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) {
    if (value.length === 0) return value;
    const first = withTexts(value[0], depth + 1);
    if (first === value[0]) return value;
    const copy = new Array(value.length);
    copy[0] = first;
    for (let i = 1; i < copy.length; i++) copy[i] = withTexts(value[i], depth + 1);
    return copy;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return dateText(value as Date);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const record = value as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const name in record) {
    const member = record[name];
    if (typeof member === "object" && member !== null) {
      const text = withTexts(member, depth + 1);
      if (text === member || name === "__proto__") continue;
      copy ??= { ...record };
      copy[name] = text;
      // what writes itself has to find its dates as they are
    } else if (typeof member === "function" && name === "toJSON") return value;
  }
  return copy ?? value;
}

/** Texts of times that came before: the same rows are sent many times. */
const TEXTS = 512;
const times = new Float64Array(TEXTS).fill(NaN);
const texts = new Array<string>(TEXTS).fill("");

function dateText(date: Date): unknown {
  if (Object.hasOwn(date, "toJSON")) return date;
  const time = date.getTime();
  // close times, and those that are minutes or days apart, have places of their own
  const place = Math.abs(time % 8191 + time / 60_000 % 8191) & (TEXTS - 1);
  if (times[place] === time) return texts[place];
  const text = written(date);
  if (text === undefined) return date;
  times[place] = time;
  return texts[place] = text;
}

/** `undefined` for those that are none, and for years of another length. */
function written(date: Date): string | undefined {
  const year = date.getUTCFullYear();
  if (!(year >= 1000 && year <= 9999)) return undefined;
  return `${year}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}T` +
    `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}.` +
    `${three(date.getUTCMilliseconds())}Z`;
}

function two(number: number): string {
  return number < 10 ? `0${number}` : `${number}`;
}

function three(number: number): string {
  return number < 10 ? `00${number}` : number < 100 ? `0${number}` : `${number}`;
}
