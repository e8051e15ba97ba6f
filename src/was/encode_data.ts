/**
 * Turns what a caller wants to send into a query string or a request body.
 *
 * @module
 */

import { keptBytes } from "../core/kept_values.ts";
import type { StreamBody } from "../clients/http/request.ts";

/** What can be sent as the data of a request. */
export type RequestData =
  | string
  | Uint8Array
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | URLSearchParams
  | FormData
  | ReadableStream<Uint8Array>
  | readonly unknown[]
  | object
  | number
  | boolean
  | null;

/** A body with the content type it implies, if it implies one. */
export interface EncodedBody {
  /** The body. */
  readonly body: Uint8Array | StreamBody;
  /** Content type that comes with this kind of data; `undefined` when the caller's holds. */
  readonly contentType?: string;
}

/** A value of an upload. An open file is sent from its position to its end and stays open. */
export type UploadValue = string | number | boolean | Blob | Uint8Array | Deno.FsFile;
/** Fields of an upload; a list repeats the field. */
export type UploadData = FormData | Readonly<Record<string, UploadValue | readonly UploadValue[]>>;

const ENCODER = new TextEncoder();
const NOTHING = new Uint8Array(0);
const READ_BYTES = 64 * 1024;

/**
 * Appends data to a URL: a record as `name=value` pairs, lists repeated, dates as in JSON, `undefined`
 * left out; a string as it is.
 *
 * @throws {TypeError} for data that has no form as a query.
 */
export function withQuery(url: string, data: RequestData | undefined): string {
  if (data === undefined || data === null) return url;
  const query = typeof data === "string" ? data : formOf(data, "a query string");
  if (query === "") return url;
  const hash = url.indexOf("#");
  const base = hash === -1 ? url : url.slice(0, hash);
  const glue = !base.includes("?") ? "?" : /[?&]$/.test(base) ? "" : "&";
  return base + glue + query;
}

/**
 * Makes a body. Strings, bytes and streams are sent as they are; objects by the content type.
 *
 * @throws {TypeError} for an object with a content type that says nothing about objects.
 */
export function encodeBody(data: RequestData | undefined, contentType: string): EncodedBody {
  if (data === undefined || data === null) return { body: NOTHING };
  if (typeof data === "string") return { body: ENCODER.encode(data) };
  // copies, as fetch makes them: it may have to wait, and the caller go on to put others there
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return { body: keptBytes(data) };
  if (data instanceof URLSearchParams) {
    return {
      body: ENCODER.encode(data.toString()),
      contentType: "application/x-www-form-urlencoded",
    };
  }
  if (data instanceof Blob) {
    return {
      body: streamOf(data.size, () => data.stream()),
      contentType: data.type || "application/octet-stream",
    };
  }
  if (data instanceof FormData) return encodeUpload(data);
  if (data instanceof ReadableStream) {
    return { body: { length: -1, replayable: false, chunks: () => data } };
  }
  const type = contentType.split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/json" || type.endsWith("+json")) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Cannot encode this data as JSON");
    return { body: ENCODER.encode(text) };
  }
  if (type === "application/x-www-form-urlencoded") {
    return { body: ENCODER.encode(formOf(data, "a form")) };
  }
  if (type === "text/namevalue") {
    const lines = entriesOf(data, type).map(([name, value]) => {
      // it would become a pair of its own
      if (/[\r\n]/.test(name + value)) {
        throw new TypeError(
          `Cannot encode ${JSON.stringify(name)} as ${type}: it has a line break`,
        );
      }
      return `${name}=${value}`;
    });
    return { body: ENCODER.encode(lines.join("\r\n")) };
  }
  throw new TypeError(
    `Cannot encode an object as ${type || "an unknown type"}: give a string or bytes`,
  );
}

/** Makes a multipart form. Its size is known beforehand, its files are read while it is sent. */
export function encodeUpload(data: UploadData): EncodedBody {
  if (!isRecord(data) || Array.isArray(data)) {
    throw new TypeError(`Cannot upload ${kindOf(data)}: expected a record or a FormData`);
  }
  const boundary = `----skitai${crypto.randomUUID().replaceAll("-", "")}`;
  const parts: (Uint8Array | Blob | OpenFile)[] = [];
  const entries: Iterable<[string, unknown]> = data instanceof FormData
    ? data.entries()
    : Object.entries(data).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((one): [string, unknown] => [name, one])
    );
  for (const [name, value] of entries) {
    if (value === undefined || value === null) continue;
    const { file, type, content } = partOf(name, value);
    const disposition = `form-data; name="${escaped(name)}"` +
      (file === undefined ? "" : `; filename="${escaped(file)}"`);
    const head = `--${boundary}\r\nContent-Disposition: ${disposition}\r\n` +
      (type === undefined ? "" : `Content-Type: ${type}\r\n`);
    parts.push(ENCODER.encode(`${head}\r\n`), content, ENCODER.encode("\r\n"));
  }
  parts.push(ENCODER.encode(`--${boundary}--\r\n`));
  const length = parts.reduce((sum, part) => sum + sizeOf(part), 0);
  const replayable = !parts.some((part) => part instanceof OpenFile);
  return {
    body: { length, replayable, chunks: () => chunksOf(parts) },
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}

/** The rest of an open file, with its size as it was when the upload began. */
class OpenFile {
  readonly file: Deno.FsFile;
  readonly size: number;

  constructor(file: Deno.FsFile) {
    this.file = file;
    this.size = Math.max(0, file.statSync().size - file.seekSync(0, Deno.SeekMode.Current));
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    for (let left = this.size; left > 0;) {
      const buffer = new Uint8Array(Math.min(READ_BYTES, left));
      const count = await this.file.read(buffer);
      if (count === null) return;
      left -= count;
      yield buffer.subarray(0, count);
    }
  }
}

function partOf(
  name: string,
  value: unknown,
): { file?: string; type?: string; content: Uint8Array | Blob | OpenFile } {
  const binary = "application/octet-stream";
  if (value instanceof Blob) {
    const file = value instanceof File ? value.name : name;
    return { file, type: value.type || binary, content: value };
  }
  if (value instanceof Deno.FsFile) {
    return { file: name, type: binary, content: new OpenFile(value) };
  }
  if (value instanceof Uint8Array) {
    return { file: name, type: binary, content: new Uint8Array(value) };
  }
  if (typeof value === "object") {
    throw new TypeError(
      `Cannot upload field ${JSON.stringify(name)}: expected text, bytes, a Blob or an open file`,
    );
  }
  return { content: ENCODER.encode(String(value)) };
}

function sizeOf(part: Uint8Array | Blob | OpenFile): number {
  return part instanceof Uint8Array ? part.length : part.size;
}

async function* chunksOf(
  parts: readonly (Uint8Array | Blob | OpenFile)[],
): AsyncIterable<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part;
    else if (part instanceof Blob) yield* part.stream();
    else yield* part.chunks();
  }
}

function streamOf(length: number, chunks: () => AsyncIterable<Uint8Array>): StreamBody {
  return { length, replayable: true, chunks };
}

/** As browsers do it: the three characters that would end the parameter or the line. */
function escaped(text: string): string {
  return text.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function formOf(data: unknown, form: string): string {
  if (data instanceof URLSearchParams) return data.toString();
  return new URLSearchParams(entriesOf(data, form)).toString();
}

/** Whether it has fields, rather than being a single value. */
function isRecord(data: unknown): data is object {
  return typeof data === "object" && data !== null && !(data instanceof Blob) &&
    !(data instanceof ArrayBuffer) && !ArrayBuffer.isView(data) &&
    !(data instanceof ReadableStream);
}

function entriesOf(data: unknown, form: string): [string, string][] {
  if (!isRecord(data)) {
    throw new TypeError(`Cannot make ${form} of ${kindOf(data)}: expected a record`);
  }
  const pairs: Iterable<[string, unknown]> = Array.isArray(data) || data instanceof FormData ||
      data instanceof Map
    ? data as Iterable<[string, unknown]>
    : Object.entries(data as object);
  const entries: [string, string][] = [];
  for (const pair of pairs as Iterable<unknown>) {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new TypeError(`Cannot make ${form} of a list of anything but pairs of name and value`);
    }
    const [name, value] = pair;
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined) continue;
      entries.push([String(name), one === null ? "" : textOf(one, String(name), form)]);
    }
  }
  return entries;
}

/** A value as text; dates as in JSON. @throws {TypeError} for what would be sent as "[object Object]". */
function textOf(value: unknown, name: string, form: string): string {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  const hasText = typeof value === "object"
    ? !(value instanceof Date || Array.isArray(value) || ArrayBuffer.isView(value)) &&
      !/^\[object .*\]$/.test(String(value))
    : typeof value !== "function" && typeof value !== "symbol";
  if (hasText) return String(value);
  throw new TypeError(
    `Cannot make ${form} with ${JSON.stringify(name)}: ${kindOf(value)} has no form as text`,
  );
}

function kindOf(data: unknown): string {
  return typeof data === "object" && data !== null
    ? data.constructor?.name ?? "object"
    : typeof data;
}
