/**
 * Responses that were made with every header they need, so that nobody has to look at them again: the
 * runtime keeps the headers of a new response in a form it sends at once, until somebody asks for them.
 *
 * @module
 */

const COMPLETE: unique symbol = Symbol("complete");

interface Marked {
  [COMPLETE]?: true;
}

/** Notes that the standard headers are there. */
export function markComplete(res: Response): Response {
  (res as Marked)[COMPLETE] = true;
  return res;
}

/** Whether the standard headers are known to be there. */
export function isComplete(res: Response): boolean {
  return (res as Marked)[COMPLETE] === true;
}
