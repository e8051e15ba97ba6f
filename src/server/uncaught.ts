/**
 * Errors that no request and no caller was there to take.
 *
 * @module
 */

import { asError } from "../core/errors.ts";

/**
 * Listens for errors thrown outside of any request, and for promises rejected without anybody to hear,
 * which would end the thread. Until the returned function is called, the listener decides instead.
 */
export function onUncaught(listener: (error: Error) => void): () => void {
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    listener(asError(event.error ?? event.message));
  };
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    listener(asError(event.reason));
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return () => {
    removeEventListener("error", onError);
    removeEventListener("unhandledrejection", onRejection);
  };
}
