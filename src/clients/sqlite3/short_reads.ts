/**
 * Reads of SQLite that take less than the way to a thread and back, on the event loop.
 *
 * @module
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { Client, ClientStats } from "../contract.ts";
import { RELOAD, type Rows, type Script, type Step } from "./execute.ts";
import { isMemory } from "./path.ts";

/** A text is looked at when it has come that often. */
const LOOK_AFTER = 2;
/** What takes longer as a rule, in milliseconds, goes to a thread from then on. */
const SHORT_MS = 1;
/** More than that a single run does not count: it may be the system that was busy. */
const MOST_MS = 15;
const WEIGHT = 0.05;
/** Longest text, most values, most texts per file, most files. */
const MAX_LENGTH = 2000;
const MAX_VALUES = 16;
const MAX_TEXTS = 500;
const MAX_FILES = 16;
/** A file nobody reads for that long is closed. */
const IDLE_MS = 30_000;

/**
 * Steps of programs that find rows by their keys, and of what is done with their values. Others may
 * go through a table, and functions can take as long as they like.
 */
const STEPS = new Set(
  ("Init Transaction Goto Halt Noop Once BeginSubrtn Return OpenRead OpenEphemeral Close " +
    "Variable Integer Int64 Real String String8 Blob Null SoftNull Copy SCopy Move Cast " +
    "SeekRowid NotExists NotFound Found SeekGE IdxGT DeferredSeek FinishSeek IdxRowid NullRow " +
    "Rowid Column RealAffinity Affinity MakeRecord IdxInsert Rewind Next ResultRow CollSeq " +
    "IsNull NotNull IfNullRow ZeroOrNull Eq Ne Lt Le Gt Ge ElseEq If IfNot IfPos IsTrue IsType " +
    "ClrSubtype And Or Not BitAnd BitOr BitNot ShiftLeft ShiftRight Add Subtract Multiply Divide Remainder " +
    "AddImm Concat MustBeInt OffsetLimit DecrJumpZero Compare Jump Permutation").split(" "),
);

interface Short {
  readonly statement: StatementSync;
  readonly columns: readonly string[];
  /** How long it takes as a rule, in milliseconds. */
  usual: number;
}

/** What is known of a text: how often it came, that it is not short, or how it is read. */
type Known = number | undefined | "long" | Short;

class OpenFile {
  readonly db: DatabaseSync;
  readonly #schema: StatementSync;
  readonly #reload: StatementSync;
  #version: unknown;
  /** Whether the version has been looked at in this turn. */
  isCurrent = false;
  readonly texts = new Map<string, Known>();
  usedAt = performance.now();

  constructor(file: string) {
    // whoever would have to wait for a lock goes to a thread
    this.db = new DatabaseSync(file, { timeout: 0 });
    this.#schema = this.db.prepare("pragma schema_version");
    this.#reload = this.db.prepare(RELOAD);
  }

  /**
   * Forgets what was prepared when tables have changed since: the first run of such a statement would
   * still have the columns of before. Others cannot tell in which order things of one turn happened, so
   * once a turn is enough.
   */
  refresh(): void {
    if (this.isCurrent) return;
    const version = Object.values(this.#schema.get()!)[0];
    if (version !== this.#version) {
      this.#version = version;
      this.#reload.all();
      for (const [sql, known] of this.texts) {
        if (typeof known === "object") this.texts.set(sql, LOOK_AFTER);
      }
    }
    this.isCurrent = true;
    setImmediate(() => this.isCurrent = false);
  }
}

/** The files of a worker that are read on its event loop. */
export class ShortReads implements Client {
  readonly #files = new Map<string, OpenFile>();
  readonly #seen = new Map<string, number>();

  /**
   * Runs a script if it is a read that is sure to be short: rows found by their key, without functions,
   * of a text that has come before and was short. `undefined` when a thread has to do it, also after
   * an error, which it will report.
   */
  read(script: Script): Rows | undefined {
    const { file, steps } = script;
    const step = steps[0]!;
    if (steps.length !== 1 || !step.select || isMemory(file)) return undefined;
    if (step.sql.length > MAX_LENGTH || countOf(step) > MAX_VALUES) return undefined;
    let open = this.#files.get(file);
    if (open === undefined) {
      if (!this.#comesAgain(file)) return undefined;
      open = this.#open(file);
      if (open === undefined) return undefined;
    }
    return this.#read(open, step);
  }

  /** A statement that may have changed tables is over: whoever waited for it reads them next. */
  changed(): void {
    for (const open of this.#files.values()) open.isCurrent = false;
  }

  /** Files are no connections. */
  stats(): ClientStats {
    return { open: 0, busy: 0 };
  }

  /** Closes files nobody reads any more. */
  maintain(): void {
    const oldest = performance.now() - IDLE_MS;
    for (const [file, open] of this.#files) if (open.usedAt <= oldest) this.#close(file, open);
  }

  /** Closes all files. */
  [Symbol.asyncDispose](): Promise<void> {
    for (const [file, open] of this.#files) this.#close(file, open);
    this.#seen.clear();
    return Promise.resolve();
  }

  #comesAgain(file: string): boolean {
    const times = (this.#seen.get(file) ?? 0) + 1;
    if (this.#seen.size >= MAX_TEXTS) this.#seen.clear();
    this.#seen.set(file, times);
    return times > LOOK_AFTER;
  }

  #open(file: string): OpenFile | undefined {
    if (this.#files.size >= MAX_FILES) {
      for (const [name, oldest] of this.#files) {
        this.#close(name, oldest);
        break;
      }
    }
    try {
      const open = new OpenFile(file);
      this.#files.set(file, open);
      return open;
    } catch {
      // the thread opens it, too, and tells what is wrong with it
      this.#seen.delete(file);
      return undefined;
    }
  }

  #close(file: string, open: OpenFile): void {
    this.#files.delete(file);
    open.db.close();
  }

  #read(open: OpenFile, { sql, params }: Step): Rows | undefined {
    const { texts } = open;
    const known = texts.get(sql);
    if (known === "long") return undefined;
    if (known === undefined || typeof known === "number" && known < LOOK_AFTER) {
      if (texts.size >= MAX_TEXTS) texts.clear();
      texts.set(sql, (known ?? 0) + 1);
      return undefined;
    }
    const start = performance.now();
    try {
      open.refresh();
      let short = texts.get(sql);
      if (typeof short !== "object") {
        short = prepared(open.db, sql);
        texts.set(sql, short);
        if (short === "long") return undefined;
      }
      const { statement, columns } = short;
      const rows = (Array.isArray(params)
        ? statement.all(...params as SQLInputValue[])
        : statement.all(params as Record<string, SQLInputValue>)) as unknown as unknown[][];
      open.usedAt = performance.now();
      short.usual += (Math.min(open.usedAt - start, MOST_MS) - short.usual) * WEIGHT;
      if (short.usual > SHORT_MS) {
        texts.set(sql, "long");
      }
      return { columns, rows };
    } catch {
      // a lock, a number too large: the thread knows what to do, and says what cannot be done
      return undefined;
    }
  }
}

function countOf({ params }: Step): number {
  return Array.isArray(params) ? params.length : Object.keys(params).length;
}

/** Prepares a text if it finds rows by their keys alone. */
function prepared(db: DatabaseSync, sql: string): Short | "long" {
  if (!isBounded(db.prepare(`explain ${sql}`).all() as unknown as ProgramStep[])) return "long";
  const statement = db.prepare(sql);
  const columns = statement.columns().map(({ name }) => name);
  (statement as StatementSync & { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
  return { statement, columns, usual: 0 };
}

/** A step of the program that SQLite makes of a text. */
interface ProgramStep {
  readonly opcode: string;
  /** Of steps that go through something: where that was opened. */
  readonly p1: number;
}

/**
 * Whether a program cannot take longer than its text: it goes through nothing but one list that
 * stands in the text itself. The plan would not do, which says the same of `is` as of `=`.
 */
function isBounded(program: readonly ProgramStep[]): boolean {
  const lists = new Set<number>();
  let loops = 0;
  for (const { opcode, p1 } of program) {
    if (!STEPS.has(opcode)) return false;
    if (opcode === "OpenEphemeral") lists.add(p1);
    else if (opcode === "Next" && (++loops > 1 || !lists.has(p1))) return false;
  }
  return true;
}
