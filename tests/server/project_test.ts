import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { mount } from "../../src/server/service.ts";
import { tableOf } from "../_support/mounts.ts";
import { openProject } from "../_support/project.ts";

const say = (text: string) => `export const app = () => new Response("${text}");`;

Deno.test("MNT-17 a relative target is looked for in the directories of its project first", async () => {
  await using dir = await openProject();
  await dir.write("server.ts", say("beside the start script"));
  await dir.write("only.ts", say("only there"));
  await dir.write(
    "a/server.ts",
    `${say("in a")} export const application = () => new Response("x")`,
  );
  await dir.write("b/server.ts", say("in b"));
  await dir.write("b/public/file.txt", "a file of b");
  const { text } = await tableOf([
    ["/", "server"],
    // Apps of one file name would get into each other's way on one host.
    ["/", "server", { path: "a", host: "a.example" }],
    ["/", "server.ts", { path: ["a", "b"], export: "application", host: "ab.example" }],
    ["/", "server", { path: [pathToFileURL(dir.file("b")), "a"], host: "ba.example" }],
    ["/", dir.file("server.ts"), { path: "b", host: "absolute.example" }],
    ["/only", "only", { path: "b" }],
    ["/files", "public", { path: "b" }],
  ], { directory: dir.path });
  assert.equal(await text("/"), "beside the start script");
  assert.equal(await text("http://a.example/"), "in a");
  assert.equal(await text("http://ab.example/"), "x");
  assert.equal(await text("http://ba.example/"), "in b");
  assert.equal(await text("http://absolute.example/"), "beside the start script");
  assert.equal(await text("/only/"), "only there");
  assert.equal(await text("/files/file.txt"), "a file of b");
});

Deno.test("MNT-17 scripts of a project are watched, what it writes itself is not", async () => {
  await using dir = await openProject();
  await dir.write("p/server.ts", say("p"));
  await dir.write("p/models/deep/pet.tsx", "");
  await dir.write("p/data/live.db", "");
  await dir.write("p/node_modules/x/index.js", "");
  await dir.write("p/.git/hook.js", "");
  const watched = async (useReloader: boolean, isDevel: boolean) => {
    const { table } = await tableOf([
      ["/", "server.ts", { path: "p", pref: { useReloader, config: {} } }],
    ], { directory: dir.path, isDevel });
    return [...table.watched].sort();
  };
  assert.deepEqual(await watched(true, true), [
    dir.file("p/models/deep/pet.tsx"),
    dir.file("p/server.ts"),
  ]);
  assert.deepEqual(await watched(false, true), []);
  assert.deepEqual(await watched(true, false), []);
});

Deno.test("MNT-17 directories that do not exist, and what is no directory, are errors", async () => {
  await using dir = await openProject();
  await dir.write("a/other.ts", say("other"));
  const table = (path: string | string[]) =>
    tableOf([["/", "server.ts", { path }]], { directory: dir.path });
  await assert.rejects(table("nowhere"), {
    name: "ConfigError",
    message: new RegExp(`mount\\("/"\\): path: there is no directory ${dir.file("nowhere")}`),
  });
  await assert.rejects(table("deno.json"), /there is no directory .*deno\.json/);
  await assert.rejects(table(["a"]), (error: Error) => {
    assert.match(error.message, /no directory and no script .*a\/server\.ts or .*\/server\.ts$/);
    return true;
  });
  for (const path of ["", 5, [null]]) {
    assert.throws(() => mount("/", "x.ts", { path: path as string }), {
      name: "ConfigError",
      message: /path is a directory or a list of directories/,
    });
  }
});
