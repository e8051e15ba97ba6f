/**
 * What a scenario is, and what most of them do: compare the rates of ours and its peers.
 *
 * @module
 */

import { median, rounds, type Subject } from "./harness.ts";
import { node, type Peers, python } from "./peers.ts";

/** A line of the table. */
export interface Row {
  /** Who. */
  readonly subject: string;
  /** Median, with its unit. */
  readonly value: string;
  /** Ours divided by it, where it is a peer. */
  readonly ratio?: string;
  /** Processor time of a request. */
  readonly cpu?: string;
  /** That of the peer divided by ours: what the ratio would be if nothing else ran on the machine. */
  readonly cpuRatio?: string;
  /** What the ratio should be. */
  readonly wanted?: string;
}

/** Effort of a run. */
export interface Effort {
  /** Rounds that count. */
  readonly rounds: number;
  /** Seconds of a round. */
  readonly seconds: number;
}

/** One comparison. */
export interface Scenario {
  /** Name, the heading of its table. */
  readonly name: string;
  /** Measures. */
  readonly run: (effort: Effort, peers: Peers) => Promise<Row[]>;
}

/** Somebody to compare with. */
export interface Other extends Subject {
  /** What the ratio should be. */
  readonly wanted?: string;
}

/** Command of a script of ours. */
export const skitai = (script: string, ...flags: string[]): readonly string[] => [
  "deno",
  "run",
  "-A",
  "--no-check",
  `subjects/${script}`,
  ...flags,
];

/** Command of a peer on Deno. */
export const peer = (script: string, ...flags: string[]): readonly string[] => [
  "deno",
  "run",
  "-A",
  "--no-check",
  `peers/${script}`,
  ...flags,
];

/** None of the peers sends `Server`; what the header costs is shown beside them. */
export const LIKE_PEERS = "--no-server-header";

/** Path of the routes that answer JSON. */
export const JSON_PATH = "/episode/12?lang=fr";

/** Stands in the table where somebody could not be measured. */
export const missing = (subject: string, reason: string): Row => ({
  subject,
  value: `not measured: ${reason}`,
});

/** The runtime alone, with a text of that many bytes that is ready: more is not to be had from it. */
export const readyText = (bytes: number): Other => ({
  name: `bare Deno.serve, a ready text of ${bytes} bytes`,
  command: peer("deno_text.ts", `${bytes}`),
});

/** A peer on Node, or that it is missing. */
export const onNode = (
  peers: Peers,
  other: Omit<Other, "command">,
  script: string,
): Other | Row =>
  peers.node
    ? { ...other, command: node(script) }
    : missing(other.name, "Node with its packages is not installed");

/** A peer on Python, or what is missing for it. */
export async function onPython(
  other: Omit<Other, "command">,
  script: string,
): Promise<Other | Row> {
  const found = await python(script);
  return "problem" in found
    ? missing(other.name, found.problem)
    : { ...other, command: found.command };
}

/** Compares rates of the first subject with the others; who is missing comes last. */
export async function compare(
  effort: Effort,
  ours: Subject,
  others: readonly (Other | Row)[],
  figure: "rate" | "megabytes" = "rate",
): Promise<Row[]> {
  const present = others.filter((other): other is Other => "command" in other);
  const absent = others.filter((other): other is Row => "subject" in other);
  const results = await rounds([ours, ...present], effort.rounds, { seconds: effort.seconds });
  const value = (name: string) => median(results.get(name)!.map((one) => one[figure]));
  const cpu = (name: string) => median(results.get(name)!.map((one) => one.cpuMicros));
  const unit = figure === "rate" ? "req/s" : "MB/s";
  const own = value(ours.name);
  const shown = (name: string) => `${Math.round(value(name))} ${unit}`;
  const cpuShown = (name: string) => `${cpu(name).toFixed(1)} µs`;
  return [
    { subject: ours.name, value: shown(ours.name), cpu: cpuShown(ours.name) },
    ...present.map(({ name, wanted }) => ({
      subject: name,
      value: shown(name),
      ratio: (own / value(name)).toFixed(2),
      cpu: cpuShown(name),
      cpuRatio: (cpu(name) / cpu(ours.name)).toFixed(2),
      wanted,
    })),
    ...absent,
  ];
}
