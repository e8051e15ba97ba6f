/**
 * The one test command, `deno task test`: runs every test and ends with `N passed, N failed, N skipped`.
 *
 * Unit tests run in parallel; tests that start servers, processes and workers (`tests/system`,
 * `tests/conformance`, `tests/examples`) run one file after the other. Words after `--` are file or
 * folder names to run instead of everything.
 *
 * With `SKITAI_REQUIRE_SERVICES=1` a missing service is an error, otherwise its tests are skipped. A file
 * whose tests start a program that is not installed, such as curl, is skipped as a whole and counts as one.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- a command line tool

import { missingPrograms } from "./needed_programs.ts";

const SERIAL = ["tests/system", "tests/conformance", "tests/examples"];
const FLAGS = ["-A", "--unstable-net", "--sanitize-ops", "--sanitize-resources", "--no-check"];

/** How many tests ended how. */
export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** Every test file below a folder, sorted. */
async function testFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await testFiles(path));
    else if (entry.name.endsWith("_test.ts")) found.push(path);
  }
  return found.sort();
}

/** Counts the tests of a JUnit report. Steps belong to their test and are not counted again. */
export function countTests(xml: string): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const [, suite] of xml.matchAll(/<testsuite ([\s\S]*?)<\/testsuite>/g)) {
    const cases = [
      ...suite!.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g),
    ];
    const names = new Set(cases.map(([, name]) => name!));
    const isStep = (name: string): boolean => {
      const parts = name.split(" &gt; ");
      return parts.some((_, i) => i > 0 && names.has(parts.slice(0, i).join(" &gt; ")));
    };
    for (const [, name, body = ""] of cases) {
      if (isStep(name!)) continue;
      if (/<(failure|error)\b/.test(body)) totals.failed++;
      else if (/<skipped\b/.test(body)) totals.skipped++;
      else totals.passed++;
    }
  }
  return totals;
}

/** Runs `deno test` on some files, showing its output as it comes, and counts what its report says. */
async function run(files: string[], extra: string[]): Promise<Totals> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", ...FLAGS, ...extra, `--junit-path=${report}`, ...files],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn().status;
    const totals = countTests(await Deno.readTextFile(report));
    // A file that does not load has no test case of its own.
    if (code !== 0 && totals.failed === 0) totals.failed = 1;
    return totals;
  } finally {
    await Deno.remove(report);
  }
}

async function main(wanted: string[]): Promise<number> {
  const all = await testFiles("tests");
  const matches = (file: string) =>
    wanted.length === 0 || wanted.some((name) => file.includes(name.replace(/^\.\//, "")));
  const chosen: string[] = [];
  const without: string[] = [];
  for (const file of all.filter(matches)) {
    const missing = await missingPrograms(file);
    if (missing.length === 0 || Deno.env.get("SKITAI_REQUIRE_SERVICES") === "1") chosen.push(file);
    else without.push(`${file}: needs ${missing.join(" and ")}`);
  }
  const serial = chosen.filter((file) => SERIAL.some((folder) => file.startsWith(`${folder}/`)));
  const parallel = chosen.filter((file) => !serial.includes(file));

  // A package that is fetched in the middle of a test shows up in what the program under test prints.
  await new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"], stdin: "null" }).spawn()
    .status;

  const total: Totals = { passed: 0, failed: 0, skipped: without.length };
  for (const part of [await run(parallel, ["--parallel"]), await run(serial, [])]) {
    total.passed += part.passed;
    total.failed += part.failed;
    total.skipped += part.skipped;
  }
  for (const line of without) console.log(`skipped ${line}`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.passed + total.failed === 0) {
    console.error("No test was run");
    return 1;
  }
  return total.failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
