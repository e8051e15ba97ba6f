/**
 * Looks paths up in the router named by the first argument. For each line it is given, a number of
 * milliseconds, it prints how many nanoseconds one look-up took by the clock and by the processor.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- its output is its purpose

import process from "node:process";
import { type Lookup, questions, ROUTERS } from "../peers/routers.ts";

/** Cuts the path out and does no more: what the loop itself costs. */
const nothing: Lookup = (path) => [path.length, undefined];

const lookup = ROUTERS[Deno.args[0]!]?.() ?? nothing;
const asked = questions();
if (lookup !== nothing) {
  for (const { path, route } of asked) {
    const [found, value] = lookup(path);
    if (found !== route) throw new Error(`${path} led to route ${found} instead of ${route}`);
    if (value !== undefined && !path.includes(String(value))) {
      throw new Error(`${path} gave the value ${value}`);
    }
  }
}

// As in a server, each path is a new string, cut out of an address: nothing is known of it yet.
const origin = "http://localhost:5000";
const addresses = asked.map(({ path }) => origin + path);

let sum = 0;
function pass(): void {
  for (let i = 0; i < addresses.length; i++) {
    sum += lookup(addresses[i]!.slice(origin.length))[0];
  }
}

function measure(milliseconds: number): { clock: number; processor: number } {
  const before = process.cpuUsage();
  const began = performance.now();
  let count = 0;
  let took: number;
  do {
    pass();
    count += addresses.length;
    took = performance.now() - began;
  } while (took < milliseconds);
  const { user, system } = process.cpuUsage(before);
  return { clock: took * 1e6 / count, processor: (user + system) * 1e3 / count };
}

let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  for (const line of lines) console.log(JSON.stringify(measure(Number(line))));
}
if (sum === -1) console.error(sum);
