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
  readonly #open = new Set<Upload>();
  #wake: (() => void) | undefined;

  /** A request is being handled and may want its body. */
  begin(upload: Upload): void {
    if (!upload.isOver) this.#open.add(upload);
  }

  /** Its body was read to an end, good or bad, or is not wanted any more. */
  end(upload: Upload): void {
    upload.isOver = true;
    if (this.#open.delete(upload) && this.#open.size === 0) this.#wake?.();
  }

  /** Resolves when no body is on its way. One caller at a time. */
  settled(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#wake = resolve);
  }
}

/** One of them. */
export interface Upload {
  /** Set once. */
  isOver: boolean;
}
