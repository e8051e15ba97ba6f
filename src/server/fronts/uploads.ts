/**
 * Request bodies that are on their way.
 *
 * @module
 */

/**
 * Counts requests whose body may still come, for a front that must not shut down before: the runtime
 * makes the bodies of running HTTP/1.1 requests unreadable in the moment its server shuts down
 * (denoland/deno#36809).
 */
export class Uploads {
  #open = 0;
  #wake: (() => void) | undefined;

  /** A request is being handled and may want its body. */
  begin(upload: Upload): void {
    if (upload.isOver || upload.isCounted) return;
    upload.isCounted = true;
    this.#open++;
  }

  /** Its body was read to an end, good or bad, or is not wanted any more. */
  end(upload: Upload): void {
    upload.isOver = true;
    if (!upload.isCounted) return;
    upload.isCounted = false;
    if (--this.#open === 0) this.#wake?.();
  }

  /** Resolves when no body is on its way. One caller at a time. */
  settled(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => this.#wake = resolve);
  }
}

/** One of them. */
export interface Upload {
  /** Set once. */
  isOver: boolean;
  /** True while it counts. */
  isCounted: boolean;
}
