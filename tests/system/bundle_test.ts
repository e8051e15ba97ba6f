import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until, Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/bundled_service.ts", import.meta.url));

/** Makes one program of the service, with its template beside it. */
async function bundle(directory: string, flags: string[]): Promise<string> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", ...flags, "--outdir", directory, SCRIPT],
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  await Deno.mkdir(join(directory, "templates"));
  await Deno.writeTextFile(join(directory, "templates/hello.html"), "Hello {{ name }}");
  return join(directory, "bundled_service.js");
}

for (
  const [what, flags] of [
    ["in pieces that load on use", ["--code-splitting"]],
    ["in one file", []],
  ] as const
) {
  Deno.test(`SRV-01 SRV-02 DB-02 TPL-01 a service bundled ${what} serves as its sources do`, async (t) => {
    await using workshop = await Workshop.open();
    const program = await bundle(join(workshop.path, "program"), [...flags]);
    await Deno.mkdir(join(workshop.path, "var"));

    for (const workers of [1, 2]) {
      await t.step(`${workers} workers`, async () => {
        // Nothing of the project is in reach: no import map, no packages.
        await using service = workshop.start(program, {
          args: [`${workers}`],
          flags: ["--no-config", "--cached-only"],
          cwd: workshop.path,
        });
        const url = `http://127.0.0.1:${await service.port()}`;
        await service.line(new RegExp(`^listening .* ${workers} ${service.pid}$`));
        assert.deepEqual(await (await fetch(`${url}/count/1000`)).json(), {
          rows: [{ count: 1000 }],
        });
        assert.equal(await (await fetch(`${url}/hello`)).text(), "Hello bundle");
        if (workers === 1) return;
        // The engine process that follows is the same program.
        service.signal("SIGHUP");
        await until(
          () => service.lines.filter((text) => /serving on/.test(text)).length,
          (serving) => serving === 2,
          "the engine was not replaced",
        );
        assert.deepEqual(await (await fetch(`${url}/count/10`)).json(), { rows: [{ count: 10 }] });
        assert.ok(!service.lines.some((text) => /\[(expt|error|fatal)/.test(text)), "an error");
      });
    }
  });
}
