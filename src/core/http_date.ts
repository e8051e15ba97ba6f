/**
 * Dates as HTTP writes them.
 *
 * @module
 */

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const IMF = /^[a-z]{3}, (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/i;
const RFC850 = /^[a-z]{6,9}, (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) gmt$/i;
const ASCTIME = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/i;

/** Writes milliseconds since the epoch as `Sun, 06 Nov 1994 08:49:37 GMT`. */
export function httpDate(epochMs: number): string {
  return new Date(epochMs).toUTCString();
}

/**
 * Reads a date in any of the three forms HTTP knows.
 *
 * @returns Milliseconds since the epoch; `undefined` for anything else, which HTTP wants ignored.
 */
export function parseHttpDate(text: string): number | undefined {
  let match = IMF.exec(text);
  if (match) return utc(match[3]!, match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  match = RFC850.exec(text);
  if (match) {
    // RFC 9110, 5.6.7: a two-digit year more than 50 years ahead is one of the last century.
    const now = new Date().getUTCFullYear();
    let year = now - now % 100 + Number(match[3]);
    if (year > now + 50) year -= 100;
    return utc(String(year), match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  }
  match = ASCTIME.exec(text);
  if (match) return utc(match[6]!, match[1]!, match[2]!, match[3]!, match[4]!, match[5]!);
  return undefined;
}

function utc(
  year: string,
  monthName: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
): number | undefined {
  const month = MONTHS.indexOf(monthName.toLowerCase());
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)];
  if (month === -1 || d < 1 || h > 23 || m > 59 || s > 60) return undefined;
  const time = Date.UTC(Number(year), month, d, h, m, s);
  // A day that does not exist rolls over into the next month.
  return new Date(Date.UTC(Number(year), month, d)).getUTCMonth() === month ? time : undefined;
}
