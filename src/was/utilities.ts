/**
 * Small helpers of `was`: encodings, identifiers, errors as text, temporary names.
 *
 * @module
 */

import { join } from "../core/file_path.ts";
import { asError } from "../core/errors.ts";
import { nodeOs } from "../core/node_builtins.ts";
import { wac } from "./wac.ts";

/** JSON text. Dates become strings, big integers too. @throws {TypeError} for circular structures. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, one) => typeof one === "bigint" ? String(one) : one);
}

/** A message of protocol buffers, of whichever library made it. */
interface ProtoMessage {
  serializeBinary?(): Uint8Array;
  toBinary?(): Uint8Array;
}

/** A type of protocol buffers, of whichever library made it. */
export interface ProtoType<T = unknown> {
  /** protobufjs, ts-proto. */
  encode?(message: unknown): { finish(): Uint8Array };
  /** protobufjs, ts-proto. */
  decode?(bytes: Uint8Array): T;
  /** google-protobuf. */
  deserializeBinary?(bytes: Uint8Array): T;
  /** protobuf-ts. */
  fromBinary?(bytes: Uint8Array): T;
}

/** Bytes of a message, without framing. @throws {TypeError} for an object no library made. */
export function toProto(message: object, type?: ProtoType): Uint8Array {
  const { serializeBinary, toBinary } = message as ProtoMessage;
  if (serializeBinary !== undefined) return serializeBinary.call(message);
  if (toBinary !== undefined) return toBinary.call(message);
  const maker = type ?? (message.constructor as ProtoType);
  if (typeof maker.encode === "function") return maker.encode(message).finish();
  throw new TypeError("Cannot encode a message: it is of no known kind, give its type too");
}

/** A message from bytes. @throws {TypeError} for a type of no known kind. */
export function fromProto<T>(type: ProtoType<T>, bytes: Uint8Array): T {
  if (typeof type.decode === "function") return type.decode(bytes);
  if (typeof type.deserializeBinary === "function") return type.deserializeBinary(bytes);
  if (typeof type.fromBinary === "function") return type.fromBinary(bytes);
  throw new TypeError("Cannot decode a message: the type is of no known kind");
}

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** Milliseconds since 1970, followed by seven random characters. */
export function uniqueId(): string {
  let id = String(Date.now());
  while (id.length < 20) {
    // larger values would make some letters more likely
    for (const byte of crypto.getRandomValues(new Uint8Array(8))) {
      if (byte < 252 && id.length < 20) id += LETTERS[byte % 36];
    }
  }
  return id;
}

let made = "";

/** A path nobody uses, in the directory for temporary files of the engine; only that is created. */
export function temporaryName(): string {
  const directory = wac.temporaryDirectory ?? join(nodeOs().tmpdir(), "skitai");
  if (made !== directory) {
    // `node:fs` alone would make the start of every service a quarter longer
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
    made = directory;
  }
  return join(directory, crypto.randomUUID());
}

/** An error with its stack and causes: as text (0), as HTML (1), or as a list of lines (2). */
export function renderError(thrown: unknown, format: 0 | 1 | 2 = 0): string | string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  for (let next = thrown; !seen.has(next); next = (next as Error).cause) {
    seen.add(next);
    const error = asError(next);
    const stack = error.stack?.split("\n") ?? [];
    const frames = stack.filter((line) => /^\s+at /.test(line));
    lines.push(`${seen.size > 1 ? "Caused by: " : ""}${error.name}: ${error.message}`);
    lines.push(...frames.map((frame) => `  ${frame.trim()}`));
    // what is no error is told of by an error made for it, whose cause it is
    if (error !== next || error.cause === undefined) break;
  }
  if (format === 2) return lines;
  if (format !== 1) return lines.join("\n");
  const [first = "", ...rest] = lines.map(escapeHtml);
  return `<div class="error"><h3>${first}</h3><pre>${rest.join("\n")}</pre></div>`;
}

/** Text for HTML. */
export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
