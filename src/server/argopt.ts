/**
 * The command line of a start script: what belongs to the engine, and options for the script itself.
 *
 * @module
 */

import { PRODUCTION_FLAG } from "../core/environment.ts";

/** What the engine can be told on the command line of a start script. */
export type DaemonCommand = "start" | "stop" | "restart" | "status";

const COMMANDS: readonly string[] = ["start", "stop", "restart", "status"];

/** An option, with its dashes, and its value; `""` for an option without one. */
export type OptionPair = [name: string, value: string];

/** What a script has declared with {@link argopt}; the engine needs it to tell values from commands. */
let declared: Declaration | undefined;

interface Declaration {
  readonly short: ReadonlyMap<string, boolean>;
  readonly long: ReadonlyMap<string, boolean>;
}

interface Parsed {
  readonly options: OptionPair[];
  readonly plain: string[];
  readonly daemon: boolean;
}

/**
 * Parses the command line of the start script by the rules of getopt.
 *
 * `"hf:"` declares `-h` and `-f value`; the long list `["debug", "origin="]` declares `--debug` and
 * `--origin value` or `--origin=value`. Short options may stand together (`-hf value`), long ones may be
 * shortened as long as they stay unambiguous, and `--` ends the options. `-d`, options that start with
 * `--skitai-`, `---production`, `-v` where it is not declared, and the words start, restart, status and
 * stop belong to the engine and are left out. Other arguments than those of the process may be given for
 * tests.
 *
 * @throws {TypeError} when `d` or a name that starts with `skitai-` is declared.
 * @throws {RangeError} for an unknown or ambiguous option, a value that is missing, or one too many.
 *
 * @example
 * ```ts
 * import { argopt } from "./argopt.ts";
 *
 * const [options, args] = argopt("hf:", ["debug", "origin="]);
 * console.assert(Array.isArray(options) && Array.isArray(args));
 * ```
 */
export function argopt(
  short = "",
  long: readonly string[] = [],
  args: readonly string[] = Deno.args,
): [OptionPair[], string[]] {
  declared = declare(short, long);
  const { options, plain } = parse(args, declared, true);
  return [options, plain.filter((word) => !COMMANDS.includes(word))];
}

/**
 * What the command line asks the engine to do: the first of start, stop, status and restart among the
 * plain arguments; `-d` wins and means start. `undefined` is a run in the foreground.
 */
export function commandOf(args: readonly string[] = Deno.args): DaemonCommand | undefined {
  const { plain, daemon } = parse(args, declared ?? { short: new Map(), long: new Map() }, false);
  // Without a declaration `-debug` may be anything the script parses itself; only a bare `-d` is ours.
  const end = args.indexOf("--");
  const isDaemon = declared === undefined
    ? args.slice(0, end === -1 ? args.length : end).includes("-d")
    : daemon;
  if (isDaemon) return "start";
  return plain.find((word) => COMMANDS.includes(word)) as DaemonCommand | undefined;
}

function declare(short: string, long: readonly string[]): Declaration {
  const shorts = new Map<string, boolean>();
  for (let i = 0; i < short.length; i++) {
    const name = short[i]!;
    const takesValue = short[i + 1] === ":";
    if (name === "d") {
      throw new TypeError("argopt: -d belongs to the engine and cannot be declared");
    }
    if (name === ":" || name === "-") {
      throw new TypeError(`argopt: "${name}" is not an option name`);
    }
    shorts.set(name, takesValue);
    if (takesValue) i++;
  }
  const longs = new Map<string, boolean>();
  for (const spec of long) {
    const name = spec.replace(/=$/, "");
    if (name === "" || name.startsWith("-")) {
      throw new TypeError(`argopt: ${JSON.stringify(spec)} is not an option name`);
    }
    if (name.startsWith("skitai-")) {
      throw new TypeError(`argopt: --${name} belongs to the engine and cannot be declared`);
    }
    longs.set(name, name !== spec);
  }
  return { short: shorts, long: longs };
}

/** A lenient parse takes options nobody declared as options without a value. */
function parse(args: readonly string[], known: Declaration, strict: boolean): Parsed {
  const options: OptionPair[] = [];
  const plain: string[] = [];
  let daemon = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      plain.push(...args.slice(i + 1));
      break;
    } else if (arg === PRODUCTION_FLAG || arg.startsWith("--skitai-")) {
      continue;
    } else if (arg.startsWith("--")) {
      const equals = arg.indexOf("=");
      const given = equals === -1 ? arg.slice(2) : arg.slice(2, equals);
      const name = longName(given, known.long, strict);
      if (name === undefined) continue;
      if (!known.long.get(name)) {
        if (equals !== -1 && strict) throw new RangeError(`option --${name} takes no value`);
        options.push([`--${name}`, ""]);
      } else if (equals !== -1) {
        options.push([`--${name}`, arg.slice(equals + 1)]);
      } else if (i + 1 < args.length) {
        options.push([`--${name}`, args[++i]!]);
      } else if (strict) {
        throw new RangeError(`option --${name} requires a value`);
      }
    } else if (arg.startsWith("-") && arg.length > 1) {
      for (let at = 1; at < arg.length; at++) {
        const name = arg[at]!;
        const takesValue = known.short.get(name);
        if (name === "d") {
          daemon = true;
        } else if (takesValue === undefined) {
          if (strict && name !== "v") throw new RangeError(`unknown option -${name}`);
        } else if (!takesValue) {
          options.push([`-${name}`, ""]);
        } else {
          const rest = arg.slice(at + 1);
          if (rest === "" && i + 1 >= args.length) {
            if (strict) throw new RangeError(`option -${name} requires a value`);
          } else {
            options.push([`-${name}`, rest === "" ? args[++i]! : rest]);
          }
          break;
        }
      }
    } else {
      plain.push(arg);
    }
  }
  return { options, plain, daemon };
}

function longName(
  given: string,
  known: ReadonlyMap<string, boolean>,
  strict: boolean,
): string | undefined {
  if (known.has(given)) return given;
  const fits = [...known.keys()].filter((name) => name.startsWith(given));
  if (fits.length === 1) return fits[0];
  if (!strict) return undefined;
  throw new RangeError(
    fits.length === 0
      ? `unknown option --${given}`
      : `option --${given} is ambiguous: ${fits.map((name) => `--${name}`).join(", ")}`,
  );
}
