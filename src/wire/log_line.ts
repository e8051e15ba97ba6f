/**
 * The text form of log entries, `2026.01.31 12:00:00 [type:id] text`, in local time.
 *
 * @module
 */

let cachedSecond = Number.NaN;
let cachedText = "";

/**
 * Date and time as every log writes them, `2026.01.31 12:00:00`, local time. Cheap within one second:
 * the text is kept until the next one.
 *
 * @param ms Milliseconds since the epoch.
 */
export function logTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedText = formatTime(new Date(ms));
  }
  return cachedText;
}

function formatTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}.${two(date.getMonth() + 1)}.` +
    `${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:` +
    two(date.getSeconds());
}

/** Day of a log line, as written at its start. */
const LINE_TIME = /^(\d{4})\.(\d\d)\.(\d\d) (\d\d):(\d\d):(\d\d)(?= )/;

/** Reads the time at the start of a line of any log; `undefined` when there is none. */
export function timeOfLine(line: string): Date | undefined {
  const parts = LINE_TIME.exec(line)?.slice(1).map(Number);
  if (parts === undefined) return undefined;
  const [year, month, day, hour, minute, second] = parts as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(year, month - 1, day, hour, minute, second);
  // 31.02. rolls over into March: then this was no time of ours.
  return date.getMonth() === month - 1 && date.getDate() === day ? date : undefined;
}

/** What an entry is made of. */
export interface LogEntry {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Type, such as `info`. */
  readonly type: string;
  /** Identifier such as `GTID-C3-R8/1000`; `""` for none. */
  readonly id: string;
  /** The message; may have several lines. */
  readonly text: string;
}

/** Everything that moves the cursor, starts an escape sequence or ends a line somewhere; not tab and newline. */
// deno-lint-ignore no-control-regex -- they are what is looked for
const UNPRINTABLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]/g;
// deno-lint-ignore no-control-regex -- as above
const NOT_IN_TAG = /[\x00-\x1f\x7f-\x9f\u2028\u2029[\]]/g;

/**
 * Formats an entry, without a line break at its end. Line breaks within are kept, and the lines after
 * the first one are indented: text from outside can then neither pass for an entry of its own nor send
 * escape sequences to the terminal it is read on.
 */
export function formatLogEntry({ time, type, id, text }: LogEntry): string {
  const tag = id === "" ? type : `${type}:${id}`;
  return `${logTime(time)} [${tag.replace(NOT_IN_TAG, escapeCharacter)}] ${formatText(text)}`;
}

function formatText(text: string): string {
  let clean = text;
  if (clean.includes("\r")) clean = clean.replaceAll("\r\n", "\n");
  clean = clean.trimEnd().replace(UNPRINTABLE, escapeCharacter);
  return clean.includes("\n") ? clean.replace(/\n(?![ \t\n])/g, "\n  ") : clean;
}

/** Writes a character as `\xHH`, or `\uHHHH` above 255. */
export function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  return code < 256
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
