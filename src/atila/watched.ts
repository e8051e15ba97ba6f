/**
 * Guards that run a function when something has changed since they last looked.
 *
 * @module
 */

import { checkHook, isAnswer } from "./hooks.ts";
import type { AnyHandler, Guard } from "./route.ts";
import type { AtilaWas } from "./was.ts";

/** Runs when something has changed. What it returns, unless null, is the response. */
export type ChangeHook = (was: AtilaWas, changed: string) => unknown;

/**
 * Makes a guard that looks, at most every `interval` seconds, for the time of something, and runs a
 * function before the handler when it is newer than the one seen last. The first request always runs
 * it, if there is a time. Requests that come meanwhile wait until it is through. When it fails, the
 * request fails, and the next one tries again.
 *
 * @throws {RangeError} for an interval below 0. @throws {TypeError} for a hook that is no function.
 */
export function whenNewer(
  what: string,
  look: (was: AtilaWas) => number | undefined | Promise<number | undefined>,
  hook: ChangeHook,
  interval: number,
): Guard {
  checkHook(hook);
  if (!(interval >= 0)) {
    throw new RangeError(`Cannot look after ${what} every ${String(interval)} seconds`);
  }
  let seen = Number.NEGATIVE_INFINITY;
  let next = Number.NEGATIVE_INFINITY;
  let running: Promise<unknown> | undefined;

  const refresh = async (was: AtilaWas): Promise<unknown> => {
    const time = await look(was);
    if (time === undefined || time <= seen) return undefined;
    const answer = await hook(was, what);
    seen = time;
    return answer;
  };

  return (handler: AnyHandler): AnyHandler => (was, args) => {
    if (running !== undefined) {
      // A failure is told to the request that ran into it.
      return running.then(() => handler(was, args), () => handler(was, args));
    }
    const now = performance.now();
    if (now < next) return handler(was, args);
    next = now + interval * 1000;
    const mine = refresh(was).then(
      (answer) => {
        running = undefined;
        return answer;
      },
      (error) => {
        running = undefined;
        next = Number.NEGATIVE_INFINITY;
        throw error;
      },
    );
    running = mine;
    return mine.then((answer) => isAnswer(answer) ? answer : handler(was, args));
  };
}

/** Time of the last change of a file; `undefined` when there is none. */
export async function modified(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).mtime?.getTime();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
