/**
 * Memory of processes: how much they have, and whether it grows under load.
 *
 * @module
 */

import { load, type LoadOptions, type Running } from "./harness.ts";

/** Resident memory of a process and its children in megabytes, from `/proc`. */
export async function residentMegabytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  let sum = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  for (const child of children.trim().split(" ").filter(Boolean)) {
    sum += await residentMegabytes(Number(child));
  }
  return sum;
}

/** Seconds that the compiler and the heap are given to find their size. */
const WARM_SECONDS = 7;
/** Seconds of the rounds together, and how many there are at least. */
const MEASURED_SECONDS = 18;
const MIN_ROUNDS = 6;
const SAMPLE_MS = 50;

/** What memory did under load. */
export interface Growth {
  /** Most resident memory in each round in megabytes, in their order. */
  readonly megabytes: readonly number[];
  /** Growth in megabytes a second, by the line that lies nearest to all rounds. */
  readonly slope: number;
  /** Requests a second of each round. */
  readonly rates: readonly number[];
}

/**
 * Loads a subject until it is warm and then in rounds of equal length, about 25 s in all, while its
 * memory is watched. A heap grows until it is collected and then shrinks: a round is worth its
 * peak, or the figures would tell when garbage was collected, and not what is kept.
 *
 * @param rounds how many are wished for; at least 6 there are, and none is shorter than a second.
 */
export async function growth(
  running: Running,
  rounds: number,
  options: Omit<LoadOptions, "seconds"> = {},
): Promise<Growth> {
  // wrk takes whole seconds.
  const seconds = Math.max(1, Math.floor(MEASURED_SECONDS / Math.max(rounds, MIN_ROUNDS)));
  const count = Math.floor(MEASURED_SECONDS / seconds);
  await load(running, { ...options, seconds: WARM_SECONDS });
  const megabytes: number[] = [];
  const rates: number[] = [];
  for (let round = 0; round < count; round++) {
    let over = false;
    const loaded = load(running, { ...options, seconds }).finally(() => over = true);
    const [{ rate }, looks] = await Promise.all([loaded, watch(running.pid, () => over)]);
    rates.push(rate);
    megabytes.push(Math.max(...looks));
  }
  return { megabytes, slope: slope(megabytes) / seconds, rates };
}

/** Looks at the memory of a process now and then until it is over. */
async function watch(pid: number, over: () => boolean): Promise<number[]> {
  const looks: number[] = [];
  while (!over()) {
    looks.push(await residentMegabytes(pid));
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  }
  return looks;
}

/** Slope of the straight line nearest to values at equal distances, by least squares. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((a, b) => a + b) / values.length;
  let products = 0;
  let squares = 0;
  values.forEach((value, i) => {
    products += (i - middle) * (value - mean);
    squares += (i - middle) ** 2;
  });
  return products / squares;
}
