import assert from "node:assert/strict";
import { runSteps, type Steps } from "../../src/atila/steps.ts";

const asked: unknown[] = [];

/** Asks for three things and survives a failure of the second. */
function* work(first: unknown, second: unknown, third: unknown): Steps<string> {
  const a = yield first;
  let b;
  try {
    b = yield second;
  } catch (error) {
    b = `caught ${(error as Error).message}`;
  } finally {
    asked.push(a);
  }
  return `${a} ${b} ${yield third}`;
}

Deno.test("HOOK-01 HOOK-04 steps that give no promise stay synchronous", () => {
  assert.equal(runSteps(work(1, undefined, "x")), "1 undefined x");
  function* fails(): Steps<void> {
    yield 1;
    throw new Error("planned");
  }
  assert.throws(() => runSteps(fails()), /planned/);
});

Deno.test("HOOK-01 HOOK-04 from the first promise on steps wait, and see what fails", async () => {
  const late = (value: unknown) => new Promise((resolve) => setTimeout(resolve, 0, value));
  // Fails when it is waited for, not before.
  const failing = (text: string) => ({
    then: (_done: unknown, fail: (error: Error) => void) => fail(new Error(text)),
  });
  const thenable = { then: (done: (value: string) => void) => done("thenable") };
  assert.equal(await runSteps(work(1, late(2), 3)), "1 2 3");
  assert.equal(await runSteps(work(late(1), thenable, late(3))), "1 thenable 3");
  assert.equal(
    await runSteps(work(late(1), failing("planned"), 3)),
    "1 caught planned 3",
  );
  await assert.rejects(
    async () => await runSteps(work(1, 2, failing("end"))),
    /end/,
  );
  await assert.rejects(async () => await runSteps(work(failing("begin"), 2, 3)), {
    message: "begin",
  });
  function* throwsLater(): Steps<void> {
    yield late(1);
    throw new Error("after waiting");
  }
  await assert.rejects(async () => await runSteps(throwsLater()), /after waiting/);
});
