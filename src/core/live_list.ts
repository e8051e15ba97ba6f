/**
 * Things that come and go in great numbers, such as requests under way.
 *
 * @module
 */

/** What can be in a list. */
export interface Listed {
  /** Where it is in its list; -1 while it is in none. */
  place: number;
}

/**
 * A set that forgets what is taken out at once.
 *
 * A `Set` leaves it in a table that is replaced now and then, and a table that has grown old keeps the
 * next one alive, with all it held: thousands of requests, until the collector goes through everything.
 */
export class LiveList<T extends Listed> implements Iterable<T> {
  readonly #items: (T | undefined)[] = [];
  readonly #free: number[] = [];

  /** How many are in it. */
  get size(): number {
    return this.#items.length - this.#free.length;
  }

  /** Puts one in; one that is in already stays as it is. */
  add(item: T): void {
    if (item.place !== -1) return;
    const place = this.#free.pop();
    if (place === undefined) item.place = this.#items.push(item) - 1;
    else {
      item.place = place;
      this.#items[place] = item;
    }
  }

  /** Takes one out; false when it was not in. */
  delete(item: T): boolean {
    const { place } = item;
    if (place === -1) return false;
    item.place = -1;
    this.#items[place] = undefined;
    this.#free.push(place);
    return true;
  }

  /** Goes through those that are in it now; they may be taken out meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    for (const item of [...this.#items]) if (item !== undefined && item.place !== -1) yield item;
  }
}
