import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  curl,
  HeldRequests,
  type ServiceProcess,
  until,
  who,
  Workshop,
} from "../_support/service_process.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

async function start(workshop: Workshop, workers: number, before = ""): Promise<ServiceProcess> {
  const script = await workshop.script({ options: `{ port: 0, workers: ${workers} }`, before });
  return workshop.start(script);
}

for (const workers of [1, 2]) {
  for (const signal of workers === 1 ? ["SIGTERM", "SIGQUIT"] as const : ["SIGINT"] as const) {
    Deno.test(`SRV-21 SRV-22 SRV-23 ${signal} answers every accepted request, ${workers} worker(s)`, async () => {
      await using workshop = await Workshop.open();
      const service = await start(workshop, workers);
      const port = await service.port();
      const held = await HeldRequests.open(workshop, port);
      const slow = Array.from({ length: 8 }, () => held.ask());
      await held.begun(8);
      service.signal(signal);
      await service.line(/shutdown 30000/);
      await held.release();
      assert.deepEqual(
        new Set((await Promise.all(slow)).map(({ body }) => body)),
        new Set(["held"]),
      );
      assert.equal(await service.code(), 0);
      assert.equal((await curl(port, "/")).status, 0);
    });
  }

  Deno.test(`SRV-21 SRV-23 a second signal ends it at once, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const service = await start(workshop, workers);
    const port = await service.port();
    const held = await HeldRequests.open(workshop, port);
    const slow = held.ask();
    await held.begun();
    service.signal("SIGTERM");
    await service.line(/shutdown 30000/);
    service.signal("SIGINT");
    assert.equal(await service.code(), 130);
    assert.equal((await slow).status, 0);
  });

  Deno.test(`SRV-21 LOG-06 SIGUSR1 rotates the logs, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const logs = join(workshop.path, "logs");
    const service = await start(
      workshop,
      workers,
      `service.logDirectory = ${JSON.stringify(logs)};`,
    );
    const port = await service.port();
    if (workers === 2) {
      const files = async () => {
        const names: string[] = [];
        for await (const { name } of Deno.readDir(logs)) names.push(name);
        return names;
      };
      const isOld = (name: string) => /^server-\d{8}.*\.log$/.test(name);
      await until(files, (names) => names.includes("server.log"), "server.log");
      service.signal("SIGUSR1");
      await until(files, (names) => names.some(isOld), "an old server.log");
      service.signal("SIGTERM");
      assert.equal(await service.code(), 0);
      assert.match(await Deno.readTextFile(join(logs, "server.log")), /SIGTERM: stopping/);
      const old = (await files()).find(isOld)!;
      assert.match(await Deno.readTextFile(join(logs, old)), /serving on 127\.0\.0\.1/);
    } else {
      // The fake engine keeps the console; that the signal does not end the process is what is left.
      service.signal("SIGUSR1");
      assert.equal((await who(port))?.pid, service.pid);
    }
  });
}

Deno.test("SRV-21 SRV-23 without a supervisor HUP ends with the exit code that asks for a restart", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop, 1);
  await service.port();
  service.signal("SIGHUP");
  assert.equal(await service.code(), 3);
  await service.line(/^W0 umounted/);
});

Deno.test("SRV-21 SRV-23 HUP and USR1 mean the same to a single process that has not started yet", async () => {
  await using workshop = await Workshop.open();
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from ${JSON.stringify(join(ROOT, "mod.ts"))};
import { Atila } from ${JSON.stringify(join(ROOT, "src/atila/mod.ts"))};
const app = new Atila(import.meta.url);
app.beforeMount(() => {
  app.log("an empty log would not be renamed");
  console.log("waits");
  return new Promise((resolve) => setTimeout(resolve, 1e9));
});
skitai.enableFileLogging("logs");
skitai.mount("/", app);
await skitai.run({ port: 0 });
`,
  );
  const service = workshop.start(script);
  await service.line(/^waits$/);
  const logs = join(workshop.appPath, "logs");
  const old = () => [...Deno.readDirSync(logs)].filter(({ name }) => /^app-/.test(name)).length;
  service.signal("SIGUSR1");
  await until(old, (count) => count === 1, "the log is not renamed");
  service.signal("SIGHUP");
  assert.equal(await service.code(), 3);
});

Deno.test("SRV-16 SRV-21 who stops a service that has not started yet need not wait for it", async () => {
  await using workshop = await Workshop.open();
  const before = `if (Deno.env.get("SKITAI_ROLE") === "engine") {
  console.log("waits");
  await new Promise((resolve) => setTimeout(resolve, 1e9));
}`;
  const service = await start(workshop, 2, before);
  await service.line(/^waits$/);
  service.signal("SIGTERM");
  // the grace of requests, of which there can be none, is half a minute
  const late = AbortSignal.timeout(20_000);
  const isLate = new Promise((_, reject) => {
    late.onabort = () => reject(new Error("it waits for its grace"));
  });
  assert.equal(await Promise.race([service.code(), isLate]), 0);
});

Deno.test("SRV-21 HTTP-39 HUP replaces the engine process while every request is answered", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop, 2);
  const port = await service.port();
  const old = (await who(port))!.pid;
  const held = await HeldRequests.open(workshop, port);
  const slow = held.ask();
  await held.begun();
  service.signal("SIGHUP");
  const pids = new Set<number>();
  const { pid } = (await until(
    async () => {
      const answer = await who(port);
      assert.ok(answer !== undefined, "a request was not answered");
      pids.add(answer.pid);
      return answer;
    },
    (answer) => answer.pid !== old,
    "a new engine process",
  ))!;
  assert.deepEqual(pids, new Set([old, pid]));
  await held.release();
  assert.equal((await slow).body, "held", "what the old one had was answered");
  await service.line(/^W1 reloaded/);
  assert.equal(service.lines.filter((line) => / beforeReload$/.test(line)).length, 2);
});

Deno.test("SRV-21 a signal to the process group reaches the supervisor only", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop, 2);
  const port = await service.port();
  const { pid: engine } = (await who(port))!;
  for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP"] as const) Deno.kill(engine, signal);
  assert.equal((await who(port))?.pid, engine);
  assert.ok(!service.lines.some((line) => line.includes("shutdown")));
});

Deno.test("SRV-14 SRV-21 a foreground run ends with its terminal", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using workshop = await Workshop.open();
  const script = await workshop.script({ options: "{ port: 0, workers: 2 }" });
  // A terminal whose other side is closed once the service listens.
  const { stdout } = await new Deno.Command("python3", {
    args: [
      "-c",
      `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "-A", sys.argv[2]])
seen = b""
while b" 2 %d"  % pid not in seen:
    seen += os.read(terminal, 4096)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
      Deno.execPath(),
      script,
    ],
    env: { SKITAI_VAR: workshop.path, NO_COLOR: "1" },
  }).output();
  assert.equal(new TextDecoder().decode(stdout).trim(), "0");
});
