import assert from "node:assert/strict";
import { later, loadTimers } from "../../src/core/later.ts";

Deno.test("what is to run later runs once, after its time and in order, unless it is cancelled", async () => {
  const ran: string[] = [];
  const done = Promise.withResolvers<void>();
  const began = performance.now();
  let early = false;
  later(60, () => {
    early = performance.now() - began < 59;
    ran.push("last");
    done.resolve();
  });
  later(20, () => ran.push("second"));
  const cancel = later(10, () => ran.push("cancelled"));
  later(0, () => ran.push("first"));
  assert.deepEqual(ran, [], "nothing runs at once");
  cancel();
  const alive = setTimeout(() => {}, 60_000);
  await done.promise;
  clearTimeout(alive);
  assert.deepEqual(ran, ["first", "second", "last"]);
  assert.equal(early, false);
  cancel();
});

Deno.test("a wait keeps no process alive, and a process that waits for nothing else hears of its end", async () => {
  const module = import.meta.resolve("../../src/core/later.ts");
  const run = async (code: string): Promise<string> => {
    const script = `import { later } from ${JSON.stringify(module)};\n${code}`;
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", script],
      stdin: "null",
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  assert.equal(await run(`later(600_000, () => {}); console.log("ended");`), "ended");
  // An idle server has no timers and no work: the wait itself must wake it.
  assert.equal(
    await run(`
      const server = Deno.serve({ port: 0, onListen() {} }, () => new Response());
      later(50, () => { console.log("woken"); server.shutdown(); });
    `),
    "woken",
  );
});

Deno.test("loading the timers leaves none behind", () => {
  loadTimers();
  loadTimers();
});
