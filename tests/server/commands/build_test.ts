import assert from "node:assert/strict";
import { join } from "node:path";
import { buildProgram } from "../../../src/server/commands/build.ts";

/** A directory with a blank in its name, a script in it and what the script might read. */
async function withApp(test: (app: { path: string; script: string }) => Promise<void>) {
  const root = await Deno.realPath(await Deno.makeTempDir());
  try {
    const path = join(root, "my app");
    await Deno.mkdir(join(path, "templates"), { recursive: true });
    const script = join(path, "app.ts");
    await Deno.writeTextFile(script, `console.log("built" as string);\n`);
    await Deno.writeTextFile(join(path, "templates", "a.html"), "a");
    await test({ path, script });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
const MANIFEST = ".skitai-build.json";

Deno.test("CLI-04 a built program has no links to its sources, and everybody may read it", async () => {
  await withApp(async ({ path, script }) => {
    await Deno.writeTextFile(join(path, "shared.txt"), "shared");
    await Deno.symlink("../shared.txt", join(path, "templates", "link.txt"));
    await Deno.symlink("templates", join(path, "pages"));
    const { main } = await buildProgram(script, {
      include: ["templates", "pages", "templates/a.html"],
    });
    const dist = join(path, "dist");
    assert.equal(main, join(dist, "app.js"));
    assert.deepEqual(names(dist), [MANIFEST, "app.js", "pages", "templates"]);
    for (const file of ["templates/link.txt", "pages/link.txt"]) {
      assert.ok((await Deno.lstat(join(dist, file))).isFile, file);
      assert.equal(await Deno.readTextFile(join(dist, file)), "shared");
    }
    assert.ok((await Deno.lstat(join(dist, "pages"))).isDirectory);
    assert.equal((await Deno.stat(dist)).mode! & 0o777, 0o777 & ~Deno.umask());
  });
});

Deno.test("CLI-04 a program may be built where a link leads, again and again", async () => {
  await withApp(async ({ path, script }) => {
    await Deno.mkdir(join(path, "releases"));
    await Deno.symlink("releases", join(path, "current"));
    const outdir = join(path, "current");
    for (const include of [["templates/a.html"], ["templates"], []]) {
      await buildProgram(script, { outdir, include });
      assert.deepEqual(
        names(join(path, "releases")),
        [MANIFEST, "app.js", ...include.length > 0 ? ["templates"] : []],
      );
    }
    assert.ok((await Deno.lstat(outdir)).isSymlink);
  });
});

Deno.test("CLI-04 what an interrupted build left is gone with the next, also one that fails", async () => {
  await withApp(async ({ path, script }) => {
    const dist = join(path, "dist");
    const interrupted = async () => {
      await Deno.mkdir(join(dist, ".skitai-build.unfinished"), { recursive: true });
      await Deno.writeTextFile(join(dist, ".skitai-build.unfinished", "chunk.js"), "");
    };
    await interrupted();
    await buildProgram(script);
    assert.deepEqual(names(dist), [MANIFEST, "app.js"]);
    await interrupted();
    await Deno.writeTextFile(script, `import "./missing.ts";\n`);
    await assert.rejects(buildProgram(script), /missing\.ts/);
    assert.deepEqual(names(dist), [MANIFEST, "app.js"]);
    assert.deepEqual(names(path), ["app.ts", "dist", "templates"]);
  });
});

Deno.test("CLI-04 nothing that is included takes the place of the program", async () => {
  await withApp(async ({ path, script }) => {
    await Deno.writeTextFile(join(path, "app.js"), "of another time");
    await assert.rejects(
      buildProgram(script, { outdir: join(path, "a", "b"), include: ["app.js"] }),
      /app\.js: cannot be included: the program has a file of that name/,
    );
    await Deno.writeTextFile(join(path, "file"), "");
    await assert.rejects(
      buildProgram(script, { outdir: join(path, "file") }),
      /file: it is no directory/,
    );
    await Deno.mkdir(join(path, "damaged"));
    await Deno.writeTextFile(join(path, "damaged", MANIFEST), "{");
    await assert.rejects(
      buildProgram(script, { outdir: join(path, "damaged") }),
      /damaged.*: it is damaged; remove the directory/,
    );
    assert.deepEqual(names(path), ["app.js", "app.ts", "damaged", "file", "templates"]);
  });
});
