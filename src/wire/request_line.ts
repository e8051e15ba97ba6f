/**
 * The line of the request log: 21 fields separated by one blank, where quoted text counts as one.
 *
 * | | |
 * |---|---|
 * | 1–10 | date, time, client address, host, method, URI, HTTP version, request body bytes, status, response body bytes |
 * | 11–17 | global and local transaction id, user, token, referer, user agent, forwarded address |
 * | 18–21 | worker, open connections, milliseconds of handling, milliseconds of sending |
 *
 * @module
 */

import { escapeCharacter, logTime, timeOfLine } from "./log_line.ts";

/** One request, as the log tells of it. Empty text means the field is missing. */
export interface RequestFacts {
  /** When the line is written, milliseconds since the epoch; the line has whole seconds. */
  readonly time: number;
  /** Address of the client, or of the last proxy before us. */
  readonly clientAddress: string;
  /** `Host` header as sent. */
  readonly host: string;
  /** Method. */
  readonly method: string;
  /** Path and query as sent. */
  readonly uri: string;
  /** HTTP version, `1.1`. */
  readonly version: string;
  /** Bytes of the request body. */
  readonly requestBytes: number;
  /** Status of the response. */
  readonly status: number;
  /** Bytes of the response body. */
  readonly responseBytes: number;
  /** Global transaction id. */
  readonly gtxnid: string;
  /** Local transaction id. */
  readonly ltxnid: number;
  /** Name of the authenticated user. */
  readonly user: string;
  /** Bearer token, as it may be shown. */
  readonly token: string;
  /** `Referer` header; UTF-8 that was read as one character for each byte is recognised. */
  readonly referer: string;
  /** `User-Agent` header; the same. */
  readonly userAgent: string;
  /** Address of `X-Forwarded-For`, where it is not the client address. */
  readonly forwardedFor: string;
  /** Worker: `M`, `W0` … */
  readonly workerId: string;
  /** Connections open at that moment, to clients and backends. */
  readonly connections: number;
  /** Whole milliseconds from arrival to response. */
  readonly handlingMs: number;
  /** Whole milliseconds of sending the response. */
  readonly sendingMs: number;
}

/** Number of fields. */
export const REQUEST_FIELDS = 21;

/*
 * A blank ends a field, a quote at its start opens quoted text, and control characters could end the
 * line or act on a terminal, as those could that turn the direction of writing. The backslash is escaped
 * because it escapes. What is no ASCII is looked at more closely, which most lines never need.
 */
const PLAIN_BARE = /^[\x21\x23-\x5b\x5d-\x7e]*$/;
// deno-lint-ignore no-control-regex -- they are what is looked for
const UNSAFE_BARE = /[\s\x00-\x20"\\\x7f-\xa0\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const PLAIN_QUOTED = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
// deno-lint-ignore no-control-regex -- as above
const UNSAFE_QUOTED = /[\x00-\x1f"\\\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Formats the line of a request, without a line break. */
export function formatRequestLine(facts: RequestFacts): string {
  return beginningOf(facts) + bare(facts.uri) + sizesOf(facts) + bare(facts.gtxnid) +
    clientOf(facts) + timesOf(facts);
}

/*
 * Requests of one client, or of one proxy, come in runs and have most of their fields in common: these
 * are put together when they change. A line of few pieces is made and copied in half the time.
 */

let time = "";
let clientAddress = "";
let host = "";
let method = "";
let beginning = "";

function beginningOf(facts: RequestFacts): string {
  const now = logTime(facts.time);
  if (
    now !== time || facts.clientAddress !== clientAddress || facts.host !== host ||
    facts.method !== method
  ) {
    time = now;
    ({ clientAddress, host, method } = facts);
    beginning = flat(`${time} ${bare(clientAddress)} ${bare(host)} ${bare(method)} `);
  }
  return beginning;
}

let version = "";
let requestBytes = -1;
let status = -1;
let responseBytes = -1;
let sizes = "";

function sizesOf(facts: RequestFacts): string {
  if (
    facts.responseBytes !== responseBytes || facts.status !== status ||
    facts.requestBytes !== requestBytes || facts.version !== version
  ) {
    ({ version, requestBytes, status, responseBytes } = facts);
    sizes = flat(` ${version} ${requestBytes} ${status} ${responseBytes} `);
  }
  return sizes;
}

let ltxnid = -1;
let user = "";
let token = "";
let referer = "";
let userAgent = "";
let forwardedFor = "";
let workerId = "";
let client = "";

function clientOf(facts: RequestFacts): string {
  if (
    facts.ltxnid !== ltxnid || facts.userAgent !== userAgent ||
    facts.forwardedFor !== forwardedFor || facts.referer !== referer || facts.user !== user ||
    facts.token !== token || facts.workerId !== workerId
  ) {
    ({ ltxnid, user, token, referer, userAgent, forwardedFor, workerId } = facts);
    client = flat(
      ` ${ltxnid} ${quoted(user)} ${bare(token)} ${quotedHeader(referer)} ` +
        `${quotedHeader(userAgent)} ${bare(forwardedFor)} ${workerId} `,
    );
  }
  return client;
}

let connections = -1;
let handlingMs = -1;
let sendingMs = -1;
let times = "";

function timesOf(facts: RequestFacts): string {
  if (
    facts.handlingMs !== handlingMs || facts.sendingMs !== sendingMs ||
    facts.connections !== connections
  ) {
    ({ connections, handlingMs, sendingMs } = facts);
    times = `${connections} ${handlingMs} ${sendingMs}`;
  }
  return times;
}

/** The same text in one piece; put together of pieces it would be copied piece by piece each time. */
function flat(text: string): string {
  IN_ONE_PIECE.test(text);
  return text;
}

/** Searching a text is what makes it one piece. */
const IN_ONE_PIECE = /^$/;

function bare(text: string): string {
  if (text === "") return "-";
  return PLAIN_BARE.test(text) ? text : text.replace(UNSAFE_BARE, escapeInField);
}

function quoted(text: string): string {
  if (text === "") return "-";
  return PLAIN_QUOTED.test(text) ? `"${text}"` : `"${text.replace(UNSAFE_QUOTED, escapeInField)}"`;
}

/** Header values come with one character for each byte; most that are no ASCII were UTF-8. */
function quotedHeader(text: string): string {
  if (text === "") return "-";
  return PLAIN_QUOTED.test(text) ? `"${text}"` : quoted(decodeUtf8(text));
}

function decodeUtf8(text: string): string {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) return text;
    bytes[i] = code;
  }
  try {
    return utf8.decode(bytes);
  } catch {
    // It was another character set, nobody knows which.
    return text;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function escapeInField(character: string): string {
  return character === '"' || character === "\\" ? `\\${character}` : escapeCharacter(character);
}

const TOKEN = /"((?:[^"\\]|\\.)*)"|(\S+)/y;
const ESCAPE = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))/g;

interface Field {
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * Reads a line of the request log, also of earlier formats that had the same 21 fields: with an
 * `[info]` tag, `address:port`, durations like `4ms`, or the status before the received bytes.
 *
 * The last is recognised by its figures only (`200 0` against `0 200`); where both could be a status
 * the current order is assumed.
 *
 * @throws {SyntaxError} for anything else, with the position or the number of fields.
 */
export function parseRequestLine(line: string): RequestFacts {
  const time = timeOfLine(line);
  if (time === undefined) {
    throw new SyntaxError("Cannot read a request line: it does not start with date and time");
  }
  const fields = splitFields(line, "2026.01.31 12:00:00".length + 1);
  if (fields[0]?.text.startsWith("[")) fields.shift();
  if (fields.length !== REQUEST_FIELDS - 2) {
    throw new SyntaxError(
      `Cannot read a request line: ${fields.length + 2} fields instead of ${REQUEST_FIELDS}`,
    );
  }
  const text = (index: number): string => {
    const field = fields[index - 3] as Field;
    return field.text === "-" && !field.quoted ? "" : field.text;
  };
  const number = (index: number): number => {
    const value = /^(\d+)(?:ms)?$/.exec(text(index));
    if (value === null) {
      throw new SyntaxError(
        `Cannot read a request line: field ${index} is ${
          JSON.stringify(text(index))
        }, not a number`,
      );
    }
    return Number(value[1]);
  };
  const statusFirst = isStatus(number(8)) && !isStatus(number(9));
  return {
    time: time.getTime(),
    clientAddress: text(3).replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1"),
    host: text(4),
    method: text(5),
    uri: text(6),
    version: text(7),
    requestBytes: number(statusFirst ? 9 : 8),
    status: number(statusFirst ? 8 : 9),
    responseBytes: number(10),
    gtxnid: text(11),
    ltxnid: number(12),
    user: text(13),
    token: text(14),
    referer: text(15),
    userAgent: text(16),
    forwardedFor: text(17),
    workerId: text(18),
    connections: number(19),
    handlingMs: number(20),
    sendingMs: number(21),
  };
}

function isStatus(value: number): boolean {
  return value >= 100 && value <= 599;
}

function splitFields(line: string, start: number): Field[] {
  const fields: Field[] = [];
  let position = start;
  while (position < line.length) {
    TOKEN.lastIndex = position;
    const match = TOKEN.exec(line);
    const end = match === null ? -1 : TOKEN.lastIndex;
    if (match === null || (end < line.length && line[end] !== " ")) {
      throw new SyntaxError(`Cannot read a request line: no field at column ${position + 1}`);
    }
    fields.push({ text: unescape(match[1] ?? match[2] ?? ""), quoted: match[1] !== undefined });
    position = end + 1;
  }
  return fields;
}

function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(ESCAPE, (_, byte?: string, unit?: string, itself?: string) => {
    const code = byte ?? unit;
    return code === undefined ? itself ?? "" : String.fromCharCode(parseInt(code, 16));
  });
}
