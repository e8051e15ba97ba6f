/**
 * Compares `docs/features.md` with the names of the tests, `deno task features`.
 *
 * Prints per area what is done and what is open, and fails when a row called done is carried by no
 * test. With `--mark`, rows that tests carry are set to done first; with `--open`, open rows are listed.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- a command line tool

const LIST = new URL("../docs/features.md", import.meta.url);
const TESTS = new URL("../tests/", import.meta.url);
const ROW = /^\| ([A-Z0-9]+-\d+) \| (.+?) \| (done|open) \|$/;
const ID = /\b[A-Z][A-Z0-9]+-\d{2}\b/g;

/** A row of the list. */
interface Feature {
  readonly id: string;
  readonly name: string;
  state: "done" | "open";
}

async function testFiles(folder: URL): Promise<URL[]> {
  const found: URL[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) found.push(...await testFiles(new URL(`${entry.name}/`, folder)));
    else if (/(_test|_suite)\.ts$/.test(entry.name)) found.push(new URL(entry.name, folder));
  }
  return found;
}

/** Ids at the start of the names of tests: of every call whose first argument is text that begins with one. */
export function idsOf(source: string): string[] {
  const name = /\b\w+(?:\.\w+)?\(\s*(?:\{\s*name:\s*)?["'`]([A-Z][A-Z0-9]+-\d{2}\b[^"'`]*)["'`]/g;
  return [...source.matchAll(name)].flatMap(([, text]) => {
    const lead = /^(?:[A-Z][A-Z0-9]+-\d{2}[\s,…]*)+/.exec(text!)?.[0] ?? "";
    return lead.match(ID) ?? [];
  });
}

async function main(flags: readonly string[]): Promise<number> {
  const carried = new Map<string, string[]>();
  for (const file of await testFiles(TESTS)) {
    const where = file.pathname.slice(TESTS.pathname.length);
    for (const id of new Set(idsOf(await Deno.readTextFile(file)))) {
      carried.set(id, [...carried.get(id) ?? [], where]);
    }
  }

  const lines = (await Deno.readTextFile(LIST)).split("\n");
  const areas = new Map<string, Feature[]>();
  let area = "";
  for (const [i, line] of lines.entries()) {
    if (line.startsWith("## ")) area = line.slice(3);
    const row = ROW.exec(line);
    if (row === null) continue;
    const feature: Feature = { id: row[1]!, name: row[2]!, state: row[3] as Feature["state"] };
    if (flags.includes("--mark")) {
      feature.state = carried.has(feature.id) ? "done" : "open";
      lines[i] = `| ${feature.id} | ${feature.name} | ${feature.state} |`;
    }
    areas.set(area, [...areas.get(area) ?? [], feature]);
  }
  if (flags.includes("--mark")) await Deno.writeTextFile(LIST, lines.join("\n"));

  const all = [...areas.values()].flat();
  for (const [name, features] of areas) {
    const done = features.filter((feature) => feature.state === "done").length;
    console.log(`${String(done).padStart(3)} of ${String(features.length).padStart(3)}  ${name}`);
    if (!flags.includes("--open")) continue;
    for (const feature of features.filter((feature) => feature.state === "open")) {
      console.log(`             ${feature.id} ${feature.name}`);
    }
  }
  const done = all.filter((feature) => feature.state === "done");
  console.log(`${String(done.length).padStart(3)} of ${String(all.length).padStart(3)}  all`);

  const known = new Set(all.map((feature) => feature.id));
  const unproved = done.filter((feature) => !carried.has(feature.id)).map((feature) => feature.id);
  const unmarked = all.filter((feature) => feature.state === "open" && carried.has(feature.id));
  const unknown = [...carried.keys()].filter((id) => !known.has(id));
  if (unproved.length > 0) console.error(`called done, carried by no test: ${unproved.join(" ")}`);
  if (unknown.length > 0) console.error(`carried by a test, not in the list: ${unknown.join(" ")}`);
  if (unmarked.length > 0) {
    console.log(
      `carried by a test, called open: ${unmarked.map((feature) => feature.id).join(" ")}`,
    );
  }
  return unproved.length + unknown.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
