import { equal, rejects } from "node:assert/strict";
import {
  mongoOperation,
  type MongoOperationName,
} from "../../../src/clients/mongodb/operations.ts";

Deno.test("DB-04 conditions and options of MongoDB that would hit more than was meant are refused", async () => {
  const asked: string[] = [];
  const ask = (name: string) => (): unknown => {
    asked.push(name);
    return { toArray: () => Promise.resolve([]), deletedCount: 0, matchedCount: 0 };
  };
  const names = ["find", "findOne", "updateMany", "updateOne", "replaceOne"];
  const collection = Object.fromEntries(
    [...names, "deleteMany", "deleteOne"].map((name) => [name, ask(name)]),
  );
  const db = { collection: () => collection } as never;
  const run = (name: MongoOperationName, ...args: unknown[]) =>
    mongoOperation(name, ["c", ...args]).run(db, new AbortController().signal);
  for (const bad of ["2", -1, 1.5, NaN, null]) {
    for (const option of ["limit", "skip"]) {
      const message = `Cannot find: ${option} is a whole number from 0, not ${bad}`;
      await rejects(run("find", {}, { [option]: bad }), { name: "TypeError", message });
      await rejects(run("findone", {}, { [option]: bad }), { name: "TypeError", message });
    }
  }
  const lost = { user: 7, token: undefined };
  for (const name of ["update", "updateone", "replace", "delete", "deleteone"] as const) {
    const change = name.startsWith("delete") ? [] : [{ $set: { a: 1 } }];
    await rejects(run(name, lost, ...change), /the value of token in the condition is undefined$/);
  }
  equal(asked.length, 0);
  await run("find", lost, { limit: 0, skip: 3 });
  await run("delete", { token: null });
  equal(asked.join(), "find,deleteMany");
});
