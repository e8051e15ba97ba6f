/**
 * A list whose members know their neighbours: anyone can leave it at once, wherever it stands.
 *
 * @module
 */

/** A member of a list. */
export interface Linked<T> {
  /** The one before it. */
  before: T | undefined;
  /** The one after it. */
  after: T | undefined;
}

/** The list. A member that has left refers to nobody, so that it keeps nobody in memory. */
export class LinkedList<T extends Linked<T>> {
  /** The first one. */
  first: T | undefined = undefined;
  /** The last one. */
  last: T | undefined = undefined;
  /** How many there are. */
  size = 0;

  /** Puts one in, behind another; without that in front of all. */
  insert(item: T, before: T | undefined): void {
    const after = before === undefined ? this.first : before.after;
    item.before = before;
    item.after = after;
    if (before === undefined) this.first = item;
    else before.after = item;
    if (after === undefined) this.last = item;
    else after.before = item;
    this.size++;
  }

  /** Takes out one that is in. */
  remove(item: T): void {
    const { before, after } = item;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    item.before = item.after = undefined;
    this.size--;
  }
}
