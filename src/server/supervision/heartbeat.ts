/**
 * Finds out that a process or thread does not respond any more.
 *
 * @module
 */

/** Environment variable with the seconds after which what does not respond counts as hung. Default 10. */
export const HANG_ENV = "SKITAI_HANG_SECONDS";

const BEAT_MS = 1000;

/** Beats without an answer that make it a hang; 0 never does. */
export function beatsUntilHung(): number {
  const text = Deno.env.get(HANG_ENV);
  const seconds = text === undefined || text === "" ? 10 : Number(text);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds) : 10;
}

/**
 * Sends a ping every second and counts those without an answer. Counting beats instead of looking at the
 * clock keeps a machine that was suspended from finding everything hung when it wakes up.
 */
export class Heartbeat {
  #timer: ReturnType<typeof setInterval> | undefined;
  #missed = 0;

  /** Starts beating. `hung` is called once. */
  constructor(ping: () => void, hung: (beats: number) => void, limit: number = beatsUntilHung()) {
    if (limit === 0) return;
    this.#timer = setInterval(() => {
      if (++this.#missed > limit) {
        this.stop();
        hung(limit);
      } else {
        ping();
      }
    }, BEAT_MS);
  }

  /** An answer came. */
  answered(): void {
    this.#missed = 0;
  }

  /** Stops beating. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
