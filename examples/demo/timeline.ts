/** When each request of a page started and ended, for its waterfall. */

/** A bar of the waterfall; positions are percentages of its width. */
interface Bar {
  readonly name: string;
  readonly kind: string;
  readonly took: string;
  readonly left: string;
  readonly width: string;
}

/** Watches the requests of one page. */
export class Timeline {
  #start = performance.now();
  #seen: { kind: string; name: string; from: number; to: number }[] = [];

  /** Watches a future without waiting for it. */
  add<F extends PromiseLike<unknown>>(kind: string, name: string, future: F): F {
    const request = { kind, name, from: performance.now() - this.#start, to: NaN };
    this.#seen.push(request);
    future.then(() => request.to = performance.now() - this.#start);
    return future;
  }

  /** What was seen so far. The waterfall is as wide as the requests would take one after the other. */
  summary(): { bars: Bar[]; page: Bar; sum: Bar } {
    const page = performance.now() - this.#start;
    const sum = this.#seen.reduce((total, { from, to }) => total + to - from, 0);
    const scale = Math.max(page, sum);
    const bar = (kind: string, name: string, from: number, to: number): Bar => ({
      kind,
      name,
      took: `${(to - from).toFixed(1)} ms`,
      left: `${(from / scale * 100).toFixed(2)}%`,
      width: `${((to - from) / scale * 100).toFixed(2)}%`,
    });
    return {
      bars: this.#seen.map(({ kind, name, from, to }) => bar(kind, name, from, to)),
      page: bar("page", "This page", 0, page),
      sum: bar("sum", "One after the other", 0, sum),
    };
  }
}
