/**
 * Code that waits only where it has to.
 *
 * @module
 */

import { isThenable } from "../core/handler.ts";

/** Steps of some work: each `yield` gives what is to be waited for, and gets what it came to. */
// deno-lint-ignore no-explicit-any -- a generator has one type for all that its yields come to
export type Steps<R> = Generator<unknown, R, any>;

/**
 * Runs steps. As long as none of them gives a promise everything stays synchronous, which saves a request
 * with hooks about a third of its time; from the first promise on it is what an async function does.
 */
export function runSteps<R>(steps: Steps<R>): R | Promise<R> {
  let step = steps.next();
  while (!step.done) {
    const { value } = step;
    if (isThenable(value)) return continueSteps(steps, value);
    step = steps.next(value);
  }
  return step.value;
}

async function continueSteps<R>(steps: Steps<R>, first: unknown): Promise<R> {
  let pending = first;
  for (;;) {
    let result: unknown;
    let isFailed = false;
    try {
      result = await pending;
    } catch (error) {
      result = error;
      isFailed = true;
    }
    const step = isFailed ? steps.throw(result) : steps.next(result);
    if (step.done) return step.value;
    pending = step.value;
  }
}
