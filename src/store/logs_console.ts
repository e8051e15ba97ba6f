/**
 * Log lines on the console.
 *
 * @module
 */

import { BatchWriter, type ByteTarget } from "./logs_batch.ts";

/** Colour of the tag by type. Written out here because a log must not cost a package at start-up. */
const COLORS: ReadonlyMap<string, number> = new Map([
  ["debug", 90],
  ["info", 32],
  ["warn", 33],
  ["error", 31],
  ["fatal", 35],
  ["expt", 31],
]);

/** Standard output as a place for lines. */
export class ConsoleWriter extends BatchWriter {
  /** Whether lines are coloured: on a terminal, unless `NO_COLOR` is set. */
  readonly colored: boolean;

  /** Writes to standard output. @param colored Default: whether that is a terminal that may be coloured. */
  constructor(colored: boolean = mayColor()) {
    super(new StandardOutput());
    this.colored = colored;
  }

  /** Writes an entry at once, after the lines that wait, so that it stands among the app's own output. */
  writeEntry(line: string, type: string): void {
    this.write(this.colored ? paint(line, type) : line);
    this.flush();
  }
}

/** Colours the tag of an entry by its type. Types nobody knows stay as they are. */
export function paint(line: string, type: string): string {
  const color = COLORS.get(type);
  const open = line.indexOf("[");
  const close = line.indexOf("] ", open);
  if (color === undefined || open === -1 || close === -1) return line;
  return `${line.slice(0, open)}\x1b[${color}m${line.slice(open, close + 1)}\x1b[39m` +
    line.slice(close + 1);
}

function mayColor(): boolean {
  return !Deno.noColor && Deno.stdout.isTerminal();
}

class StandardOutput implements ByteTarget {
  readonly name = "the console";

  writeSync(bytes: Uint8Array): number {
    return Deno.stdout.writeSync(bytes);
  }

  /** Whoever read it has gone, as `head` does. */
  isFinal(error: unknown): boolean {
    return error instanceof Deno.errors.BrokenPipe;
  }

  close(): void {
    // It is not ours to close.
  }
}
