/**
 * Files of a directory.
 *
 * Small files are kept in memory, and the file system is asked about each at most once a second.
 * All look-ups are synchronous: on a local disk they take a few microseconds, a fraction of what
 * handing them to another thread costs.
 *
 * @module
 */

import { declareBodySize, SharedBody, sharedResponse } from "../core/body_size.ts";
import { markComplete } from "../core/complete_response.ts";
import { headerOf, type RequestContext } from "../core/context.ts";
import { HttpError } from "../core/errors.ts";
import { etagMatches, fileEtag } from "../core/etag.ts";
import type { Handler } from "../core/handler.ts";
import { httpDate, parseHttpDate } from "../core/http_date.ts";
import type { Log } from "../core/log.ts";
import { contentTypeOf } from "../core/mime.ts";
import { fileNameOf, isHidden } from "../core/path_safety.ts";
import { type ByteRange, parseRange } from "../core/range.ts";
import { isCompressible, MAX_COMPRESSED_BYTES } from "../middleware/compression.ts";

/** Options of {@link StaticDirectory}. */
export interface StaticOptions {
  /** Prefix of the mount with its final slash. Default `/`. */
  readonly mountPoint?: string;
  /**
   * `Cache-Control` ages in seconds by path prefix; the longest wins, 0 sends nothing. Default:
   * none.
   */
  readonly maxAges?: ReadonlyMap<string, number>;
  /** Where unreadable files are reported. Default: nowhere. */
  readonly log?: Log;
  /** Value of the `Server` header, `""` for none, as the server adds it to all responses. Default none. */
  readonly server?: string;
}

/** Files up to this many bytes are kept in memory. Text is kept up to the limit of compression. */
const MAX_CACHED_FILE = 64 * 1024;
/** Most bytes kept in memory for one directory; what was not asked for longest goes first. */
const MAX_CACHED_TOTAL = 32 * 1024 * 1024;
/** Most files remembered, with or without their content. */
const MAX_ENTRIES = 10_000;
/** Most paths remembered as not being files. */
const MAX_MISSES = 1000;
/** How long the file system is not asked again, in milliseconds. */
const FRESH_MS = 1000;
/**
 * A file or directory changed this recently may change again within the same tick of its time
 * stamp, so an equal time stamp proves nothing yet.
 */
const UNSETTLED_MS = 2000;
/** Directories with more entries than this are not listed ahead. */
const MAX_LISTED = 10_000;
/** How much of a file is read at once when a part of it is sent. */
const CHUNK = 128 * 1024;

const INDEXES = ["index.htm", "index.html"];

/** What is known about one file. */
interface FileEntry {
  readonly file: string;
  readonly etag: string;
  readonly size: number;
  readonly modifiedMs: number;
  /** Content type; kept apart because finding it may have taken a promise. */
  readonly type: string;
  /** Whether another process may have changed the file without changing its time stamp. */
  readonly settled: boolean;
  /** Content, for files that are kept. */
  readonly body: SharedBody | undefined;
  /** Headers of a 200, complete for `FRESH_MS`: `Expires` is among them. */
  readonly headers: Record<string, string>;
  /** `performance.now()` of the last look at the file. */
  checkedAt: number;
}

/** Serves the files below a directory. */
export class StaticDirectory {
  /** Prefix of the mount with its final slash. */
  readonly mountPoint: string;

  #directory: string;
  #root: string;
  #maxAges: readonly (readonly [string, number])[];
  #log: Log | undefined;
  #server: string | undefined;
  #entries = new Map<string, FileEntry>();
  #cachedBytes = 0;
  #misses = new Map<string, number>();
  #listing: ReadonlySet<string> | undefined;
  #listedMs = 0;
  #rootCheckedAt = Number.NEGATIVE_INFINITY;

  /**
   * Opens a directory. @throws {Deno.errors.NotFound} or {Deno.errors.NotADirectory} when it is
   * none.
   */
  constructor(directory: string, options: StaticOptions = {}) {
    this.#directory = directory.replace(/(?<=.)[/\\]+$/, "");
    this.#root = Deno.realPathSync(directory);
    if (!Deno.statSync(this.#root).isDirectory) {
      throw new Deno.errors.NotADirectory(`${directory} is not a directory`);
    }
    this.mountPoint = options.mountPoint ?? "/";
    this.#maxAges = [...options.maxAges ?? []]
      .map(([prefix, age]) => [plain(prefix).replace(/\/+$/, ""), Math.trunc(age)] as const)
      .sort(([a], [b]) => b.length - a.length);
    this.#log = options.log;
    this.#server = options.server;
  }

  /** Answers every request: 404 for what is no file, 405 for methods that do not read. */
  readonly handle: Handler = (req, ctx) => {
    if (req.method !== "GET" && req.method !== "HEAD") {
      throw new HttpError(405, `${req.method} is not possible on a file`, {
        headers: { allow: "GET, HEAD" },
      });
    }
    const result = this.tryServe(req, ctx);
    if (result instanceof Promise) return result.then(orNotFound);
    return orNotFound(result);
  };

  /**
   * Answers when the path is that of a file, a directory without its final slash, or one with an
   * index file; otherwise, and for methods other than GET and HEAD, gives `undefined`.
   *
   * @throws {HttpError} 404 for paths that try to leave the directory, whoever might answer next.
   */
  tryServe(
    req: Request,
    ctx: RequestContext,
  ): Response | undefined | Promise<Response | undefined> {
    const { method } = req;
    if (method !== "GET" && method !== "HEAD") return undefined;
    const { path } = ctx;
    const now = performance.now();
    const entry = this.#entries.get(path);
    if (entry !== undefined && now - entry.checkedAt < FRESH_MS) {
      return this.#send(entry, req, ctx, path);
    }
    const missedAt = this.#misses.get(path);
    if (missedAt !== undefined && now - missedAt < FRESH_MS) return undefined;
    return this.#lookUp(req, ctx, now, entry);
  }

  #lookUp(
    req: Request,
    ctx: RequestContext,
    now: number,
    known: FileEntry | undefined,
  ): Response | undefined | Promise<Response | undefined> {
    const { path } = ctx;
    const safe = fileNameOf(path.slice(this.mountPoint.length - 1));
    if ("refused" in safe) {
      if (safe.refused === "unsafe") throw new HttpError(404);
      return undefined;
    }
    const { name } = safe;
    this.#checkRoot(now);
    if (isHidden(name) || !this.#mayExist(name)) return this.#forget(path);

    const found = this.#find(name);
    if (found === undefined) {
      this.#forget(path);
      if (this.#misses.size >= MAX_MISSES) this.#misses.clear();
      this.#misses.set(path, now);
      return undefined;
    }
    if (found === "directory") return redirectToDirectory(ctx);

    const { file, info } = found;
    const type = known?.file === file ? known.type : contentTypeOf(file);
    if (typeof type === "string") return this.#keep(req, ctx, now, file, info, type, known);
    return type.then((type) => this.#keep(req, ctx, now, file, info, type, known));
  }

  #keep(
    req: Request,
    ctx: RequestContext,
    now: number,
    file: string,
    info: Deno.FileInfo,
    type: string,
    known: FileEntry | undefined,
  ): Response | undefined {
    const { path } = ctx;
    this.#forget(path);
    const entry = this.#read(path, now, file, info, type, known);
    if (entry === undefined) return undefined;
    this.#entries.set(path, entry);
    this.#cachedBytes += entry.body?.size ?? 0;
    // Entries that were looked at lately are at the end of the map.
    for (const [oldest, { body }] of this.#entries) {
      if (this.#entries.size <= MAX_ENTRIES && this.#cachedBytes <= MAX_CACHED_TOTAL) break;
      this.#entries.delete(oldest);
      this.#cachedBytes -= body?.size ?? 0;
    }
    return this.#send(entry, req, ctx, path);
  }

  #forget(path: string): undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    this.#cachedBytes -= entry.body?.size ?? 0;
  }

  /** Looks at the directory itself once a second: it may be a link that leads elsewhere by now. */
  #checkRoot(now: number): void {
    if (now - this.#rootCheckedAt < FRESH_MS) return;
    this.#rootCheckedAt = now;
    try {
      const root = Deno.realPathSync(this.#directory);
      const modifiedMs = Deno.statSync(root).mtime?.getTime() ?? Date.now();
      if (root === this.#root && this.#listing !== undefined && modifiedMs < this.#listedMs) return;
      const names = new Set<string>();
      const listedMs = Date.now() - UNSETTLED_MS;
      for (const { name } of Deno.readDirSync(root)) {
        names.add(name);
        if (names.size > MAX_LISTED) break;
      }
      this.#root = root;
      this.#listedMs = listedMs;
      this.#listing = names.size > MAX_LISTED ? undefined : names;
    } catch (error) {
      this.#listing = undefined;
      this.#report(this.#directory, error);
    }
  }

  /** False when the listing of the directory shows that there is no such file. */
  #mayExist(name: string): boolean {
    const listing = this.#listing;
    if (listing === undefined) return true;
    if (name === "") return INDEXES.some((index) => listing.has(index));
    const end = name.indexOf("/");
    return listing.has(end === -1 ? name : name.slice(0, end));
  }

  #find(name: string): { file: string; info: Deno.FileInfo } | "directory" | undefined {
    const info = this.#inspect(name);
    if (info === undefined) return undefined;
    if (info.isFile) return { file: name, info };
    if (!info.isDirectory) return undefined;
    if (name !== "" && !name.endsWith("/")) return "directory";
    for (const index of INDEXES) {
      const file = name + index;
      const info = this.#inspect(file);
      if (info?.isFile) return { file, info };
    }
    return undefined;
  }

  /** What is at that name, if anything, provided that links do not lead out of the directory. */
  #inspect(name: string): Deno.FileInfo | undefined {
    try {
      const file = this.#pathOf(name);
      const info = Deno.statSync(file);
      const real = Deno.realPathSync(file);
      const root = this.#root;
      const inside = real === root ||
        (real.startsWith(root) && (isSeparator(real[root.length]) || isSeparator(root.at(-1))));
      return inside ? info : undefined;
    } catch (error) {
      this.#report(name, error);
      return undefined;
    }
  }

  /** Logs what keeps a file from being served, unless it simply is not there. */
  #report(name: string, error: unknown): void {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return;
    // A name that is too long, or a loop of links: nothing a client should be able to fill a log
    // with.
    const { code } = error as { code?: unknown };
    if (code === "ENAMETOOLONG" || code === "ELOOP" || code === "ENOTDIR") return;
    this.#log?.log(`Cannot read ${name} below ${this.#directory}: ${String(error)}`, "error");
  }

  #pathOf(name: string): string {
    return name === "" ? this.#root : `${this.#root}/${name}`;
  }

  #read(
    path: string,
    now: number,
    file: string,
    info: Deno.FileInfo,
    type: string,
    known: FileEntry | undefined,
  ): FileEntry | undefined {
    const { size } = info;
    const modifiedMs = info.mtime?.getTime() ?? 0;
    const settled = Math.abs(Date.now() - modifiedMs) > UNSETTLED_MS;
    const unchanged = known !== undefined && known.settled && known.size === size &&
      known.modifiedMs === modifiedMs && known.file === file;
    let body = unchanged ? known.body : undefined;
    if (body === undefined && isKept(type, size)) {
      try {
        const bytes = Deno.readFileSync(this.#pathOf(file));
        // Somebody is writing it: the next look finds it complete, this one streams what there is.
        if (bytes.byteLength === size) {
          body = new SharedBody(asciiOf(bytes) ?? bytes, !isCompressible(type, size));
        }
      } catch (error) {
        this.#report(file, error);
        return undefined;
      }
    }
    const etag = fileEtag(size, modifiedMs);
    const headers: Record<string, string> = {
      "content-type": type,
      "etag": etag,
      "last-modified": httpDate(modifiedMs),
      "accept-ranges": "bytes",
    };
    const age = this.#maxAgeOf(path);
    if (age > 0) {
      headers["cache-control"] = `max-age=${age}`;
      headers["expires"] = httpDate(Date.now() + age * 1000);
    }
    if (isCompressible(type, size)) headers["vary"] = "Accept-Encoding";
    if (this.#server) headers["server"] = this.#server;
    return { file, etag, size, modifiedMs, type, settled, body, headers, checkedAt: now };
  }

  #maxAgeOf(sent: string): number {
    const path = plain(sent);
    for (const [prefix, age] of this.#maxAges) {
      if (
        path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/")
      ) {
        return age;
      }
    }
    return 0;
  }

  /** RFC 9110, 13.2.2 sets the order of the conditions. */
  #send(
    entry: FileEntry,
    req: Request,
    ctx: RequestContext,
    path: string,
  ): Response | undefined {
    const ifMatch = headerOf(req, ctx, "if-match");
    if (ifMatch !== null) {
      if (!etagMatches(ifMatch, entry.etag, "strong")) throw new HttpError(412);
    } else {
      const ifUnmodified = headerOf(req, ctx, "if-unmodified-since");
      if (ifUnmodified !== null && modifiedAfter(entry, ifUnmodified) === true) {
        throw new HttpError(412);
      }
    }
    const ifNoneMatch = headerOf(req, ctx, "if-none-match");
    if (ifNoneMatch !== null) {
      if (etagMatches(ifNoneMatch, entry.etag)) return notModified(entry);
    } else {
      const ifModified = headerOf(req, ctx, "if-modified-since");
      if (ifModified !== null && modifiedAfter(entry, ifModified) === false) {
        return notModified(entry);
      }
    }
    const head = req.method === "HEAD";
    const range = headerOf(req, ctx, "range");
    if (range !== null && !head && rangeApplies(entry, headerOf(req, ctx, "if-range"))) {
      const part = parseRange(range, entry.size);
      if (part === "unsatisfiable") {
        throw new HttpError(416, `The file has ${entry.size} bytes`, {
          headers: { "content-range": `bytes */${entry.size}`, "accept-ranges": "bytes" },
        });
      }
      if (part !== undefined) return this.#sendPart(entry, part, path);
    }
    if (entry.body !== undefined) {
      const res = sharedResponse(entry.body, { headers: entry.headers });
      return this.#server === undefined ? res : markComplete(res);
    }
    const init = { headers: { ...entry.headers, "content-length": String(entry.size) } };
    // Whoever empties a file often writes it again at once; what is in it by now is for the next look.
    if (head || entry.size === 0) return declareBodySize(new Response(null, init), entry.size);
    const file = this.#open(entry, path);
    if (file === undefined) return undefined;
    // Its own stream is what the runtime sends fastest, but that one ends where the file ends.
    const exact = file.statSync().size === entry.size;
    const stream = exact ? file.readable : partOf(file, entry.size);
    return declareBodySize(new Response(stream, init), entry.size);
  }

  #sendPart(entry: FileEntry, { start, end }: ByteRange, path: string): Response | undefined {
    const length = end - start + 1;
    const init = {
      status: 206,
      headers: {
        ...entry.headers,
        "content-range": `bytes ${start}-${end}/${entry.size}`,
        "content-length": String(length),
      },
    };
    if (entry.body !== undefined) {
      const { content } = entry.body;
      const part = typeof content === "string"
        ? content.slice(start, end + 1)
        : content.subarray(start, end + 1);
      return sharedResponse(new SharedBody(part), init);
    }
    const file = this.#open(entry, path);
    if (file === undefined) return undefined;
    file.seekSync(start, Deno.SeekMode.Start);
    return declareBodySize(new Response(partOf(file, length), init), length);
  }

  /**
   * Opens the file of an entry; `undefined` when it is gone or no longer the one that was looked
   * at.
   */
  #open(entry: FileEntry, path: string): Deno.FsFile | undefined {
    let file: Deno.FsFile | undefined;
    try {
      file = Deno.openSync(this.#pathOf(entry.file));
      const info = file.statSync();
      if (info.size >= entry.size) return file;
    } catch (error) {
      this.#report(entry.file, error);
    }
    file?.close();
    this.#forget(path);
    return undefined;
  }
}

/** A path without percent-encoding, so that it is the same however somebody wrote it. */
function plain(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    // The path of a rule may have a percent sign of its own.
    if (error instanceof URIError) return path;
    throw error;
  }
}

function orNotFound(res: Response | undefined): Response {
  if (res === undefined) throw new HttpError(404);
  return res;
}

function isSeparator(character: string | undefined): boolean {
  return character === "/" || character === "\\";
}

/**
 * Text above the general limit is kept because it would otherwise be compressed again and again.
 */
function isKept(type: string, size: number): boolean {
  return size <= MAX_CACHED_FILE ||
    (size <= MAX_COMPRESSED_BYTES && isCompressible(type, undefined));
}

/** The text of bytes that are ASCII throughout. */
function asciiOf(bytes: Uint8Array): string | undefined {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! > 127) return undefined;
  }
  return new TextDecoder().decode(bytes);
}

function redirectToDirectory(ctx: RequestContext): Response {
  const location = ctx.query === "" ? `${ctx.path}/` : `${ctx.path}/?${ctx.query}`;
  return new Response(null, { status: 301, headers: { location } });
}

function notModified(entry: FileEntry): Response {
  const headers: Record<string, string> = { etag: entry.etag };
  for (const name of ["last-modified", "cache-control", "expires", "vary"]) {
    const value = entry.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  return new Response(null, { status: 304, headers });
}

/** Whether the file is newer than a date, or of another length; `undefined` for what is no date. */
function modifiedAfter(entry: FileEntry, header: string): boolean | undefined {
  const [date = "", ...parameters] = header.split(";").map((part) => part.trim());
  const since = parseHttpDate(date);
  if (since === undefined) return undefined;
  const length = parameters.find((parameter) => /^length=\d+$/i.test(parameter));
  if (length !== undefined && Number(length.slice(7)) !== entry.size) return true;
  return Math.trunc(entry.modifiedMs / 1000) * 1000 > since;
}

function rangeApplies(entry: FileEntry, ifRange: string | null): boolean {
  if (ifRange === null) return true;
  const value = ifRange.trim();
  return value.startsWith('"') ? value === entry.etag : value === entry.headers["last-modified"];
}

/** The next bytes of an open file, which is closed after them. */
function partOf(file: Deno.FsFile, length: number): ReadableStream<Uint8Array> {
  let left = length;
  let open = true;
  const close = () => {
    if (open) file.close();
    open = false;
  };
  return new ReadableStream<Uint8Array>({
    type: "bytes",
    async pull(controller) {
      try {
        const chunk = new Uint8Array(Math.min(left, CHUNK));
        const count = await file.read(chunk);
        if (!open) return;
        if (count === null) {
          throw new Deno.errors.UnexpectedEof("The file was cut while it was sent");
        }
        left -= count;
        controller.enqueue(chunk.subarray(0, count));
      } catch (error) {
        close();
        throw error;
      }
      if (left === 0) {
        close();
        controller.close();
      }
    },
    cancel: close,
  });
}
