import assert from "node:assert/strict";
import { Atila } from "../../src/atila/mod.ts";
import { isPlainObject } from "../../src/core/plain_object.ts";

Deno.test("DB-09 ATL-19 records of values are told from other objects; arguments of handlers are such records", async () => {
  assert.ok(isPlainObject({}));
  assert.ok(isPlainObject(Object.create(null)));
  assert.ok(isPlainObject(JSON.parse('{"__proto__":1}')));
  class Pet {}
  const others = [null, undefined, 1, "a", [], () => 1, new Date(), new Map(), new Pet()];
  others.push(new Uint8Array(1), Object.create({ inherited: 1 }), Object.create(Object.create({})));
  for (const other of others) assert.equal(isPlainObject(other), false, String(other));

  const app = new Atila(import.meta.url);
  app.route("/<int:id>", { args: { name: "" } }, (_was, args) => String(isPlainObject(args)));
  app.route("/all", (_was, args) => String(isPlainObject(args)));
  const client = app.makeClient();
  assert.equal((await client.get("/4?name=a")).text, "true");
  assert.equal((await client.get("/all?name=a")).text, "true");
});
