import assert from "node:assert/strict";
import { Maintenance } from "../../src/server/maintenance.ts";

Deno.test("SRV-29 maintenance jobs run periodically, never twice at once, and errors are logged", async () => {
  const traced: unknown[] = [];
  const enough = Promise.withResolvers<void>();
  {
    using maintenance = new Maintenance({
      log: () => {},
      trace: (error, id) => traced.push([(error as Error).message, id]),
    });
    let running = 0;
    let most = 0;
    let runs = 0;
    maintenance.add("slow", async (now) => {
      assert.ok(Math.abs(Date.now() - now) < 10_000);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 15));
      running--;
      if (++runs === 3) enough.resolve();
    }, 0.005);
    maintenance.add("bad", () => Promise.reject(new Error("no")), 0.005);
    const remove = maintenance.add("removed", () => assert.fail("was removed"), 0.001);
    remove();
    // The jobs keep no process alive, not even that of a test.
    const alive = setTimeout(() => {}, 60_000);
    await enough.promise;
    clearTimeout(alive);
    assert.equal(most, 1);
    assert.ok(traced.length >= 2, "a job that fails runs again");
    assert.deepEqual(traced[0], ["no", "maintenance/bad"]);
    assert.throws(() => maintenance.add("x", () => {}, 0), { name: "RangeError" });
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
});
