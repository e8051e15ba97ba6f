/**
 * `skitai status`: every service that has a runtime directory, and whether it runs.
 *
 * @module
 */

import { asError } from "../../core/errors.ts";
import { join } from "../../core/file_path.ts";
import { readInstance } from "../instance/instance_file.ts";
import { daemonPid } from "../instance/pid_file.ts";
import { getVarBase } from "../paths.ts";

/** A service with a runtime directory. */
export interface Instance {
  /** Name of the directory. */
  readonly name: string;
  /** Process id of the daemon; `undefined` when it is stopped. */
  readonly pid: number | undefined;
  /** Seconds it has been running; `undefined` when that is unknown. */
  readonly seconds: number | undefined;
  /** Where it serves, such as `127.0.0.1 port 5000`; `""` when that is unknown. */
  readonly serving: string;
  /** Why nothing can be said about it, such as files of another user. */
  readonly problem?: string;
}

/** All services that have a runtime directory, by name. */
export async function listInstances(base: string = getVarBase()): Promise<Instance[]> {
  const instances: Instance[] = [];
  for (const name of await directories(base)) {
    try {
      instances.push(await instanceOf(name, join(base, name)));
    } catch (error) {
      // The others are none the worse for it.
      const { message: problem } = asError(error);
      instances.push({ name, pid: undefined, seconds: undefined, serving: "", problem });
    }
  }
  return instances;
}

async function instanceOf(name: string, path: string): Promise<Instance> {
  const pid = await daemonPid(path);
  const facts = pid === undefined ? undefined : await readInstance(path);
  const known = facts?.pid === pid ? facts : undefined;
  return {
    name,
    pid,
    seconds: known && (Date.now() - known.startedAt) / 1000,
    serving: known ? `${known.address} port ${known.port}` : "",
  };
}

/** One line about a service: `running for 2 h 5 m, pid 4711`, `stopped`, or why that is unknown. */
export function describeInstance({ pid, seconds, serving, problem }: Instance): string {
  if (problem !== undefined) return `unknown: ${problem}`;
  if (pid === undefined) return "stopped";
  const parts = [seconds === undefined ? "running" : `running for ${duration(seconds)}`];
  parts.push(`pid ${pid}`);
  if (serving !== "") parts.push(serving);
  return parts.join(", ");
}

/** A time in its two largest units: `3 d 4 h`, `5 m 6 s`, `7 s`. */
export function duration(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0 s";
  return parts.slice(first, first + 2).filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`).join(" ");
}

async function directories(base: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(base)) if (entry.isDirectory) names.push(entry.name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}
