/**
 * The pages that ask a backend, ours and those of peers on Deno.
 *
 * @module
 */

import type { Subject } from "./harness.ts";
import { type Other, peer, skitai } from "./scenario.ts";

/** Our pages of a kind of backend. */
export const ours = (kind: string, path: string, env: Record<string, string>): Subject => ({
  name: "Skitai (Atila)",
  command: skitai("asking.ts", kind),
  path,
  env,
});

/** A page that asks by the driver alone, as one of those to compare with. */
export const bare = (
  name: string,
  page: string,
  env: Record<string, string>,
  ...flags: string[]
): Other => ({ name, command: peer("deno_asking.ts", page, ...flags), env });
