import { deepEqual, equal } from "node:assert/strict";
import { LiveList } from "../../src/core/live_list.ts";

const items = (...names: string[]) => names.map((name) => ({ name, place: -1 }));
const namesOf = (list: LiveList<{ name: string; place: number }>) =>
  [...list].map(({ name }) => name).sort().join("");

Deno.test("a list knows what is in it, whatever comes and goes", () => {
  const list = new LiveList<{ name: string; place: number }>();
  const [a, b, c, d] = items("a", "b", "c", "d");
  equal(list.size, 0);
  equal(list.delete(a!), false);
  for (const one of [a!, b!, c!]) list.add(one);
  equal(namesOf(list), "abc");
  equal(list.delete(b!), true);
  equal(list.delete(b!), false);
  equal(list.size, 2);
  list.add(d!);
  equal(namesOf(list), "acd");
  list.add(b!);
  equal(namesOf(list), "abcd");
  for (const one of [a!, b!, c!, d!]) equal(list.delete(one), true);
  equal(list.size, 0);
  deepEqual([...list], []);
});

Deno.test("those that leave while a list is gone through are left out", () => {
  const list = new LiveList<{ name: string; place: number }>();
  const all = items("a", "b", "c", "d");
  for (const one of all) list.add(one);
  const seen: string[] = [];
  const more = items("e")[0]!;
  for (const one of list) {
    seen.push(one.name);
    list.delete(one);
    list.delete(all[2]!);
    if (one.name === "a") list.add(more);
  }
  deepEqual(seen, ["a", "b", "d"]);
  equal(namesOf(list), "e");
});

Deno.test("places are used again: a list is as long as it ever had to be", () => {
  const list = new LiveList<{ name: string; place: number }>();
  for (let round = 0; round < 100; round++) {
    const all = items("a", "b", "c");
    for (const one of all) {
      list.add(one);
      equal(one.place < 3, true);
    }
    for (const one of all) list.delete(one);
  }
  equal(list.size, 0);
});
