/**
 * Dates and times as PostgreSQL writes them.
 *
 * @module
 */

/** Turns a time on the wall, in milliseconds as if it were one in UTC, into the instant it is. */
type WallClock = (wall: number) => number;

const utc: WallClock = (wall) => wall;

/** As this process reads its clock. */
const local: WallClock = (wall) => {
  const at = new Date(wall);
  const here = new Date(0);
  here.setFullYear(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate());
  here.setHours(
    ...[at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds(), at.getUTCMilliseconds()] as const,
  );
  return here.getTime();
};

/**
 * The time zone of a connection. The server takes an instant to it when it is stored without a zone,
 * so what comes without one is read in it again, wherever this process runs.
 */
export class SessionZone {
  /** What a time on the wall is in this zone. */
  instantOf: WallClock = local;

  /** Takes the zone the server tells. One that is unknown here is taken for that of the process. */
  set(name: string): void {
    if (/^(etc\/)?(utc|gmt|uct|zulu|greenwich|universal)$/i.test(name)) this.instantOf = utc;
    else if (name === Temporal.Now.timeZoneId() || !isKnown(name)) this.instantOf = local;
    else {
      this.instantOf = (wall) =>
        Temporal.PlainDateTime.from(new Date(wall).toISOString().slice(0, -1))
          .toZonedDateTime(name).epochMilliseconds;
    }
  }
}

function isKnown(zone: string): boolean {
  try {
    Temporal.Now.zonedDateTimeISO(zone);
    return true;
  } catch {
    // PostgreSQL has names of its own, such as those of fixed offsets
    return false;
  }
}

/** Dates of other years than those of four digits, before Christ, zones with seconds. */
const ODD =
  /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?)?( BC)?$/;

/**
 * Reads a date (the beginning of its day in UTC), or a time with or without its zone. Written out,
 * since the runtime takes several times as long for a text it has to guess at, and guesses wrong.
 *
 * `infinity` and `-infinity` are the numbers, as no date is beyond all others.
 */
export function parseTime(value: string, zone: SessionZone): Date | number {
  const { length } = value;
  const year = digits(value, 0, 4);
  const month = digits(value, 5, 2) - 1;
  const day = digits(value, 8, 2);
  // years below 100 would be taken for those of the last century
  if (!(year >= 100) || value[4] !== "-" || value[7] !== "-") return parseOdd(value, zone);
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
  const wall = Date.UTC(year, month, day, hour, minute, second, ms);
  if (at === length && !Number.isNaN(wall)) return new Date(zone.instantOf(wall));
  const sign = value[at] === "+" ? 60_000 : value[at] === "-" ? -60_000 : NaN;
  const minutes = length === at + 3 ? 0 : length === at + 6 ? digits(value, at + 4, 2) : NaN;
  const time = wall - (digits(value, at + 1, 2) * 60 + minutes) * sign;
  return Number.isNaN(time) ? parseOdd(value, zone) : new Date(time);
}

function parseOdd(value: string, zone: SessionZone): Date | number {
  if (value === "infinity") return Infinity;
  if (value === "-infinity") return -Infinity;
  const match = ODD.exec(value);
  // a style of dates that the settings of the server ask for
  if (match === null) return new Date(value);
  const [, year, month, day, hour, minute, second, fraction, sign, hours, minutes, seconds, bc] =
    match;
  const number = (text: string | undefined) => Number(text ?? 0);
  const date = new Date(0);
  // before the first year there was none with the number 0
  date.setUTCFullYear(bc ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
  const ms = Math.floor(number(fraction) * 1000);
  const wall = date.setUTCHours(number(hour), number(minute), number(second), ms);
  if (hour === undefined) return date;
  if (sign === undefined) return Number.isNaN(wall) ? date : new Date(zone.instantOf(wall));
  const offset = (number(hours) * 60 + number(minutes)) * 60 + number(seconds);
  return new Date(wall - (sign === "-" ? -offset : offset) * 1000);
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

/** An instant as the server reads it. @throws {RangeError} for a date that is none. */
export function timeText(date: Date): string {
  const iso = date.toISOString();
  const year = date.getUTCFullYear();
  if (year > 0 && year < 10_000) return iso;
  // the server knows neither signs nor a year 0
  const rest = iso.slice(iso.indexOf("-", 1));
  return year > 0 ? year + rest : `${String(1 - year).padStart(4, "0")}${rest} BC`;
}
