import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../_support/free_port.ts";
import { canMount } from "../_support/small_disk.ts";
import { curl, HeldRequests, until, who, Workshop } from "../_support/service_process.ts";

const CLI = join(dirname(fileURLToPath(import.meta.url)), "../../cli.ts");

async function command(program: string, ...args: string[]): Promise<void> {
  assert.ok((await new Deno.Command(program, { args }).output()).success, args.join(" "));
}

/** False for the process of a zombie, too. */
async function exists(path: string): Promise<boolean> {
  try {
    await Deno.readLink(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

interface Shop {
  readonly workshop: Workshop;
  readonly port: number;
  /** Runs the script with these arguments to its end. */
  run(...args: string[]): Promise<{ code: number; output: string }>;
  /** Runs the `skitai` command. */
  skitai(...args: string[]): Promise<{ code: number; output: string }>;
}

/** A service that can be a daemon; the daemon is stopped at the end. */
async function withShop(
  script: { before?: string; fake?: string; workers?: number },
  test: (shop: Shop) => Promise<void>,
): Promise<void> {
  await using workshop = await Workshop.open();
  const port = freePort();
  const { workers = 1, ...rest } = script;
  const path = await workshop.script({
    ...rest,
    options: `{ port: ${port}, name: "my shop", workers: ${workers} }`,
  });
  const run = async (...args: string[]) => {
    const process = workshop.start(path, { args });
    return { code: await process.code(), output: process.lines.join("\n") };
  };
  const skitai = async (...args: string[]) => {
    const process = workshop.start(CLI, { args });
    return { code: await process.code(), output: process.lines.join("\n") };
  };
  try {
    await test({ workshop, port, run, skitai });
  } finally {
    await run("stop");
  }
}

Deno.test("SRV-15 SRV-16 SRV-18 SRV-20 CLI-03 CLI-05 a daemon starts, serves, tells and stops", async () => {
  await withShop({ workers: 2 }, async ({ workshop, port, run, skitai }) => {
    assert.deepEqual(await run("status"), { code: 0, output: "stopped" });
    assert.deepEqual(await run("stop"), { code: 0, output: "stopped" });

    const started = await run("start");
    assert.equal(started.code, 0, started.output);
    const pid = Number(/^started \[(\d+)\]/.exec(started.output)![1]);
    const answer = (await who(port))!;
    assert.equal(answer.daemon, true);
    assert.deepEqual(await run("status"), { code: 0, output: `running [${pid}]` });
    const title = await Deno.readTextFile(`/proc/${pid}/cmdline`);
    assert.ok(title.startsWith("skitai/my shop: master\0"), title);
    // Its own session, without a terminal.
    const stat = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1]!.split(" ");
    assert.deepEqual([Number(stat[3]), stat[4]], [pid, "0"]);

    assert.deepEqual(await run("-d"), { code: 0, output: `already running [${pid}]` });
    const foreground = await run();
    assert.equal(foreground.code, 1);
    assert.match(foreground.output, new RegExp(`\\[fatal\\] daemon is running \\[${pid}\\]$`));

    const runtime = join(workshop.path, "var", "my-shop");
    assert.equal((await Deno.readTextFile(join(runtime, "daemon.pid"))).trim(), String(pid));
    assert.ok((await Deno.stat(join(runtime, "stderr.engine"))).isFile);
    const log = () => Deno.readTextFile(join(runtime, "log", "server.log"));
    await until(
      log,
      (text) => /serving on 127\.0\.0\.1/.test(text),
      "without a console the log is a file",
    );
    const listed = await skitai("status");
    assert.equal(listed.code, 0);
    assert.match(
      listed.output,
      new RegExp(`^my-shop  running for \\d+ s, pid ${pid}, 127.0.0.1 port ${port}$`),
    );

    const held = await HeldRequests.open(workshop, port);
    const slow = held.ask();
    await held.begun();
    const stopped = run("stop");
    await until(log, (text) => /SIGTERM: stopping/.test(text), "that it stops");
    await held.release();
    assert.deepEqual(await stopped, { code: 0, output: "stopped" });
    assert.equal((await slow).body, "held");
    assert.equal((await curl(port, "/")).status, 0);
    assert.deepEqual(await run("status"), { code: 0, output: "stopped" });
    assert.equal((await skitai("status")).output, "my-shop  stopped");
  });
});

Deno.test("SRV-17 restart stops the daemon and starts another", async () => {
  await withShop({}, async ({ port, run }) => {
    assert.equal((await run("start")).code, 0);
    const first = (await who(port))!;
    const again = await run("restart");
    assert.equal(again.code, 0, again.output);
    assert.match(again.output, /^stopped\nstarted \[\d+\]/);
    assert.notEqual((await who(port))!.pid, first.pid);
  });
});

Deno.test("SRV-15 SRV-03 a daemon that cannot start says why and leaves nothing behind", async () => {
  await withShop({}, async ({ port, run }) => {
    using _taken = Deno.listen({ hostname: "127.0.0.1", port });
    const started = await run("start");
    assert.equal(started.code, 1);
    assert.equal(
      started.output,
      `address already in use, cannot start server: 127.0.0.1:${port}`,
    );
    assert.deepEqual(await run("status"), { code: 0, output: "stopped" });
  });
});

Deno.test("SRV-15 SRV-19 a runtime directory that cannot be one ends start and commands with one line", async () => {
  await using workshop = await Workshop.open();
  const path = await workshop.script({ options: `{ port: ${freePort()}, name: "my shop" }` });
  const file = join(workshop.path, "a file");
  await Deno.writeTextFile(file, "");
  for (const args of [["start"], ["stop"], ["restart"], ["status"], []]) {
    const process = workshop.start(path, { args, env: { SKITAI_VAR: join(file, "var") } });
    assert.equal(await process.code(), 1);
    assert.equal(process.lines.length, 1, process.lines.join("\n"));
    assert.match(process.lines[0]!, /a file\/var\S*: .*(?:Not a directory|cannot be made)/);
  }
});

Deno.test("SRV-05 SRV-20 a killed daemon leaves nothing that keeps the next from starting", async () => {
  await withShop({}, async ({ port, run }) => {
    const first = /\[(\d+)\]/.exec((await run("start")).output)!;
    const engine = (await who(port))!.pid;
    assert.notEqual(engine, Number(first[1]), "a supervisor and an engine process");
    // A killed engine is replaced …
    Deno.kill(engine, "SIGKILL");
    const next = await until(
      () => who(port),
      (answer) => answer !== undefined && answer.pid !== engine,
      "a new engine",
    );
    // … and a killed supervisor takes its engine with it.
    Deno.kill(Number(first[1]), "SIGKILL");
    await until(() => who(port), (answer) => answer === undefined, `the end of ${next!.pid}`);
    assert.deepEqual(await run("status"), { code: 0, output: "stopped" });
    const second = await run("start");
    assert.equal(second.code, 0, second.output);
    assert.ok(await who(port));
  });
});

Deno.test({
  name: "SRV-16 SRV-21 a daemon whose files cannot be removed ends all the same",
  ignore: !await canMount(),
  fn: async () => {
    await withShop({ before: "setInterval(() => {}, 1000);" }, async ({ workshop, run }) => {
      const { output } = await run("start");
      const pid = Number(/^started \[(\d+)\]/.exec(output)![1]);
      const file = join(workshop.path, "var/my-shop/daemon.pid");
      // what something is mounted on cannot be removed, not even by root
      await command("mount", "--bind", file, file);
      try {
        assert.deepEqual(await run("stop"), { code: 0, output: "stopped" });
        await until(() => exists(`/proc/${pid}/exe`), (alive) => !alive, "the daemon lives on");
      } finally {
        await command("umount", "-l", file);
      }
    });
  },
});

Deno.test("SRV-14 TST-02 a test run on its own port does not mind the daemon", async () => {
  await withShop({}, async ({ workshop, port, run }) => {
    assert.equal((await run("start")).code, 0);
    const other = freePort();
    const test = workshop.start(join(workshop.appPath, "app.ts"), {
      env: { SKITAI_TEST_PORT: String(other) },
    });
    assert.equal(await test.port(), other);
    assert.notEqual((await who(other))!.pid, (await who(port))!.pid);
  });
});

Deno.test("CLI-02 CLI-03 options of the script and commands of the engine stay apart", async () => {
  const argopt = new URL("../../src/server/argopt.ts", import.meta.url).href;
  await withShop({
    before: `const { argopt } = await import(${JSON.stringify(argopt)});
console.log(JSON.stringify(argopt("f:", ["debug"])));`,
  }, async ({ run }) => {
    const { code, output } = await run("--debug", "-f", "stop", "status", "file");
    assert.equal(code, 0);
    assert.equal(output, `[[["--debug",""],["-f","stop"]],["file"]]\nstopped`);
  });
});

Deno.test("CLI-04 the skitai command explains itself and refuses what it does not know", async () => {
  await withShop({}, async ({ skitai }) => {
    const usage = await skitai();
    assert.equal(usage.code, 0);
    assert.match(usage.output, /^Usage: skitai [^]*status/);
    const unknown = await skitai("nonsense");
    assert.equal(unknown.code, 1);
    assert.match(unknown.output, /unknown command "nonsense"/);
    assert.match((await skitai("--version")).output, /^\d+\.\d+\.\d+$/);
  });
});
