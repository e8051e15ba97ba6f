/** Runs where `was.offload` wants it to. */
export function square(n: number): number {
  return n * n;
}
