/**
 * The command line that runs the start script once more.
 *
 * @module
 */

import { ConfigError } from "../../core/errors.ts";
import { scriptUrl } from "../paths.ts";

/** Flags every engine process needs: port sharing, and signals of requests that mean what they say. */
const NEEDED = ["--unstable-net", "--unstable-no-legacy-abort"];

/** Subcommands under which the main module is not a start script. */
const FOREIGN = ["test", "bench", "eval", "repl", "serve", "jupyter", "lsp", "compile", "doc"];

const PERMISSIONS = ["read", "write", "net", "env", "run", "sys", "ffi", "import"];

/** Program and arguments of a child. */
export interface ChildCommand {
  /** Executable. */
  readonly program: string;
  /** Arguments. */
  readonly args: readonly string[];
}

/** Setting the process title overwrites what the system knows of the command line, so it is kept. */
let commandLine: { readonly argv: readonly string[] | undefined } | undefined;

function ownCommandLine(): readonly string[] | undefined {
  return (commandLine ??= { argv: readCommandLine() }).argv;
}

function readCommandLine(): readonly string[] | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    return argvOf(Deno.readTextFileSync("/proc/self/cmdline"));
  } catch (error) {
    // A sandbox without /proc.
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotCapable) return askForCommandLine();
    throw error;
  }
}

/**
 * The runtime reads /proc for those with all permissions only. Who starts engine processes may have
 * this read by another process; without it they would lose import map and lists of permissions.
 */
function askForCommandLine(): readonly string[] | undefined {
  const program = `Deno.stdout.writeSync(Deno.readFileSync("/proc/${Deno.pid}/cmdline"))`;
  try {
    const { success, stdout } = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", "--no-lock", "--quiet", program],
      stdin: "null",
      stderr: "null",
    }).outputSync();
    return success ? argvOf(new TextDecoder().decode(stdout)) : undefined;
  } catch (error) {
    // The start that follows fails for the same reason, and says so.
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

function argvOf(text: string): readonly string[] {
  return text.split("\0").slice(0, -1);
}

/**
 * How to run this script again: the same executable with the same flags and arguments, and the flags an
 * engine needs. A compiled program runs itself.
 *
 * @throws {ConfigError} when the process was not started from a script.
 */
export function childCommand(
  argv: readonly string[] | undefined = ownCommandLine(),
  args: readonly string[] = Deno.args,
): ChildCommand {
  const program = Deno.execPath();
  if (Deno.build.standalone) return { program, args };
  const flags = argv === undefined ? undefined : flagsOf(argv, args);
  return {
    program,
    args: ["run", ...NEEDED, ...(flags ?? [...flagsOfPermissions(), scriptUrl()]), ...args],
  };
}

/** Flags and script, without program, subcommand and arguments; `undefined` when they cannot be told. */
function flagsOf(argv: readonly string[], args: readonly string[]): readonly string[] | undefined {
  const own = argv.slice(1, argv.length - args.length);
  if (own.length === 0 || args.some((arg, i) => argv[argv.length - args.length + i] !== arg)) {
    return undefined;
  }
  if (FOREIGN.includes(own[0]!)) {
    throw new ConfigError(
      "run",
      `several workers, the reloader and daemons need a start script; this is "deno ${own[0]}"`,
    );
  }
  const rest = own[0] === "run" ? own.slice(1) : own;
  // A watching or inspected parent keeps that for itself: the child would fight it for files and port.
  return rest.filter((flag) =>
    !/^--(watch|watch-hmr|inspect|inspect-brk|inspect-wait)(=|$)/.test(flag) &&
    !NEEDED.includes(flag)
  );
}

function flagsOfPermissions(): string[] {
  return PERMISSIONS
    .filter((name) =>
      Deno.permissions.querySync({ name } as Deno.PermissionDescriptor).state === "granted"
    )
    .map((name) => `--allow-${name}`);
}
