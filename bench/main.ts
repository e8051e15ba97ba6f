/**
 * `deno task bench`: measures this server beside its peers and keeps the table in `bench/results.md`.
 *
 * `--rounds N` and `--seconds N` set the effort (5 and 3), `--only NAME` picks scenarios by a part of
 * their name, `--dry` leaves `results.md` alone. Needs `wrk`; peers that are not installed are
 * shown as not measured.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- a command line tool

import { HERE } from "./harness.ts";
import { preparePeers, versions } from "./peers.ts";
import type { Row } from "./scenario.ts";
import { containerScenarios } from "./scenarios_container.ts";
import { databaseScenarios } from "./scenarios_databases.ts";
import { httpScenarios } from "./scenarios_http.ts";
import { serverScenarios } from "./scenarios_server.ts";

function option(name: string, fallback: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  return at === -1 ? fallback : Number(Deno.args[at + 1]);
}

const only = Deno.args.includes("--only") ? Deno.args[Deno.args.indexOf("--only") + 1]! : "";
const effort = { rounds: option("rounds", 5), seconds: option("seconds", 3) };

const peers = await preparePeers();
const scenarios = [
  ...serverScenarios,
  ...containerScenarios,
  ...databaseScenarios,
  ...httpScenarios,
];
const lines: string[] = [];
for (const { name, run } of scenarios) {
  if (!name.includes(only)) continue;
  console.error(`… ${name}`);
  const rows = await run(effort, peers);
  lines.push(`## ${name}`, "", ...table(rows), "");
  console.log(lines.slice(-rows.length - 5).join("\n"));
}

function table(rows: readonly Row[]): string[] {
  return [
    "| subject | median | ratio | CPU per request | ratio by CPU | wanted |",
    "|---|---:|---:|---:|---:|---|",
    ...rows.map(({ subject, value, ratio, cpu, cpuRatio, wanted }) =>
      `| ${[subject, value, ratio, cpu, cpuRatio, wanted].map((text) => text ?? "").join(" | ")} |`
    ),
  ];
}

if (!Deno.args.includes("--dry") && only === "") {
  const head = [
    "# Benchmark results",
    "",
    "Written by `deno task bench`. Each ratio is ours to the subject named beside it, medians of",
    `${effort.rounds} interleaved rounds of ${effort.seconds} s, wrk with one thread and 64 connections over loopback.`,
    "Absolute figures depend on the machine and the minute; the ratios are what to look at. The load",
    "generator shares the processors with what it measures: the ratio by CPU leaves it out.",
    "",
    ...await versions(),
    "",
  ];
  await Deno.writeTextFile(`${HERE}results.md`, [...head, ...lines].join("\n"));
}
