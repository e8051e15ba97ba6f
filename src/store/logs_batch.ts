/**
 * Writes lines in batches: many lines, one system call.
 *
 * @module
 */

import { type Cancel, later } from "../core/later.ts";
import { formatLogEntry } from "../wire/log_line.ts";

/** Takes lines as they are. */
export interface LineSink {
  /** Adds a line, given without its line break. Never throws. */
  write(line: string): void;
}

/** Where bytes go. */
export interface ByteTarget {
  /** Name for warnings: a path, `the console`. */
  readonly name: string;
  /** Called before each batch, so that the target can see to itself. True when it begins anew, elsewhere. */
  prepare?(): boolean;
  /** Writes and gives the number of bytes that were taken, as `Deno.FsFile` does. */
  writeSync(bytes: Uint8Array): number;
  /**
   * Removes the bytes that were written last, so that the beginning of a line does not stand there alone.
   * False when that cannot be done.
   */
  takeBack?(bytes: number): boolean;
  /** True for an error after which nothing will ever be taken again. */
  isFinal?(error: unknown): boolean;
  /** Releases what is open; a later `prepare` may open it again. */
  close(): void;
}

/** A batch is written when it has this many lines … */
const MAX_LINES = 512;
/** … or this many characters … */
const MAX_CHARACTERS = 64 * 1024;
/** … or when its first line is this old. */
const MAX_AGE_MS = 100;
/** While writing fails it is tried again this often. */
const RETRY_MS = 1000;
/** A pipe whose reader is slow is asked again this soon. */
const RETRY_FULL_PIPE_MS = 20;
/** While writing fails lines are kept up to this many characters; those that come later are lost. */
const MAX_KEPT_CHARACTERS = 4 * 1024 * 1024;

/** Lines that are put into one piece together. */
const LINES_OF_BLOCK = 16;
/** Searching a text is what makes it one piece. */
const IN_ONE_PIECE = /^$/;

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * Collects lines and writes them in batches of 512 lines, 64 KiB or 100 ms, whichever comes first. A
 * batch has whole lines only and is one write, so that several writers of a file opened for appending
 * never mix within a line. The write is synchronous: the order and the last lines before an exit are
 * certain, and copying 64 KiB to the page cache takes microseconds.
 *
 * When writing fails, a full disk for one, there is one warning on standard error; lines are kept (up
 * to 4 Mi characters) and tried again every second until writing works.
 */
export class BatchWriter implements LineSink, Disposable {
  #target: ByteTarget;
  /** Lines with their breaks, in blocks of one piece each. */
  #blocks: string[] = [];
  /** The block in the making. */
  #block = "";
  #lines = 0;
  #characters = 0;
  /** A batch that was not taken to its end; it starts with a line. */
  #rest: Uint8Array = NO_BYTES;
  /** Bytes of it that were taken. */
  #taken = 0;
  /** Ends the wait for the age of a batch. Unwritten lines keep no process alive: it flushes at its end. */
  #unwait: Cancel | undefined;
  #outage: Outage | undefined;
  #state: "open" | "closed" | "dead" = "open";

  /** Makes a writer; it owns the target. */
  constructor(target: ByteTarget) {
    this.#target = target;
  }

  /** Adds a line, given without its line break. */
  write(line: string): void {
    if (this.#outage !== undefined && this.#characters >= MAX_KEPT_CHARACTERS) {
      this.#outage.lost++;
      return;
    }
    if (this.#state === "dead") return;
    this.#characters += line.length + 1;
    this.#block += line + "\n";
    if (++this.#lines % LINES_OF_BLOCK === 0) this.#endBlock();
    if (this.#state === "closed") this.#writeLate();
    else if (this.#lines >= MAX_LINES || this.#characters >= MAX_CHARACTERS) {
      this.#flushUnlessFailing();
    } else if (this.#unwait === undefined) this.#arm(MAX_AGE_MS);
  }

  /** Writes what is there, now. */
  flush(): void {
    if (this.#lines === 0 && this.#rest.length === 0) return;
    try {
      if (this.#target.prepare?.()) this.beginAnew();
      this.#drain();
      if (this.#lines > 0) {
        this.#endBlock();
        this.#rest = encode(this.#blocks.join(""));
        this.#blocks = [];
        this.#lines = 0;
        this.#characters = 0;
        this.#drain();
      }
    } catch (error) {
      this.#keepRest();
      this.#fail(error);
      return;
    }
    if (this.#outage !== undefined) this.#recover(this.#outage);
  }

  /** Writes what is there and releases the target. A line that comes later opens it once more. */
  close(): void {
    if (this.#state === "closed") return;
    this.flush();
    this.#disarm();
    if (this.#state === "open") this.#state = "closed";
    this.#giveUp();
    this.#target.close();
  }

  /** Same as {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** What is written next goes to another place than what was written last: a broken line is repeated. */
  protected beginAnew(): void {
    this.#taken = 0;
  }

  /**
   * A line is put together of many pieces, which the runtime copies into one only when it has to. Done
   * while they are at hand this takes half the time it takes for a whole batch, most of whose pieces
   * the collector has moved by then.
   */
  #endBlock(): void {
    IN_ONE_PIECE.test(this.#block);
    this.#blocks.push(this.#block);
    this.#block = "";
  }

  #drain(): void {
    while (this.#taken < this.#rest.length) {
      const taken = this.#target.writeSync(this.#rest.subarray(this.#taken));
      if (taken === 0) throw new Error("it took no bytes");
      this.#taken += taken;
    }
    this.#rest = NO_BYTES;
    this.#taken = 0;
  }

  /**
   * After a failure: keeps what was not taken, from the start of a line. Others write to the same file,
   * and what stands there of that line would run into theirs.
   */
  #keepRest(): void {
    const start = this.#taken === 0 ? 0 : this.#rest.lastIndexOf(10, this.#taken - 1) + 1;
    const torn = this.#taken - start;
    this.#taken = torn > 0 && this.#target.takeBack?.(torn) ? 0 : torn;
    // The memory of a batch belongs to all writers.
    const shared = this.#rest.buffer === scratch?.buffer;
    this.#rest = shared ? this.#rest.slice(start) : this.#rest.subarray(start);
  }

  #flushUnlessFailing(): void {
    if (this.#outage === undefined) this.flush();
  }

  #arm(delayMs: number): void {
    this.#unwait?.();
    this.#unwait = later(delayMs, () => {
      this.#unwait = undefined;
      this.flush();
    });
  }

  #disarm(): void {
    this.#unwait?.();
    this.#unwait = undefined;
  }

  #fail(error: unknown): void {
    if (this.#target.isFinal?.(error)) {
      this.#state = "dead";
      this.#forget();
      this.#unwait?.();
      return;
    }
    const fullPipe = error instanceof Deno.errors.WouldBlock;
    if (this.#outage === undefined) {
      this.#outage = { warned: !fullPipe, lost: 0 };
      if (!fullPipe) {
        warn(
          `Cannot write to ${this.#target.name}: ${messageOf(error)}. ` +
            "Lines are kept in memory and tried again every second",
        );
      }
    }
    if (this.#state === "open") this.#arm(fullPipe ? RETRY_FULL_PIPE_MS : RETRY_MS);
  }

  #recover(outage: Outage): void {
    this.#outage = undefined;
    if (!outage.warned && outage.lost === 0) return;
    warn(
      `${this.#target.name} takes lines again, ` +
        (outage.lost === 0 ? "none was lost" : `${outage.lost} were lost`),
    );
  }

  #writeLate(): void {
    this.flush();
    this.#giveUp();
    this.#target.close();
  }

  #giveUp(): void {
    if (this.#lines > 0 || this.#rest.length > 0) {
      warn(`${this.#target.name} was closed before it took the last lines, which are lost`);
    }
    this.#forget();
    this.#outage = undefined;
  }

  #forget(): void {
    this.#blocks = [];
    this.#block = "";
    this.#lines = 0;
    this.#characters = 0;
    this.#rest = NO_BYTES;
    this.#taken = 0;
  }
}

/** Three bytes for each character of an ordinary batch, and room for its last line. */
const SCRATCH_BYTES = 3 * MAX_CHARACTERS + 16 * 1024;
let scratch: Uint8Array<ArrayBuffer> | undefined;

/**
 * Encodes into memory that all writers of the isolate share, since a write is over before the next batch
 * begins: allocating it anew for each batch costs more than encoding does.
 */
function encode(text: string): Uint8Array {
  scratch ??= new Uint8Array(SCRATCH_BYTES);
  const { read, written } = encoder.encodeInto(text, scratch);
  return read === text.length ? scratch.subarray(0, written) : encoder.encode(text);
}

/** A time in which writing fails. */
interface Outage {
  readonly warned: boolean;
  /** Lines that were not kept. */
  lost: number;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Writes a line about the logs themselves to standard error, the one place left when they fail. */
export function warn(text: string): void {
  const line = formatLogEntry({ time: Date.now(), type: "error", id: "log", text });
  try {
    Deno.stderr.writeSync(encoder.encode(line + "\n"));
  } catch {
    // Standard error is closed too: there is nobody left to tell.
  }
}
