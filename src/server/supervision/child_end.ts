/**
 * The end of a child process, in the right order with what it said last.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";

/** Milliseconds the last reports of a process may come after the news of its end. */
const LAST_REPORTS_MS = 500;

/**
 * Calls the listener once the child has ended and its channel is closed. The news of the end may overtake
 * the last messages, and it is those that say why.
 */
export function onEnd(
  child: ChildProcess,
  listener: (code: number | null, signal: string | null) => void,
): void {
  let end: (() => void) | undefined;
  child.on("exit", (code, signal) => {
    const timer = setTimeout(() => end?.(), LAST_REPORTS_MS);
    end = () => {
      clearTimeout(timer);
      end = undefined;
      listener(code, signal);
    };
    if (!child.connected) end();
  });
  child.on("disconnect", () => end?.());
}
