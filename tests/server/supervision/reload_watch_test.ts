import assert from "node:assert/strict";
import { join } from "node:path";
import { ReloadWatch } from "../../../src/server/supervision/reload_watch.ts";
import { within } from "../../_support/service_process.ts";

Deno.test("ATL-07 ATL-08 changed, new and removed files are noticed, in directories at any depth", async () => {
  const directory = await Deno.makeTempDir();
  const app = join(directory, "app.ts");
  const services = join(directory, "services");
  await Deno.mkdir(join(services, "deep", "node_modules"), { recursive: true });
  await Deno.writeTextFile(app, "1");
  let noticed = Promise.withResolvers<readonly string[]>();
  const watch = new ReloadWatch({
    changed: (paths) => noticed.resolve(paths),
    failed: (error) => noticed.reject(error),
  });
  const next = async (change: () => Promise<void>) => {
    noticed = Promise.withResolvers();
    await change();
    return await within(noticed.promise, () => "no change was noticed");
  };
  try {
    await watch.watch([app, services]);
    // Same time, other size; then same size, other time.
    const { mtime } = await Deno.stat(app);
    const sized = await next(async () => {
      await Deno.writeTextFile(app, "22");
      await Deno.utime(app, mtime!, mtime!);
    });
    assert.deepEqual(sized, [app]);
    assert.deepEqual(await next(() => Deno.utime(app, 1, 1)), [app]);
    const added = join(services, "deep", "new.ts");
    assert.deepEqual(
      await next(async () => {
        await Deno.writeTextFile(join(services, "deep", "node_modules", "x.js"), "");
        await Deno.writeTextFile(join(services, ".hidden"), "");
        await Deno.writeTextFile(added, "");
      }),
      [added],
    );
    assert.deepEqual(await next(() => Deno.remove(added)), [added]);
  } finally {
    watch.stop();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("ATL-07 ATL-08 what changes while an earlier change is acted upon is noticed as well", async () => {
  const directory = await Deno.makeTempDir();
  const app = join(directory, "app.ts");
  await Deno.writeTextFile(app, "1");
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let times = 0;
  const watch: ReloadWatch = new ReloadWatch({
    changed: async () => {
      if (++times === 2) return second.resolve();
      // The new engine has read the file, and then it changes once more.
      await Deno.writeTextFile(app, "333");
      await watch.watch([app]);
      first.resolve();
    },
    failed: (error) => first.reject(error),
  });
  try {
    await watch.watch([app]);
    await Deno.writeTextFile(app, "22");
    await within(first.promise, () => "the first change was not noticed");
    await within(second.promise, () => "the second change was not noticed");
  } finally {
    watch.stop();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("ATL-07 nothing is watched any more after a stop, and no other paths, however close it comes", async () => {
  const directory = await Deno.makeTempDir();
  const one = join(directory, "one.ts");
  const two = join(directory, "two.ts");
  await Deno.writeTextFile(one, "1");
  await Deno.writeTextFile(two, "1");
  const original = globalThis.setTimeout;
  const noticed = Promise.withResolvers<readonly string[]>();
  const watch = new ReloadWatch({ changed: noticed.resolve, failed: noticed.reject });
  try {
    const begun = watch.watch([one]);
    await Promise.all([begun, watch.watch([two])]);
    await Deno.writeTextFile(one, "22");
    await Deno.writeTextFile(two, "22");
    assert.deepEqual(await within(noticed.promise, () => "no change was noticed"), [two]);
    watch.stop();
    let armed = 0;
    globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
      armed++;
      return original(...args);
    }) as typeof setTimeout;
    const last = watch.watch([one]);
    watch.stop();
    await last;
    assert.equal(armed, 0, "a look is still to be taken");
  } finally {
    globalThis.setTimeout = original;
    watch.stop();
    await Deno.remove(directory, { recursive: true });
  }
});
