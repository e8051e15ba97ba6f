/**
 * Reads multipart forms while they arrive, within limits.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Dicer } from "@fastify/busboy";
import { HttpError } from "../core/errors.ts";
import { type HeaderValue, parseHeaderValue } from "../core/header_value.ts";
import { packageExport } from "../core/package_export.ts";
import { addValue, newValues, type Values } from "./arguments.ts";
import { joinBytes } from "../core/concat_bytes.ts";
import { UploadSpool } from "./upload_spool.ts";
import type { UploadedFile } from "./uploaded_file.ts";

/** Limits on a form, in bytes unless said otherwise. */
export interface FormLimits {
  /** The whole body. */
  readonly maxBytes: number;
  /** One file. */
  readonly maxFileBytes: number;
  /** All text fields together. */
  readonly maxTextBytes: number;
  /** How many parts. */
  readonly maxParts: number;
  /** A body up to this size is kept as it was sent, besides. */
  readonly maxRawBytes: number;
}

/** A form that was read. */
export interface MultipartForm {
  /** Text and {@link UploadedFile}s by field name, a list where a name was repeated. */
  readonly values: Values;
  /** All files, in the order they came. */
  readonly files: readonly UploadedFile[];
  /** Size of the body in bytes. */
  readonly size: number;
  /** The body as it was sent; `undefined` where it was larger than what is kept. */
  readonly raw: readonly Uint8Array[] | undefined;
}

/** Largest header block of one part, in bytes: room for a long file name. */
const MAX_HEADER_BYTES = 16 * 1024;

/** Most headers of one part. Forms have three. */
const MAX_HEADERS = 20;

/** How deep multipart may nest: files of one field in a `multipart/mixed` part. */
const MAX_DEPTH = 1;

/** Longest boundary, by the standard. */
const MAX_BOUNDARY = 70;

const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]$/;

/**
 * Reads a form. Files go to `directory` (default: that of the system) as they arrive, at the speed of
 * the disk. Whatever goes wrong, no temporary file is left.
 *
 * @param body The body; it is cancelled when reading ends early.
 * @param contentType The content type with its boundary.
 * @throws {HttpError} 400 for what is not a form, 413 for what is too large; both say what.
 */
export async function readMultipart(
  body: ReadableStream<Uint8Array>,
  contentType: string,
  limits: FormLimits,
  directory?: string,
): Promise<MultipartForm> {
  const boundary = boundaryOf(parseHeaderValue(contentType), "The content type");
  const Dicer = packageExport(await import("@fastify/busboy"), "Dicer");
  const form = new FormReader(Dicer, limits, new UploadSpool(directory));
  try {
    return await form.read(body, boundary);
  } catch (error) {
    try {
      await form.discard();
    } catch (leftover) {
      throw new Error(
        `Cannot remove the temporary files of a failed upload: ${(leftover as Error).message}`,
        { cause: error },
      );
    }
    throw error;
  }
}

/** The boundary of a multipart type. `where` begins the message of the error. */
function boundaryOf(type: HeaderValue, where: string): string {
  const boundary = type.parameters.get("boundary");
  if (boundary === undefined || boundary === "") {
    throw new HttpError(400, `${where} ${type.value} has no boundary`);
  }
  if (boundary.length > MAX_BOUNDARY || !BOUNDARY.test(boundary)) {
    throw new HttpError(400, `${where} ${type.value} has a boundary that cannot be one`);
  }
  return boundary;
}

/** What takes the content of one part. */
interface PartSink {
  /** Takes bytes; a promise asks to wait. @throws {HttpError} when it is too much. */
  write(chunk: Uint8Array): Promise<unknown> | undefined;
  /** The part is complete. */
  end(): Promise<unknown> | undefined;
}

/** A file; it has its place among the values from its header on, although it is still coming. */
interface FileSlot {
  readonly name: string;
  uploaded: UploadedFile | undefined;
  /** A browser sends an empty file without a name where none was chosen. */
  readonly isOptional: boolean;
}

/** A text field. */
interface TextSlot {
  readonly name: string;
  text: string;
}

/** The state of one form. */
class FormReader {
  readonly limits: FormLimits;
  readonly #Dicer: typeof Dicer;
  readonly #spool: UploadSpool;
  readonly #slots: (FileSlot | TextSlot)[] = [];
  #parts = 0;
  #textBytes = 0;

  constructor(DicerClass: typeof Dicer, limits: FormLimits, spool: UploadSpool) {
    this.#Dicer = DicerClass;
    this.limits = limits;
    this.#spool = spool;
  }

  async read(body: ReadableStream<Uint8Array>, boundary: string): Promise<MultipartForm> {
    const { maxBytes, maxRawBytes } = this.limits;
    const parts = this.#level(boundary, 0);
    let raw: Uint8Array[] | undefined = [];
    let size = 0;
    for await (const chunk of arriving(body)) {
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge(`A multipart body may have ${maxBytes} bytes here`);
      if (size <= maxRawBytes) {
        raw?.push(chunk);
      } else if (raw !== undefined) {
        raw = undefined;
        this.#spool.ownsChunks = true;
      }
      await parts.write(chunk);
    }
    if (size === 0) return { values: newValues(), files: [], size, raw };
    await parts.end();

    const values = newValues();
    const files: UploadedFile[] = [];
    for (const slot of this.#slots) {
      if ("text" in slot) {
        addValue(values, slot.name, slot.text);
        continue;
      }
      const { uploaded } = slot;
      if (uploaded === undefined || (slot.isOptional && uploaded.size === 0)) continue;
      files.push(uploaded);
      addValue(values, slot.name, uploaded);
    }
    return { values, files, size, raw };
  }

  /** Removes every file. */
  discard(): Promise<void> {
    return this.#spool.discard();
  }

  /** A reader for one level of parts; those of a nested one belong to `field`. */
  #level(boundary: string, depth: number, field?: string): PartsReader {
    return new PartsReader(this.#Dicer, boundary, (headers, number) => {
      // Counted where they are complete: parts without an end are limited by the size of a chunk.
      if (++this.#parts > this.limits.maxParts) {
        throw tooLarge(`The form has more than ${this.limits.maxParts} parts`);
      }
      return this.#sink(
        headers,
        depth,
        field,
        field === undefined ? `Part ${number}` : `Part ${number} of the field ${quoted(field)}`,
      );
    });
  }

  #sink(
    headers: PartHeaders,
    depth: number,
    field: string | undefined,
    where: string,
  ): PartSink {
    const disposition = parseHeaderValue(headers.get("content-disposition") ?? "");
    const name = field ?? disposition.parameters.get("name");
    if (field === undefined && disposition.value !== "form-data") {
      throw new HttpError(400, `${where} of the form has no Content-Disposition: form-data`);
    }
    if (name === undefined) throw new HttpError(400, `${where} of the form has no name`);

    const encoding = headers.get("content-transfer-encoding")?.trim().toLowerCase();
    if (encoding !== undefined && !/^(?:7bit|8bit|binary)?$/.test(encoding)) {
      throw new HttpError(
        400,
        `${where} (${quoted(name)}) has Content-Transfer-Encoding ${quoted(encoding)}: ` +
          `forms are sent as they are`,
      );
    }
    const type = parseHeaderValue(headers.get("content-type") ?? "");
    if (type.value === "multipart/mixed") {
      if (depth >= MAX_DEPTH) {
        throw new HttpError(400, `${where} (${quoted(name)}) nests multipart too deep`);
      }
      return this.#level(boundaryOf(type, `${where} (${quoted(name)}) of type`), depth + 1, name);
    }
    const filename = fileNameOf(disposition);
    if (filename === undefined && type.value !== "application/octet-stream") {
      return this.#text(name, type.parameters.get("charset"));
    }
    return this.#file(name, filename ?? "", type.value || "application/octet-stream");
  }

  #text(name: string, charset: string | undefined): PartSink {
    const slot: TextSlot = { name, text: "" };
    this.#slots.push(slot);
    const chunks: Uint8Array[] = [];
    let size = 0;
    return {
      write: (chunk) => {
        size += chunk.byteLength;
        this.#textBytes += chunk.byteLength;
        const { maxTextBytes } = this.limits;
        if (this.#textBytes > maxTextBytes) {
          throw tooLarge(
            `The text fields of a form may have ${maxTextBytes} bytes here together, ` +
              `which ${quoted(name)} exceeds`,
          );
        }
        chunks.push(chunk);
        return undefined;
      },
      end: () => {
        slot.text = decoderFor(charset).decode(joinBytes(chunks, size));
        return undefined;
      },
    };
  }

  #file(name: string, sentName: string, mimetype: string): PartSink {
    const file = this.#spool.begin(sentName, mimetype);
    const slot: FileSlot = { name, uploaded: undefined, isOptional: sentName === "" };
    this.#slots.push(slot);
    const { maxFileBytes } = this.limits;
    return {
      write: (chunk) => {
        if (file.size + chunk.byteLength > maxFileBytes) {
          throw tooLarge(
            `The file ${quoted(sentName)} of the field ${quoted(name)} is larger than ` +
              `${maxFileBytes} bytes`,
          );
        }
        return file.write(chunk);
      },
      end: async () => void (slot.uploaded = await file.end()),
    };
  }
}

/** The headers of one part, names in lower case; of several with one name the first counts. */
type PartHeaders = ReadonlyMap<string, string>;

type Part = Dicer.PartStream;

/** Splits one level of parts, and hands the content of each to its sink as fast as that takes it. */
class PartsReader implements PartSink {
  readonly #open: (headers: PartHeaders, number: number) => PartSink;
  readonly #dicer: Dicer;
  readonly #closed = Promise.withResolvers<void>();
  /** Parts that are not complete. */
  readonly #running = new Set<Part>();
  #count = 0;
  /** The last part, while its header is not complete. */
  #headless: Part | undefined;
  #headerBytes = 0;
  /**
   * The write that is waiting. The splitter leaves the one that holds the end of everything waiting for
   * good, and so does a failure; a race with the end would leave something behind for every chunk.
   */
  #writing: PromiseWithResolvers<void> | undefined;
  #isFinished = false;
  #error: unknown;
  #hasFailed = false;

  constructor(
    DicerClass: typeof Dicer,
    boundary: string,
    open: (headers: PartHeaders, number: number) => PartSink,
  ) {
    this.#open = open;
    // One more than allowed, so that one too many can be seen.
    const config = {
      boundary,
      maxHeaderPairs: MAX_HEADERS + 1,
      maxHeaderSize: MAX_HEADER_BYTES + 1,
    };
    this.#dicer = new DicerClass(config);
    this.#dicer.on("part", (part) => this.#part(part));
    this.#dicer.on("finish", () => {
      this.#isFinished = true;
      this.#settle();
    });
    this.#dicer.on("error", () => this.#fail(this.#incomplete()));
    // Whoever waits gets the rejection; there may be nobody yet.
    this.#closed.promise.catch(() => {});
  }

  /** Takes bytes. @throws {HttpError} for what is wrong with them. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#hasFailed) throw this.#error;
    // What follows the last boundary means nothing.
    if (this.#isFinished || !this.#dicer.writable) return;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const writing = this.#writing = Promise.withResolvers<void>();
    this.#dicer.write(bytes, () => writing.resolve());
    await writing.promise;
    this.#writing = undefined;
    if (this.#hasFailed) throw this.#error;
    if (this.#headless === undefined) return;
    this.#headerBytes += chunk.byteLength;
    // The splitter stops collecting at its limit; more than a chunk beyond it, no header will come.
    if (this.#headerBytes > MAX_HEADER_BYTES + chunk.byteLength) throw longHeader(this.#count);
  }

  /** Everything has arrived. @throws {HttpError} when that is not a whole form. */
  async end(): Promise<void> {
    if (this.#hasFailed) throw this.#error;
    if (!this.#isFinished && this.#dicer.writable) this.#dicer.end();
    await this.#closed.promise;
  }

  #part(part: Part): void {
    if (this.#hasFailed) return void part.resume();
    if (this.#headless !== undefined) return this.#fail(this.#noHeader());
    const number = ++this.#count;
    this.#headless = part;
    this.#headerBytes = 0;
    this.#running.add(part);
    let sink: PartSink | undefined;
    const guarded = (action: () => Promise<unknown> | undefined): void => {
      try {
        const waiting = action();
        if (waiting === undefined) return;
        part.pause();
        waiting.then(() => part.resume(), (error) => this.#fail(error));
      } catch (error) {
        this.#fail(error);
      }
    };
    part.on("header", (raw) => {
      this.#headless = undefined;
      guarded(() => {
        sink = this.#open(headersOf(raw as Record<string, string[]>, number), number);
        return undefined;
      });
    });
    part.on("data", (chunk) => {
      if (this.#hasFailed || sink === undefined) return;
      const taker = sink;
      guarded(() => taker.write(chunk as Buffer));
    });
    part.on("end", () => {
      if (this.#hasFailed) return;
      if (sink === undefined) return this.#fail(this.#noHeader());
      const ended = () => {
        this.#running.delete(part);
        this.#settle();
      };
      try {
        const waiting = sink.end();
        if (waiting === undefined) ended();
        else waiting.then(ended, (error) => this.#fail(error));
      } catch (error) {
        this.#fail(error);
      }
    });
    part.on("error", () => this.#fail(this.#incomplete()));
  }

  #settle(): void {
    if (!this.#isFinished || this.#running.size > 0 || this.#hasFailed) return;
    this.#closed.resolve();
    this.#writing?.resolve();
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#error = error;
    this.#closed.reject(error);
    this.#writing?.resolve();
    this.#dicer.removeAllListeners("part");
    for (const part of this.#running) part.resume();
  }

  #incomplete(): HttpError {
    return new HttpError(
      400,
      this.#count === 0
        ? "The multipart body has no part: its boundary is not the one of its content type"
        : `The multipart body ends in part ${this.#count}: the last boundary is missing`,
    );
  }

  #noHeader(): HttpError {
    return new HttpError(400, `Part ${this.#count} of the form has no complete header`);
  }
}

function longHeader(number: number): HttpError {
  return new HttpError(
    400,
    `The header of part ${number} of the form is longer than ${MAX_HEADER_BYTES} bytes`,
  );
}

/** Checks and decodes the headers of a part: names and values come as Latin-1 and mean UTF-8. */
function headersOf(raw: Record<string, string[]>, number: number): PartHeaders {
  const headers = new Map<string, string>();
  let count = 0;
  let size = 0;
  for (const [name, values] of Object.entries(raw)) {
    count += values.length;
    for (const value of values) size += name.length + value.length + 4;
    headers.set(name, decodeUtf8(values[0]!));
  }
  if (count > MAX_HEADERS) {
    throw new HttpError(400, `Part ${number} of the form has more than ${MAX_HEADERS} headers`);
  }
  if (size > MAX_HEADER_BYTES) throw longHeader(number);
  return headers;
}

function decodeUtf8(text: string): string {
  // deno-lint-ignore no-control-regex
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, "latin1").toString("utf8");
}

/** The file name; the extended form, which some clients send besides, is the better one. */
function fileNameOf({ parameters }: HeaderValue): string | undefined {
  const extended = /^utf-8'[^']*'(.*)$/i.exec(parameters.get("filename*") ?? "");
  if (extended !== null) {
    try {
      return decodeURIComponent(extended[1]!);
    } catch {
      // Not encoded as it says: the plain form counts, where there is one.
    }
  }
  return parameters.get("filename");
}

const utf8 = new TextDecoder();

/** Decoder for a charset; UTF-8 where there is none, or none of that name. */
function decoderFor(charset: string | undefined): TextDecoder {
  if (charset === undefined || /^utf-?8$/i.test(charset)) return utf8;
  try {
    return new TextDecoder(charset);
  } catch {
    return utf8;
  }
}

/** The chunks of a body. Its trouble is the client's: it left, or sent a broken encoding. */
async function* arriving(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = body.getReader();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
    isOver = true;
  } catch (error) {
    isOver = true;
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, "The body of the request ended early", { cause: error });
  } finally {
    // A client that has gone makes this fail, and there is nobody left to tell.
    if (!isOver) reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

function tooLarge(what: string): HttpError {
  return new HttpError(413, what);
}

/** A name from outside, short enough for a message. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
