import assert from "node:assert/strict";
import { copyOf } from "../../src/was/kept_outcome.ts";

Deno.test("CACHE-06 a copy of kept data is equal and shares nothing that can be changed", () => {
  class Identifier {
    constructor(readonly value: string) {}
  }
  const named = JSON.parse('{"__proto__":{"a":[1]},"b":{"__proto__":1}}');
  const bare = Object.assign(Object.create(null), { at: new Date(5), list: [{ n: 1 }] });
  const data = {
    rows: [{ id: 1, at: new Date(1), bytes: new Uint8Array([1, 2]), nothing: null }, bare, named],
    map: new Map([["k", { v: 1 }]]),
    set: new Set([1]),
    view: new Float64Array([0.5]),
    buffer: new Uint8Array([7]).buffer,
    missing: undefined,
    identifier: new Identifier("a"),
  };
  const copy = copyOf(data) as typeof data;
  assert.deepEqual(copy, data);
  assert.ok("missing" in copy);
  assert.equal(Object.getPrototypeOf(copy.rows[1]), null);
  assert.deepEqual(Object.keys(copy.rows[2]!), ["__proto__", "b"]);
  assert.equal(Object.getPrototypeOf(copy.rows[2]), Object.prototype);
  // The identifier of a driver is a value.
  assert.equal(copy.identifier, data.identifier);

  const shared: string[] = [];
  const compare = (left: unknown, right: unknown, path: string): void => {
    if (typeof left !== "object" || left === null || left instanceof Identifier) return;
    if (left === right) shared.push(path);
    for (const name of Object.keys(left)) {
      const at = (of: unknown) => Object.getOwnPropertyDescriptor(of, name)?.value;
      compare(at(left), at(right), `${path}.${name}`);
    }
  };
  compare(copy, data, "data");
  assert.deepEqual(shared, []);
  assert.notEqual(copy.map.get("k"), data.map.get("k"));
});

Deno.test("CACHE-06 values that are no objects are their own copies", () => {
  for (const value of [null, undefined, 0, "", true, 1n]) assert.equal(copyOf(value), value);
});
