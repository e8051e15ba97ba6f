/**
 * The programs of the README and of the documentation do what the pages say.
 *
 * A block marked `ts` is type-checked: as it stands when it imports this package, otherwise as a part of
 * a handler. A whole program is run, too, unless it is marked `ts no_run`. Blocks marked `ts ignore`
 * leave something out that would have to be there.
 */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { type TestClient, testClient } from "../../src/server/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { type CodeBlock, codeBlocks, localLinks, pagePaths, readPage } from "../_support/pages.ts";
import { CHECKOUT, openProject, type Project } from "../_support/project.ts";
import { ServiceProcess } from "../_support/service_process.ts";

/** What a fragment finds around it, unless it imports that itself. */
const AROUND: Record<string, string> = {
  skitai: `import * as skitai from "@skitai/skitai";`,
  Atila: `import { Atila } from "@skitai/skitai/atila";`,
  REQUIRED: `import { REQUIRED } from "@skitai/skitai/atila";`,
  Hono: `import { Hono } from "hono";`,
};

/** Whether a block stands on its own: it imports this package, and has the app it talks about. */
function isProgram({ text }: CodeBlock): boolean {
  if (
    !/^import (?!type ).*"@skitai\/skitai(\/[\w-]+)?";$/m.test(text.replace(/\{[^}]*\}/g, "{}"))
  ) {
    return false;
  }
  return !/^\s*app\./m.test(text) || /\bapp\b[^.;]*(=|from)/.test(text);
}

/** A module of its own for a fragment, whose imports stand on top. */
function moduleOf(block: CodeBlock): string {
  if (isProgram(block)) return block.text;
  const imports: string[] = [];
  const body = block.text.replace(/^import [\s\S]*?;$/gm, (statement) => {
    imports.push(statement);
    return "";
  });
  const given = imports.join("\n");
  const around = Object.entries(AROUND).filter(([name]) =>
    !new RegExp(`\\b${name}\\b`).test(given)
  );
  return `${around.map(([, statement]) => statement).join("\n")}
${given}
declare const app: import("@skitai/skitai/atila").Atila;
declare const hono: import("hono").Hono;
// deno-lint-ignore no-explicit-any -- whatever the page has
declare const handler: import("@skitai/skitai/atila").RouteHandler<any>;
// deno-lint-ignore no-explicit-any -- whatever the handler returns
export async function fragment(was: import("@skitai/skitai/atila").AtilaWas): Promise<any> {
  void was;
  await null;
${body}}
`;
}

async function blocksOf(matches: (block: CodeBlock) => boolean): Promise<CodeBlock[]> {
  const all = await Promise.all((await pagePaths()).map(codeBlocks));
  return all.flat().filter(matches);
}

/** Writes blocks to files that are named for their places. */
async function writeBlocks(project: Project, blocks: readonly CodeBlock[]): Promise<string[]> {
  return await Promise.all(blocks.map((block) => {
    const name = `${block.page.replace(/\W+/g, "_")}_line_${block.line}.ts`;
    return project.write(name, moduleOf(block));
  }));
}

Deno.test("SRV-01 the programs and fragments of all pages pass the type check", async () => {
  await using project = await openProject();
  const blocks = await blocksOf(({ info }) => info === "ts" || info === "ts no_run");
  assert.ok(blocks.length > 10, "there is something to check");
  const files = await writeBlocks(project, blocks);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...files],
    cwd: project.path,
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
});

Deno.test("SRV-01 the whole programs of the documentation run", async (t) => {
  await using project = await openProject();
  const blocks = await blocksOf((block) =>
    block.info === "ts" && block.page !== "README.md" && isProgram(block)
  );
  await Deno.mkdir(project.file("examples"));
  const files = await writeBlocks(project, blocks);
  for (const [i, { page, line, text }] of blocks.entries()) {
    await t.step(`${page}, line ${line}`, async () => {
      if (/\brun\(/.test(text)) {
        await using client = await testClient(files[i]!, freePort(), { startTimeoutMs: 60_000 });
        assert.ok((await client.get("/")).statusCode < 500);
      } else {
        await using program = new ServiceProcess(files[i]!, { cwd: project.path });
        assert.equal(await program.code(), 0, program.lines.join("\n"));
      }
    });
  }
});

Deno.test("SRV-01 the examples in the comments of the code pass the type check and run", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", "-A", "--quiet", "mod.ts", "src"],
    cwd: CHECKOUT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
  assert.ok(success, text);
  assert.match(text, /^ok \| [1-9]\d* passed/m);
});

/** Starts the program of the README on a port that is free. */
async function startReadme(project: Project, args: string[] = []): Promise<TestClient> {
  const [program] = await blocksOf(({ page, info }) => page === "README.md" && info === "ts");
  const port = freePort();
  await project.write("docs/a.txt", "a file");
  const script = await project.write("app.ts", program!.text.replaceAll("5000", String(port)));
  return await testClient(script, port, { args, startTimeoutMs: 60_000 });
}

Deno.test("SRV-01 WAS-24 the program of the README answers what the README says", async () => {
  await using project = await openProject();
  await using client = await startReadme(project);
  const shown = /^\$ curl http:\/\/127\.0\.0\.1:5000\/\n(.*)$/m.exec(
    await readPage("README.md"),
  )![1]!;
  const { text, data } = await client.get("/");
  const masked = (answer: string) => answer.replace(/"took":\d+/, '"took":0');
  assert.equal(masked(text), masked(shown));
  assert.ok(data.took >= 299, `it has waited for the slowest: ${text}`);
  assert.equal((await client.get("/files/a.txt")).text, "a file");
});

Deno.test("SRV-01 the deno.json of the README makes a project of one's own work", async () => {
  await using project = await openProject();
  const [config] = await blocksOf(({ page, info }) => page === "README.md" && info === "json");
  await project.write("deno.json", config!.text.replace('"../skitai"', JSON.stringify(CHECKOUT)));
  await Deno.remove(project.file("deno.lock"));
  await using client = await startReadme(project);
  assert.equal((await client.get("/slow/1")).data.ms, 1);
});

Deno.test("CLI-03 the commands of the README work on its program", async () => {
  await using project = await openProject();
  const shown =
    (await blocksOf(({ page, info, text }) =>
      page === "README.md" && info === "console" && text.includes("app.ts start")
    ))[0]!.text.trim().split("\n");
  const [program] = await blocksOf(({ page, info }) => page === "README.md" && info === "ts");
  const port = String(freePort());
  await project.write("docs/a.txt", "a file");
  const script = await project.write("app.ts", program!.text.replaceAll("5000", port));
  const same = (line: string) => line.replace(/\[\d+\]/, "[pid]").replace(/port \d+/, "port n");
  for (let i = 0; i < shown.length; i += 2) {
    const [, command] = /^\$ deno run -A app\.ts (\w+)$/.exec(shown[i]!)!;
    const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", script, command!],
      env: { SKITAI_VAR: project.file("var"), NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    assert.equal(code, 0, decoder.decode(stderr));
    assert.equal(same(decoder.decode(stdout).trim()), same(shown[i + 1]!));
  }
});

Deno.test("SRV-01 every page is in the list of pages", async () => {
  const listed = localLinks(await readPage("docs/README.md"));
  for (const page of await pagePaths()) {
    const name = page.replace("docs/", "");
    if (name !== "README.md") assert.ok(listed.includes(name), `docs/README.md lacks ${name}`);
  }
});

Deno.test("SRV-01 links between pages lead somewhere", async () => {
  const dead: string[] = [];
  for (const page of [...await pagePaths(), "CONTRIBUTING.md", "examples/README.md"]) {
    for (const target of localLinks(await readPage(page))) {
      try {
        await Deno.stat(join(CHECKOUT, dirname(page), target));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        dead.push(`${page}: ${target}`);
      }
    }
  }
  assert.deepEqual(dead, []);
});
