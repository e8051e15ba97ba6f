import { deepEqual, equal } from "node:assert/strict";
import { type Linked, LinkedList } from "../../src/core/linked_list.ts";

class Item implements Linked<Item> {
  before: Item | undefined = undefined;
  after: Item | undefined = undefined;
  constructor(readonly name: string) {}
}

function names(list: LinkedList<Item>): [forward: string, backward: string, size: number] {
  let forward = "";
  let backward = "";
  for (let item = list.first; item !== undefined; item = item.after) forward += item.name;
  for (let item = list.last; item !== undefined; item = item.before) backward += item.name;
  return [forward, backward, list.size];
}

Deno.test("members of a list join it anywhere and leave it from anywhere", () => {
  const list = new LinkedList<Item>();
  deepEqual(names(list), ["", "", 0]);
  const [a, b, c, d] = [..."abcd"].map((name) => new Item(name)) as [Item, Item, Item, Item];
  list.insert(b, list.last);
  list.insert(d, list.last);
  list.insert(a, undefined);
  list.insert(c, b);
  deepEqual(names(list), ["abcd", "dcba", 4]);
  list.remove(b);
  deepEqual(names(list), ["acd", "dca", 3]);
  equal(b.before ?? b.after, undefined, "it refers to nobody any more");
  list.remove(a);
  list.remove(d);
  deepEqual(names(list), ["c", "c", 1]);
  list.remove(c);
  deepEqual(names(list), ["", "", 0]);
  list.insert(b, list.last);
  deepEqual(names(list), ["b", "b", 1]);
});
