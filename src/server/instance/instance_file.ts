/**
 * What a daemon leaves in its runtime directory for `skitai status`.
 *
 * @module
 */

import { join } from "../../core/file_path.ts";
import type { WorkerInfo } from "../server.ts";

/** Facts about a daemon. */
export interface InstanceFacts {
  /** Name of the service. */
  readonly name: string;
  /** Process id of the supervisor. */
  readonly pid: number;
  /** Process id of the engine. */
  readonly enginePid: number;
  /** Milliseconds since 1970 when the daemon started. */
  readonly startedAt: number;
  /** Address in use. */
  readonly address: string;
  /** Port in use. */
  readonly port: number;
  /** Start script. */
  readonly script: string;
  /** The workers. */
  readonly workers: readonly WorkerInfo[];
}

const NAME = "instance.json";

/** Writes the facts, replacing older ones in one step so that nobody reads half of them. */
export function writeInstance(varPath: string, facts: InstanceFacts): void {
  const path = join(varPath, NAME);
  const temporary = `${path}.${Deno.pid}`;
  Deno.writeTextFileSync(temporary, JSON.stringify(facts, null, 2) + "\n");
  Deno.renameSync(temporary, path);
}

/** Reads the facts; `undefined` where no daemon ever left any, or none that can be understood. */
export async function readInstance(varPath: string): Promise<InstanceFacts | undefined> {
  try {
    const facts = JSON.parse(await Deno.readTextFile(join(varPath, NAME)));
    return typeof facts?.startedAt === "number" ? facts : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
