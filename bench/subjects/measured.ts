/**
 * The loop of a script that times itself.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- its output is its purpose

import process from "node:process";

/**
 * For each line of the input, a number of milliseconds, does `pass` that long and prints how many
 * nanoseconds one of the things it does took by the clock and by the processor. `pass` says how many
 * things it did.
 */
export async function measureOnDemand(pass: () => number | Promise<number>): Promise<void> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const before = process.cpuUsage();
      const began = performance.now();
      let count = 0;
      let took: number;
      do {
        count += await pass();
        took = performance.now() - began;
      } while (took < Number(line));
      const { user, system } = process.cpuUsage(before);
      console.log(JSON.stringify({
        clock: took * 1e6 / count,
        processor: (user + system) * 1e3 / count,
      }));
    }
  }
}
