import assert from "node:assert/strict";
import { cluster, hasCluster } from "../../src/was/cluster.ts";

Deno.test("OPS-22 an address that is no Redis, or an unknown option, is refused at once", () => {
  assert.throws(() => cluster("http://a.test"), /cluster: expected an address such as redis:/);
  assert.throws(() => cluster("localhost"), /expected an address/);
  assert.throws(() => cluster(undefined as never), /expected an address/);
  assert.throws(() => cluster("redis://a", { name: "x" } as never), /known is prefix/);
  assert.equal(hasCluster(), false);
});
