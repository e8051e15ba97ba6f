/**
 * Memory of processes.
 *
 * @module
 */

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
