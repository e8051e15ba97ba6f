import assert from "node:assert/strict";
import { join } from "node:path";
import { daemonPid, PidFile } from "../../../src/server/instance/pid_file.ts";
import { ConfigError } from "../../../src/core/errors.ts";
import { makeVarDirectory } from "../../../src/server/instance/var_directory.ts";
import { VAR_ENV } from "../../../src/server/paths.ts";
import {
  describeInstance,
  duration,
  listInstances,
} from "../../../src/server/commands/list_instances.ts";
import { overrideEnv } from "../../_support/env_override.ts";

Deno.test("SRV-20 one process holds the pid file, and a stale one blocks nothing", async () => {
  const directory = await Deno.makeTempDir();
  try {
    assert.equal(await daemonPid(directory), undefined);
    const first = await PidFile.acquire(directory);
    assert.ok(first !== undefined);
    assert.equal(await daemonPid(directory), Deno.pid);
    assert.equal(await PidFile.acquire(directory), undefined);
    first.release();
    assert.equal(await daemonPid(directory), undefined);
    // Left by a killed daemon whose number now belongs to a living process: this one.
    await Deno.writeTextFile(join(directory, "daemon.pid"), `${Deno.pid}\n`);
    assert.equal(await daemonPid(directory), undefined);
    const second = await PidFile.acquire(directory);
    assert.ok(second !== undefined);
    second.release();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SRV-20 of many that ask at once, one gets the pid file", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const asked = await Promise.all(
      Array.from({ length: 5 }, async () => {
        await daemonPid(directory);
        return await PidFile.acquire(directory);
      }),
    );
    const got = asked.filter((lock) => lock !== undefined);
    assert.equal(got.length, 1);
    got[0]!.release();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SRV-19 the runtime directory is made below a base that is open to all", async () => {
  const directory = await Deno.makeTempDir();
  using _base = overrideEnv(VAR_ENV, join(directory, "base"));
  try {
    const path = await makeVarDirectory(join(directory, "base", "shop"));
    assert.ok((await Deno.stat(path)).isDirectory);
    assert.equal((await Deno.stat(join(directory, "base"))).mode! & 0o7777, 0o1777);
    assert.equal(await makeVarDirectory(path), path);
    const linked = join(directory, "base", "linked");
    await Deno.symlink("/etc", linked);
    await assert.rejects(makeVarDirectory(linked), /belongs to another user/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SRV-19 SRV-15 a runtime directory that cannot be made is named", async () => {
  const file = await Deno.makeTempFile();
  try {
    await assert.rejects(makeVarDirectory(join(file, "shop")), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.where, join(file, "shop"));
      assert.match(error.message, /: this runtime directory cannot be made: /);
      return true;
    });
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("CLI-05 instances are described in words", () => {
  assert.equal(duration(0.5), "0 s");
  assert.equal(duration(59), "59 s");
  assert.equal(duration(3600), "1 h");
  assert.equal(duration(90_061), "1 d 1 h");
  const shop = { name: "shop", serving: "127.0.0.1 port 5000" };
  assert.equal(
    describeInstance({ ...shop, pid: 7, seconds: 61 }),
    "running for 1 m 1 s, pid 7, 127.0.0.1 port 5000",
  );
  assert.equal(describeInstance({ ...shop, pid: undefined, seconds: undefined }), "stopped");
});

Deno.test("SRV-20 a pid file that is gone, or another daemon's by now, stays as it is", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = join(directory, "daemon.pid");
    const first = (await PidFile.acquire(directory))!;
    await Deno.remove(path);
    const second = (await PidFile.acquire(directory))!;
    first.release();
    assert.equal(await daemonPid(directory), Deno.pid);
    await Deno.remove(path);
    second.release();
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SRV-18 SRV-20 a daemon that is held up before it writes its number is found", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = join(directory, "daemon.pid");
    using file = await Deno.create(path);
    await file.lock(true);
    const asked = daemonPid(directory);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await Deno.writeTextFile(path, "4711\n");
    assert.equal(await asked, 4711);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("CLI-05 a service about which nothing can be said does not keep others from the list", async () => {
  const base = await Deno.makeTempDir();
  try {
    for (const name of ["alpha", "beta"]) await Deno.mkdir(join(base, name));
    using file = await Deno.create(join(base, "alpha", "daemon.pid"));
    await file.lock(true);
    const told = (await listInstances(base)).map((one) => `${one.name} ${describeInstance(one)}`);
    assert.match(told[0]!, /^alpha unknown: .*holds no process id$/);
    assert.deepEqual(told.slice(1), ["beta stopped"]);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});
