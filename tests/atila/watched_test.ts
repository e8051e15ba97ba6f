import assert from "node:assert/strict";
import { join } from "node:path";
import { Atila } from "../../src/atila/mod.ts";
import { deflu } from "../../src/was/shared.ts";
import { until } from "../_support/service_process.ts";

Deno.test("HOOK-08 a function runs before the handler when a file is newer than it was", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const app = new Atila(join(directory, "app.ts"));
    const file = join(directory, "config.txt");
    const ran: string[] = [];
    let answer: string | undefined = undefined;
    const reload = app.ifFileModified("config.txt", (was, path) => {
      ran.push(`${was.request.path} ${path}`);
      return answer;
    }, 0);
    app.route("/a", { use: [reload] }, () => "a");
    app.route("/b", { use: [reload] }, () => "b");
    const client = app.makeClient();
    const ask = async (path: string) => (await client.get(path)).text;

    assert.equal(await ask("/a"), "a");
    assert.deepEqual(ran, [], "there is no such file");
    await Deno.writeTextFile(file, "1");
    assert.equal(await ask("/a"), "a");
    assert.deepEqual(ran.splice(0), [`/a ${file}`], "seen for the first time");
    assert.deepEqual([await ask("/a"), await ask("/b")], ["a", "b"]);
    assert.deepEqual(ran, [], "not newer");
    await Deno.utime(file, new Date(), new Date(Date.now() + 5000));
    answer = "";
    assert.equal(await ask("/b"), "", "an empty text is a response");
    assert.deepEqual(ran.splice(0), [`/b ${file}`]);
    await Deno.utime(file, new Date(), new Date(Date.now() - 60_000));
    assert.equal(await ask("/a"), "a");
    assert.deepEqual(ran, [], "older is not newer");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("HOOK-08 it looks once an interval, requests meanwhile wait, a failure is tried again", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = join(directory, "data.txt");
    await Deno.writeTextFile(file, "1");
    const app = new Atila(join(directory, "app.ts"));
    let value = "none";
    let runs = 0;
    let fails = true;
    const gate = Promise.withResolvers<void>();
    const hook = async () => {
      runs++;
      if (fails) throw new Error("cannot read it");
      await gate.promise;
      value = "read";
    };
    app.route("/", { use: [app.ifFileModified(file, hook, 3600)] }, () => value);
    const client = app.makeClient();
    assert.equal((await client.get("/")).statusCode, 500);
    fails = false;
    const asked = [client.get("/"), client.get("/"), client.get("/")];
    gate.resolve();
    assert.deepEqual((await Promise.all(asked)).map(({ text }) => text), ["read", "read", "read"]);
    assert.equal(runs, 2, "once for the failure and once for all");
    await Deno.utime(file, new Date(), new Date(Date.now() + 5000));
    assert.equal((await client.get("/")).text, "read");
    assert.equal(runs, 2, "not before the interval is over");
    assert.throws(() => app.ifFileModified(file, hook, -1), RangeError);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("HOOK-09 a function runs before the handler when a last-update key was set since", async () => {
  const key = `tables.users.${crypto.randomUUID()}`;
  deflu(key);
  const app = new Atila(import.meta.url);
  const ran: string[] = [];
  const refresh = app.ifUpdated(key, (was, changed) => {
    ran.push(`${was.request.path} ${changed}`);
  }, 0);
  app.route("/a", { use: [refresh] }, () => "a");
  app.route("/b", { use: [app.ifUpdated(key, () => "from the hook", 0)] }, () => "b");
  app.route("/set", (was) => {
    was.setlu(key);
    return "set";
  });
  const client = app.makeClient();
  await client.get("/a");
  assert.deepEqual(ran.splice(0), [`/a ${key}`], "the first time");
  await client.get("/a");
  assert.deepEqual(ran, []);
  await until(
    async () => {
      await client.get("/set");
      await client.get("/a");
      return ran.length;
    },
    (runs) => runs > 0,
    "the key was set, a millisecond later at last",
  );
  assert.equal((await client.get("/b")).text, "from the hook");
  const unknown = new Atila(import.meta.url);
  unknown.route("/", { use: [unknown.ifUpdated("nobody.declared", () => {})] }, () => "x");
  assert.equal((await unknown.makeClient().get("/")).statusCode, 500);
});

Deno.test("HOOK-20 an interval of maintenance that is none names the setting and the app", () => {
  const app = new Atila("/srv/shop.ts");
  app.config.maintainInterval = 0;
  assert.equal(app.maintainSeconds, undefined, "nothing has to be run");
  app.maintain(() => {});
  for (const bad of [0, -1, NaN, Infinity, "60"]) {
    app.config.maintainInterval = bad as number;
    assert.throws(
      () => app.maintainSeconds,
      /ConfigError: app shop: config\.maintainInterval: expected seconds above 0, not /,
      String(bad),
    );
  }
  app.config.maintainInterval = 0.5;
  assert.equal(app.maintainSeconds, 0.5);
});

Deno.test("HOOK-08 HOOK-09 a file: URL is a path, what is none is refused at once", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const app = new Atila(join(directory, "app.ts"));
    const file = join(directory, "a file.txt");
    await Deno.writeTextFile(file, "x");
    const seen: string[] = [];
    const url = new URL("./a%20file.txt", `file://${directory}/`).href;
    app.route(
      "/",
      { use: [app.ifFileModified(url, (_was, path) => void seen.push(path))] },
      () => "",
    );
    await app.makeClient().get("/");
    assert.deepEqual(seen, [file]);
    for (const bad of [5, undefined, "", new URL(url)]) {
      assert.throws(() => app.ifFileModified(bad as string, () => {}), /takes the path of a file/);
    }
    for (const bad of [5, undefined]) {
      assert.throws(() => app.ifFileModified("x", bad as never), /A hook is a function, not /);
      assert.throws(() => app.ifUpdated("x", bad as never), /A hook is a function, not /);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
