import assert from "node:assert/strict";
import { pathToFileURL as toFileUrl } from "node:url";
import { tableOf } from "../_support/mounts.ts";

/** A directory of scripts, removed at the end of the block. */
function scripts(content: Record<string, string>): { path: string } & AsyncDisposable {
  const path = Deno.realPathSync(Deno.makeTempDirSync());
  for (const [name, text] of Object.entries(content)) {
    const file = `${path}/${name}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const say = (name: string, text = name) => `export const ${name} = () => new Response("${text}");`;

Deno.test("MNT-06 MNT-11 a script is found with or without its extension, in any directory", async () => {
  await using dir = scripts({
    "app_v1.ts": say("app", "v1"),
    "app_v2/app.js": say("app", "v2"),
    "app_v3/index.mjs": say("app", "v3"),
    "typed.tsx": "export const app = (_: Request): Response => new Response('tsx');",
  });
  const { text } = await tableOf([
    ["/v1", "app_v1"],
    ["/v1x", "app_v1.ts", { host: "x.com" }],
    ["/v2", "app_v2/app", { host: "default" }],
    ["/v3", "app_v3/index"],
    ["/abs", `${dir.path}/typed`],
    ["/url", toFileUrl(`${dir.path}/app_v1.ts`).href, { host: "y.com" }],
  ], { directory: dir.path });
  assert.equal(await text("/v1/"), "v1");
  assert.equal(await text("http://x.com/v1x/"), "v1");
  assert.equal(await text("/v2/"), "v2");
  assert.equal(await text("/v3/"), "v3");
  assert.equal(await text("/abs/"), "tsx");
  assert.equal(await text("http://y.com/url/"), "v1");
});

Deno.test("MNT-06 the export is found by name, then the default, in several shapes", async () => {
  await using dir = scripts({
    "named.ts": say("application", "named"),
    "default.ts": "export default { fetch: () => new Response('default') };",
    "both.ts": `${say("app", "by name")} export default () => new Response("default");`,
    "bare.ts": "export function fetch() { return new Response('fetch'); }",
  });
  const { text } = await tableOf([
    ["/named", "named.ts", { export: "application" }],
    ["/default", "default.ts"],
    ["/both", "both.ts"],
    ["/bare", "bare.ts"],
    ["/space", await import(toFileUrl(`${dir.path}/default.ts`).href)],
    ["/data", "data:text/javascript,export const app = () => new Response('data')"],
    ["/url", new URL("data:text/javascript,export const app = () => new Response('url')")],
  ], { directory: dir.path });
  assert.equal(await text("/named/"), "named");
  assert.equal(await text("/default/"), "default");
  assert.equal(await text("/both/"), "by name");
  assert.equal(await text("/bare/"), "fetch");
  assert.equal(await text("/space/"), "default");
  assert.equal(await text("/data/"), "data");
  assert.equal(await text("/url/"), "url");
});

Deno.test("MNT-06 a name that was asked for is not replaced by the default", async () => {
  await using dir = scripts({
    "a.ts": "export default () => new Response('default'); export const other = 1;",
    "b.ts": say("app"),
  });
  const { ask, log } = await tableOf([["/a", "a.ts", { export: "application" }], ["/b", "b.ts"]], {
    directory: dir.path,
  });
  assert.equal((await ask("/a/")).status, 404);
  assert.match(log.lines.join("\n"), /a\.ts has no export "application"; it has default, other/);
});

Deno.test("MNT-05 MNT-06 the file of a loaded app is watched when it wants to be reloaded", async () => {
  await using dir = scripts({ "a.ts": say("app") });
  const { table } = await tableOf([["/", "a.ts", { pref: { useReloader: true, config: {} } }]], {
    directory: dir.path,
  });
  assert.deepEqual(table.watched, [`${dir.path}/a.ts`]);
  assert.deepEqual(table.mounts.map(({ name }) => name), ["a"]);
});

const START_SCRIPT = (waits: boolean) => `
import { createMountTable } from ${
  JSON.stringify(import.meta.resolve("../../src/server/mount_table.ts"))
};
import { createContext } from ${JSON.stringify(import.meta.resolve("../../src/core/context.ts"))};
import { isImportingStartScript } from ${
  JSON.stringify(import.meta.resolve("../../src/server/start_script.ts"))
};

export const app = () => new Response("own app");

async function run() {
  // What run() does when it is called once more for the sake of the app.
  if (isImportingStartScript()) return;
  const log = { log: console.error, trace: console.error };
  const spec = { point: "/", target: import.meta.url, export: "app", host: "default" };
  const table = await createMountTable([spec], { log, maxAges: new Map(), isDevel: true });
  const req = new Request("http://h.example/");
  console.log(await (await table.handler(req, createContext({ url: req.url }))).text());
}

${waits ? "await run();" : "run();"}
`;

for (const waits of [true, false]) {
  Deno.test(`MNT-06 a start script mounts itself by import.meta.url, ${waits ? "" : "not "}waiting for run`, async () => {
    await using dir = scripts({ "start.ts": START_SCRIPT(waits) });
    const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("../../deno.json", import.meta.url).pathname,
        `${dir.path}/start.ts`,
      ],
      signal: AbortSignal.timeout(30_000),
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(new TextDecoder().decode(stdout), "own app\n");
    assert.equal(code, 0);
  });
}
