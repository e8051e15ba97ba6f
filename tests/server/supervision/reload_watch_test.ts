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
