import assert from "node:assert/strict";
import { join } from "node:path";
import {
  curl,
  ended,
  HeldRequests,
  type ServiceProcess,
  until,
  who,
  Workshop,
} from "../_support/service_process.ts";

/** A service whose version stands in a module that is watched. */
async function start(
  workshop: Workshop,
  options: string,
  env: Record<string, string> = {},
): Promise<{ service: ServiceProcess; module: string }> {
  const module = join(workshop.appPath, "version.ts");
  await Deno.writeTextFile(module, `export const version = "one";\n`);
  // Imported where an engine loads its apps, as a mount by file path is.
  const script = await workshop.script({
    options,
    fake: `{
      watched: Deno.env.get("SKITAI_ENV") === "PRODUCTION" ? [] : [${JSON.stringify(module)}],
      version,
    }`,
    before: `let version = "supervisor";
try {
  ({ version } = await import("./version.ts"));
} catch (error) {
  if (!Deno.env.has("SKITAI_ROLE") && !("DedicatedWorkerGlobalScope" in globalThis)) throw error;
  version = undefined;
}`,
  });
  await Deno.writeTextFile(
    script,
    (await Deno.readTextFile(script)).replace(
      "version,",
      `version, fail() { if (version === undefined) throw new Error("version.ts is broken"); },`,
    ),
  );
  const service = workshop.start(script, { env: { SKITAI_ENV: "", ...env } });
  return { service, module };
}

for (const workers of [1, 2]) {
  Deno.test(`ATL-07 HOOK-12 HOOK-13 HTTP-39 a changed file replaces the engine, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const { service, module } = await start(workshop, `{ port: 0, workers: ${workers} }`);
    const port = await service.port();
    const first = (await who(port))!;
    assert.deepEqual([first.version, first.reloaded], ["one", false]);
    assert.notEqual(first.pid, service.pid, "the reloader needs a supervisor");

    const held = await HeldRequests.open(workshop, port);
    const slow = held.ask();
    await held.begun();
    await Deno.writeTextFile(module, `export const version = "number two";\n`);
    const second = await until(
      async () => {
        const answer = await who(port, 15);
        assert.ok(answer !== undefined, "a request was not answered");
        return answer;
      },
      ({ version }) => version === "number two",
      "the new version",
    );
    assert.equal(second.reloaded, true);
    await held.release();
    assert.equal((await slow).body, "held", "what the old engine had was answered");
    await service.line(/^W0 reloaded$/);
    const at = (what: string) => service.lines.indexOf(what);
    assert.ok(at("W0 beforeReload") !== -1 && at("W0 beforeReload") < at("W0 reloaded"));
    await service.line(/is replaced: .*version\.ts has changed$/);
    // it may answer for as long as connections are being led to its successor
    await ended(first.pid);

    // What cannot start changes nothing, and is said; then the next change is taken.
    await Deno.writeTextFile(module, `export const version = ;\n`);
    await service.line(/stays, its successor did not start: .*version\.ts is broken/);
    assert.equal((await who(port))!.pid, second.pid);
    await Deno.writeTextFile(module, `export const version = "number three";\n`);
    await until(() => who(port), (answer) => answer?.version === "number three", "number three");
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
  });
}

for (const workers of [1, 2]) {
  Deno.test(`ATL-07 MNT-24 one of several apps that cannot be loaded again stays as it was, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const file = (name: string) => join(workshop.appPath, name);
    const appOf = (name: string, text: string, last = "") =>
      Deno.writeTextFile(
        file(`${name}.ts`),
        `import { Atila } from "@skitai/skitai/atila";
export const app = new Atila(import.meta.url);
app.useReloader = true;
app.route("/", () => ${JSON.stringify(text)});
${last}
`,
      );
    await appOf("shop", "shop one");
    await appOf("blog", "blog one");
    await appOf("never", "", "throw new Error('never loads');");
    await Deno.writeTextFile(
      file("app.ts"),
      `import * as skitai from "@skitai/skitai";
skitai.mount("/shop", "./shop.ts");
skitai.mount("/blog", "./blog.ts");
skitai.mount("/never", "./never.ts");
await skitai.run({ address: "127.0.0.1", port: 0, workers: ${workers} });
`,
    );
    const service = workshop.start(file("app.ts"), {
      flags: ["--config", new URL("../../deno.json", import.meta.url).pathname],
      env: { SKITAI_ENV: "" },
    });
    const [, port] = /port (\d+)/.exec(await service.line(/serving on/))!;
    const textOf = async (path: string) => {
      const { status, body } = await curl(Number(port), path);
      return status === 200 ? body : status;
    };
    assert.deepEqual([await textOf("/shop/"), await textOf("/blog/")], ["shop one", "blog one"]);
    assert.equal(await textOf("/never/"), 404);

    await appOf("shop", "shop two", "throw new Error('broken by a change');");
    await service.line(
      /stays, its successor did not start: .*"\/shop"\): could not be loaded again: broken by a change/,
    );
    assert.deepEqual([await textOf("/shop/"), await textOf("/blog/")], ["shop one", "blog one"]);

    // What was missing from the start keeps nobody from being loaded again.
    await appOf("shop", "shop three");
    await until(() => textOf("/shop/"), (text) => text === "shop three", "the new version");
    assert.equal(await textOf("/blog/"), "blog one");
    assert.equal(await textOf("/never/"), 404);
  });
}

Deno.test("SRV-28 ATL-07 in production nothing is watched and one process does", async () => {
  await using workshop = await Workshop.open();
  const { service } = await start(workshop, "{ port: 0 }", { SKITAI_ENV: "PRODUCTION" });
  const port = await service.port();
  assert.equal((await who(port))!.pid, service.pid);
});
