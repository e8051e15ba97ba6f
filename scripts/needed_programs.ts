/**
 * Which programs of the system a test file starts, so that a machine without one of them skips the file
 * instead of failing in it.
 *
 * @module
 */

import { delimiter, dirname, join } from "node:path";

/** Programs that tests take for granted; whole servers are looked for by the tests that start them. */
const PROGRAMS = ["curl", "h2load", "nc", "openssl", "python3", "sqlite3", "wrk"];
/** `new Deno.Command("curl"` and helpers of the tests that are called the same way. */
const STARTS = new RegExp(
  `\\b(?:new Deno\\.Command|run|foreign)\\(\\s*"(${PROGRAMS.join("|")})"`,
  "g",
);
/** Tests that look for themselves skip only what they have to. */
const LOOKS = /\b(?:isMissing\(|exists\(|needs: \[)([^)\]]*)[)\]]/g;
const IMPORT = /^(?:import|export)\s+(?:type\s+)?(\{[^}]*\}|\*[^"]*)\s*from\s+"(\.[^"]+)"/gm;

/** A module: what each of its exports starts, and what comes with the module as a whole. */
interface Needs {
  readonly byExport: ReadonlyMap<string, ReadonlySet<string>>;
  readonly all: ReadonlySet<string>;
}

const known = new Map<string, Promise<Needs>>();

/** Programs that a test file starts without looking for them, and that are not installed. */
export async function missingPrograms(file: string): Promise<string[]> {
  const { all } = await needsOf(file);
  return [...all].filter((name) => !isInstalled(name)).sort();
}

function isInstalled(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(delimiter).some((directory) => {
    try {
      return Deno.statSync(join(directory, name)).isFile;
    } catch {
      // Whatever is wrong with that directory, the program is not started from there.
      return false;
    }
  });
}

function needsOf(file: string): Promise<Needs> {
  let needs = known.get(file);
  if (needs === undefined) known.set(file, needs = read(file));
  return needs;
}

async function read(file: string): Promise<Needs> {
  const text = await Deno.readTextFile(file);
  const imported = new Map<string, ReadonlySet<string>>();
  for (const [, names, from] of text.matchAll(IMPORT)) {
    const path = join(dirname(file), from!);
    if (!path.startsWith("tests")) continue;
    const { byExport, all } = await needsOf(path);
    if (!names!.startsWith("{")) imported.set(names!, all);
    for (const name of names!.match(/[\w$]+/g) ?? []) imported.set(name, byExport.get(name) ?? all);
  }
  const looked = new Set(
    [...text.matchAll(LOOKS)].flatMap(([, names]) => names!.match(/[\w.-]+/g) ?? []),
  );
  const code = text.replaceAll(IMPORT, "");
  const needsIn = (part: string): Set<string> => {
    const found = [...part.matchAll(STARTS)].map(([, name]) => name!);
    for (const [name, needs] of imported) {
      if (new RegExp(`\\b${name.replaceAll("$", "\\$")}\\b`).test(part)) found.push(...needs);
    }
    return new Set(found.filter((name) => !looked.has(name)));
  };
  const byExport = new Map<string, ReadonlySet<string>>();
  for (const part of code.split(/^(?=export )/m)) {
    const name = /^export (?:async )?(?:abstract )?\w+\*? ([\w$]+)/.exec(part)?.[1];
    if (name !== undefined) byExport.set(name, needsIn(part));
  }
  return { byExport, all: needsIn(code) };
}
