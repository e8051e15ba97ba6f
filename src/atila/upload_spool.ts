/**
 * Where the bytes of uploaded files go while they arrive: small files into memory, everything else to
 * disk.
 *
 * @module
 */

import { joinBytes } from "../core/concat_bytes.ts";
import { makeTemporary, removeIfThere, UploadedFile } from "./uploaded_file.ts";

/** A file of up to this many bytes stays in memory. */
const MAX_MEMORY_FILE = 1024 * 1024;

/** All files of one request together stay in memory up to this many bytes. */
const MAX_MEMORY_TOTAL = 4 * 1024 * 1024;

/** The files of one request while they arrive. */
export class UploadSpool {
  /** Directory for temporary files; `undefined` is that of the system. */
  readonly directory: string | undefined;
  /** Nobody else needs the bytes of a chunk once they are on disk. */
  ownsChunks = false;
  /** Bytes held in memory by all files. */
  inMemory = 0;
  /** True once it was given up: what still comes out of the splitter goes nowhere. */
  isDiscarded = false;
  readonly #incoming: IncomingFile[] = [];

  /** Nothing is opened before a file needs it. */
  constructor(directory: string | undefined) {
    this.directory = directory;
  }

  /** Begins a file. */
  begin(sentName: string, mimetype: string): IncomingFile {
    const file = new IncomingFile(this, sentName, mimetype);
    this.#incoming.push(file);
    return file;
  }

  /** Gives up: closes and removes everything that was begun. Rejects with the first failure. */
  async discard(): Promise<void> {
    this.isDiscarded = true;
    const ends = await Promise.allSettled(this.#incoming.map((file) => file.discard()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }
}

/** One file while it arrives. */
export class IncomingFile {
  /** Bytes so far. */
  size = 0;
  readonly #spool: UploadSpool;
  readonly #sentName: string;
  readonly #mimetype: string;
  #chunks: Uint8Array[] = [];
  #path: string | undefined;
  #disk: Deno.FsFile | undefined;
  #writing: Promise<void> | undefined;
  /** Bytes counted as held in memory. */
  #held = 0;

  /** Made by {@link UploadSpool.begin}. */
  constructor(spool: UploadSpool, sentName: string, mimetype: string) {
    this.#spool = spool;
    this.#sentName = sentName;
    this.#mimetype = mimetype;
  }

  /** Takes bytes. Where they go to disk, the result settles when they are there. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#spool.isDiscarded) return undefined;
    this.size += chunk.byteLength;
    if (this.#writing === undefined) {
      const spool = this.#spool;
      const total = spool.inMemory + chunk.byteLength;
      if (this.size <= MAX_MEMORY_FILE && total <= MAX_MEMORY_TOTAL) {
        spool.inMemory = total;
        this.#held = this.size;
        this.#chunks.push(chunk);
        return undefined;
      }
    }
    this.#chunks.push(chunk);
    return this.#writing = this.#drain(this.#writing);
  }

  /** Ends the file. */
  async end(): Promise<UploadedFile> {
    await this.#writing;
    this.#disk?.close();
    this.#disk = undefined;
    return new UploadedFile({
      sentName: this.#sentName,
      mimetype: this.#mimetype,
      size: this.size,
      directory: this.#spool.directory,
      ...(this.#path === undefined
        ? { bytes: joinBytes(this.#chunks, this.size) }
        : { path: this.#path }),
    });
  }

  /** Closes and removes what there is. */
  async discard(): Promise<void> {
    this.#chunks = [];
    // A failed write has been reported by write() and is often the reason for giving up.
    await this.#writing?.catch(() => {});
    this.#disk?.close();
    this.#disk = undefined;
    if (this.#path !== undefined) await removeIfThere(this.#path);
  }

  async #drain(before: Promise<void> | undefined): Promise<void> {
    await before;
    if (this.#disk === undefined) {
      this.#path = await makeTemporary(this.#spool.directory);
      this.#disk = await Deno.open(this.#path, { write: true });
      this.#spool.inMemory -= this.#held;
    }
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) return;
      for (let at = 0; at < chunk.byteLength;) at += await this.#disk.write(chunk.subarray(at));
      if (this.#spool.ownsChunks) free(chunk);
    }
  }
}

/**
 * Gives the memory of a chunk back at once. The collector sees a small object, and lets the memory of
 * many pile up before it runs: for a large upload that is most of what the process uses.
 */
function free(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0);
}
