import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../_support/free_port.ts";
import { curl, until, who, Workshop } from "../_support/service_process.ts";

Deno.test("SRV-01 SRV-09 SRV-10 SRV-11 SRV-14 a script runs in the foreground, in its directory, under its name", async () => {
  await using workshop = await Workshop.open();
  const script = await workshop.script({ name: "main.ts", options: "{ port: 0 }" });
  const service = workshop.start(script, { cwd: workshop.path });
  const port = await service.port();
  assert.equal((await curl(port, "/cwd")).body, workshop.appPath);
  assert.equal((await who(port))?.id, "W0");
  assert.equal((await who(port))?.pid, service.pid, "nothing was spawned");
  const title = () => Deno.readTextFile(`/proc/${service.pid}/cmdline`);
  await until(title, (text) => text.startsWith("skitai/shop-main: master\0"), "title");
  service.signal("SIGINT");
  assert.equal(await service.code(), 0);
  await service.line(/^W0 umounted/);
});

Deno.test("SRV-01 run without a mount, or with wrong options, fails and says why", async () => {
  await using workshop = await Workshop.open();
  const unknown = workshop.start(await workshop.script({ options: "{ prot: 80 }" }));
  assert.equal(await unknown.code(), 1);
  await unknown.line(/run: unknown option "prot"; known are /);
  const empty = join(workshop.appPath, "empty.ts");
  const source = (name: string) => new URL(`../../src/server/${name}`, import.meta.url).href;
  await Deno.writeTextFile(
    empty,
    `import { launch } from ${JSON.stringify(source("launcher.ts"))};
import { service } from ${JSON.stringify(source("service.ts"))};
await launch(service, {}, () => Promise.reject(new Error("never started")));
`,
  );
  const nothing = workshop.start(empty);
  assert.equal(await nothing.code(), 1);
  await nothing.line(/No mount point/);
});

for (const workers of [1, 2]) {
  Deno.test(`SRV-03 SRV-23 a taken port is one fatal line, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    // Sharing the port does not make it free: the other one may be a stranger.
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr;
    const service = workshop.start(
      await workshop.script({ options: `{ port: ${port}, workers: ${workers} }` }),
    );
    assert.equal(await service.code(), 1);
    assert.equal(service.lines.length, 1, service.lines.join("\n"));
    assert.match(
      service.lines[0]!,
      /^\S+ \S+ \[fatal\] address already in use, cannot start server: 127\.0\.0\.1:\d+$/,
    );
  });

  Deno.test(`SRV-01 SRV-23 an engine that cannot start leaves nothing half-started, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const port = freePort();
    const service = workshop.start(
      await workshop.script({
        options: `{ port: ${port}, workers: ${workers} }`,
        fake: `{ fail() { throw new TypeError("no such database") } }`,
      }),
    );
    assert.equal(await service.code(), 1);
    const fatal = service.lines.filter((line) => line.includes("[fatal]"));
    assert.equal(fatal.length, 1, service.lines.join("\n"));
    assert.match(fatal[0]!, /cannot start server: no such database$/);
    await service.line(/\[expt\] TypeError: no such database/);
    assert.equal((await curl(port, "/")).status, 0);
  });
}

Deno.test("SRV-14 an error outside of a request does not end a service that nobody would start again", async () => {
  await using workshop = await Workshop.open();
  const service = workshop.start(await workshop.script({ options: "{ port: 0 }" }));
  const port = await service.port();
  await curl(port, "/throw");
  await service.line(/\[expt\] Error: thrown outside of a request/);
  assert.equal((await who(port))?.pid, service.pid);
});

Deno.test("SRV-22 shutdown answers what is running, a second call changes nothing, the script goes on", async () => {
  await using workshop = await Workshop.open();
  const script = await workshop.script({ options: "{ port: 0 }" });
  await Deno.writeTextFile(
    script,
    `const port = server.port;
const slow = fetch(\`http://127.0.0.1:\${port}/slow?ms=300\`).then((r) => r.text());
await fetch(\`http://127.0.0.1:\${port}/\`).then((r) => r.text());
const first = server.shutdown(10);
const second = server.shutdown(0);
await Promise.all([first, second]);
console.log("answered", await slow, "finished", await server.finished, "code", server.exitCode);
console.log("state", server.workers[0].state);
try { await server.shutdown(-1) } catch (error) { console.log(error.name, error.message) }
`,
    { append: true },
  );
  const service = workshop.start(script);
  assert.equal(await service.code(), 0);
  assert.deepEqual(service.lines.filter((line) => line.includes("shutdown")), [
    "W0 shutdown 10000",
    "RangeError shutdown: expected seconds from 0, got -1",
  ]);
  await service.line(/^answered slow finished 0 code 0$/);
  await service.line(/^state stopping$/);
});

Deno.test("SRV-28 CLI-08 production is switched on by the environment or the command line", async () => {
  await using workshop = await Workshop.open();
  const environment = new URL("../../src/core/environment.ts", import.meta.url).href;
  const script = join(workshop.appPath, "devel.ts");
  await Deno.writeTextFile(
    script,
    `import { isDevel } from ${JSON.stringify(environment)};\nconsole.log("devel", isDevel());\n`,
  );
  const cases = [
    [{}, true],
    [{ env: { SKITAI_ENV: "PRODUCTION" } }, false],
    [{ env: { SKITAI_ENV: "TEST" } }, true],
    [{ args: ["a", "---production", "b"] }, false],
  ] as const;
  for (const [options, devel] of cases) {
    const { args, env } = { args: [], env: {}, ...options };
    const run = workshop.start(script, { args: [...args], env: { SKITAI_ENV: "", ...env } });
    assert.equal(await run.code(), 0);
    assert.deepEqual(run.lines, [`devel ${devel}`]);
  }
});

Deno.test("SRV-04 SRV-15 engine processes have the flags of a service that may not do everything", async () => {
  await using workshop = await Workshop.open();
  const port = freePort();
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from "@skitai/skitai";
skitai.mount("/", () => new Response("served"));
await skitai.run({ port: ${port}, workers: 2 });
`,
  );
  const command = [
    "run",
    "--no-prompt",
    "--config",
    fileURLToPath(new URL("../../deno.json", import.meta.url)),
    `--allow-net=127.0.0.1:${port}`,
    "--allow-env",
    "--allow-read",
    "--allow-run",
    `--allow-write=${workshop.path}`,
    "--allow-sys=uid",
  ];
  const service = workshop.start(script, { command });
  await service.line(/serving on 127.0.0.1 port .*2 worker/);
  assert.equal((await curl(port, "/")).body, "served");
  service.signal("SIGTERM");
  assert.equal(await service.code(), 0);
  const start = workshop.start(script, { command, args: ["start"] });
  await start.line(/^started /);
  assert.equal(await workshop.start(script, { command, args: ["stop"] }).code(), 0);
});
