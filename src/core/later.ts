/**
 * Waiting without the timers of the runtime, which load a good part of Node when they are first used:
 * that takes as long as all the rest a small service does between its start and its first answer.
 *
 * @module
 */

/** Ends a wait; after it nothing runs. */
export type Cancel = () => void;

/** What nobody ever wakes: only time ends a wait for it. */
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Runs something once, after so many milliseconds or soon after. The wait does not keep the process
 * alive.
 */
export function later(ms: number, run: () => void): Cancel {
  if (typeof Atomics.waitAsync !== "function") return byTimer(ms, run);
  const wait = Atomics.waitAsync(never, 0, 0, ms);
  let wanted: (() => void) | undefined = run;
  const end = (): void => {
    const due = wanted;
    wanted = undefined;
    due?.();
  };
  void (wait.async ? wait.value : Promise.resolve()).then(end);
  return () => {
    wanted = undefined;
  };
}

let areTimersLoaded = false;

/**
 * Loads the timers of the runtime if none was used yet. While they load, promises go on in the middle
 * of whatever needed one; so this comes before anything that must not be interrupted.
 */
export function loadTimers(): void {
  if (areTimersLoaded) return;
  areTimersLoaded = true;
  clearTimeout(setTimeout(() => {}, 0));
}

function byTimer(ms: number, run: () => void): Cancel {
  const timer = setTimeout(run, ms);
  Deno.unrefTimer(timer);
  return () => clearTimeout(timer);
}
