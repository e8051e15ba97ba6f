import assert from "node:assert/strict";
import { join } from "node:path";
import { freePort } from "../_support/free_port.ts";
import { ended, type ServiceProcess, until, who, Workshop } from "../_support/service_process.ts";

/** Lets engine processes wait in their script for as long as a file is there. */
class Gate {
  readonly #shut: string;
  readonly #waiting: string;

  constructor(workshop: Workshop) {
    this.#shut = join(workshop.path, "shut");
    this.#waiting = join(workshop.path, "waiting");
  }

  /** For the script, before `run`. */
  get source(): string {
    return `if (Deno.env.get("SKITAI_ROLE") === "engine") {
  for (let shut = true; shut;) {
    try {
      Deno.statSync(${JSON.stringify(this.#shut)});
      Deno.writeTextFileSync(${JSON.stringify(this.#waiting)}, String(Deno.pid));
      await new Promise((resolve) => setTimeout(resolve, 20));
    } catch {
      shut = false;
    }
  }
}`;
  }

  async close(): Promise<void> {
    await Deno.writeTextFile(this.#shut, "");
  }

  async open(): Promise<void> {
    await Deno.remove(this.#shut);
  }

  /** Process id of an engine that waits there. */
  async waiting(): Promise<number> {
    const pid = () => Deno.readTextFile(this.#waiting).catch(() => "");
    return Number(await until(pid, (text) => text !== "", "an engine that waits"));
  }
}

/** Processes below another one. */
async function children(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  return text.split(" ").filter((word) => word !== "").map(Number);
}

async function aloneBelow(service: ServiceProcess, engine: number): Promise<void> {
  await until(() => children(service.pid), (pids) => pids.length === 1, "one engine process");
  assert.deepEqual(await children(service.pid), [engine]);
}

/** A service whose engine was killed while its successor waits at a gate. */
async function orphanedSuccessor(workshop: Workshop) {
  const gate = new Gate(workshop);
  const script = await workshop.script({
    options: "{ port: 0, workers: 2 }",
    before: gate.source,
  });
  const service = workshop.start(script);
  const port = await service.port();
  const old = (await who(port))!.pid;
  await gate.close();
  service.signal("SIGHUP");
  const successor = await gate.waiting();
  Deno.kill(old, "SIGKILL");
  await service.line(new RegExp(`engine process ${old} ended: SIGKILL`));
  return { gate, service, port, successor };
}

Deno.test("SRV-05 SRV-21 an engine that dies while its successor starts is replaced by that one alone", async () => {
  await using workshop = await Workshop.open();
  const { gate, service, port, successor } = await orphanedSuccessor(workshop);
  await gate.open();
  await service.line(new RegExp(`serving on .* engine process ${successor}$`));
  await aloneBelow(service, successor);
  assert.equal((await who(port))!.pid, successor);
});

Deno.test("SRV-05 SRV-21 when the successor of an engine that died fails, another one starts", async () => {
  await using workshop = await Workshop.open();
  const { gate, service, port, successor } = await orphanedSuccessor(workshop);
  Deno.kill(successor, "SIGKILL");
  await gate.open();
  await service.line(new RegExp(`engine process ${successor} did not start: .*another one starts`));
  const { pid } = (await until(() => who(port), (answer) => answer !== undefined, "an engine"))!;
  await aloneBelow(service, pid);
});

Deno.test("SRV-21 a HUP while the engine starts replaces it when it serves", async () => {
  await using workshop = await Workshop.open();
  const gate = new Gate(workshop);
  const script = await workshop.script({
    options: "{ port: 0, workers: 2 }",
    before: gate.source,
  });
  await gate.close();
  const service = workshop.start(script);
  const first = await gate.waiting();
  service.signal("SIGHUP");
  await gate.open();
  const port = await service.port();
  await service.line(new RegExp(`engine process ${first} is replaced: SIGHUP`));
  await until(() => who(port), (answer) => answer !== undefined && answer.pid !== first, "another");
});

Deno.test("SRV-05 an engine that cannot go on is replaced although a successor has failed", async () => {
  await using workshop = await Workshop.open();
  const broken = join(workshop.path, "broken");
  const script = await workshop.script({
    options: "{ port: 0, workers: 1 }",
    fake: `{
      watched: [import.meta.filename],
      fail: () => {
        if (Deno.readTextFileSync(${JSON.stringify(broken)}) !== "") throw new Error("broken");
      },
    }`,
  });
  await Deno.writeTextFile(broken, "");
  const service = workshop.start(script);
  const port = await service.port();
  const old = (await who(port))!.pid;
  await Deno.writeTextFile(broken, "yes");
  assert.ok(await (await fetch(`http://127.0.0.1:${port}/throw`)).text());
  await service.line(
    new RegExp(`engine process ${old} stays, its successor did not start: .*broken`),
  );
  await Deno.writeTextFile(broken, "");
  const { pid } = (await until(
    () => who(port),
    (answer) => answer !== undefined && answer.pid !== old,
    "a successor",
  ))!;
  await aloneBelow(service, pid);
});

Deno.test("ATL-07 SRV-05 a successor that does not come to an end of its start gives way to the next change", async () => {
  await using workshop = await Workshop.open();
  const module = join(workshop.appPath, "version.ts");
  const write = (version: string, more = "") =>
    Deno.writeTextFile(module, `export const version = "${version}";\n${more}`);
  await write("one");
  const script = await workshop.script({
    options: "{ port: 0, workers: 1 }",
    fake: `{ watched: [${JSON.stringify(module)}], version }`,
    before: `const { version } = await import("./version.ts");`,
  });
  const service = workshop.start(script, { env: { SKITAI_ENV: "" } });
  const port = await service.port();
  const { pid } = (await who(port))!;
  const stuck = join(workshop.path, "stuck");
  await write(
    "stuck",
    `if (Deno.env.has("SKITAI_ROLE")) {
      Deno.writeTextFileSync(${JSON.stringify(stuck)}, String(Deno.pid));
      await new Promise((resolve) => setTimeout(resolve, 3_600_000));
    }`,
  );
  const read = () => Deno.readTextFile(stuck).catch(() => "");
  const waiting = Number(await until(read, (text) => text !== "", "an engine that is stuck"));
  try {
    assert.equal((await who(port))!.pid, pid);
    await write("number three");
    await until(() => who(port), (answer) => answer?.version === "number three", "number three");
  } finally {
    await ended(waiting);
  }
  await ended(pid);
});

Deno.test("SRV-21 SRV-05 a successor that does not come to an end of its start gives way to a HUP", async () => {
  await using workshop = await Workshop.open();
  const module = join(workshop.appPath, "version.ts");
  await Deno.writeTextFile(module, `export const version = "one";\n`);
  const script = await workshop.script({
    options: "{ port: 0, workers: 2 }",
    fake: "{ version }",
    before: `const { version } = await import("./version.ts");`,
  });
  const service = workshop.start(script, { env: { SKITAI_HANG_SECONDS: "3" } });
  const port = await service.port();
  const stuck = join(workshop.path, "stuck");
  await Deno.writeTextFile(
    module,
    `export const version = "two";
Deno.writeTextFileSync(${JSON.stringify(stuck)}, String(Deno.pid));
await new Promise((resolve) => setTimeout(resolve, 3_600_000));
`,
  );
  service.signal("SIGHUP");
  const read = () => Deno.readTextFile(stuck).catch(() => "");
  const waiting = Number(await until(read, (text) => text !== "", "an engine that is stuck"));
  await Deno.writeTextFile(module, `export const version = "three";\n`);
  // who asks again after some time is heard
  const ask = () => {
    service.signal("SIGHUP");
    return who(port);
  };
  await until(ask, (answer) => answer?.version === "three", "version three");
  await ended(waiting);
});

Deno.test("SRV-05 without its supervisor an engine process ends, in whatever moment that went", async () => {
  await using workshop = await Workshop.open();
  const gate = new Gate(workshop);
  const port = freePort();
  const script = await workshop.script({
    options: `{ port: ${port}, workers: 2 }`,
    before: gate.source,
  });
  await gate.close();
  const service = workshop.start(script);
  const engine = await gate.waiting();
  service.signal("SIGKILL");
  await service.status;
  await gate.open();
  await ended(engine);
  await service.line(/the supervisor is gone; this engine process stops/);
});

Deno.test("SRV-20 SRV-21 a daemon whose runtime directory is gone has one engine after a HUP, and stops", async () => {
  await using workshop = await Workshop.open();
  const port = freePort();
  const script = await workshop.script({ options: `{ port: ${port}, name: "shop" }` });
  const start = workshop.start(script, { args: ["start"] });
  assert.equal(await start.code(), 0, start.lines.join("\n"));
  const pid = Number(/^started \[(\d+)\]/.exec(start.lines[0]!)![1]);
  const [old] = await children(pid);
  await Deno.remove(join(workshop.path, "var", "shop"), { recursive: true });
  try {
    Deno.kill(pid, "SIGHUP");
    await until(
      () => children(pid),
      (pids) => pids.length === 1 && pids[0] !== old,
      "one engine, another one",
    );
    assert.ok(await until(() => who(port), (answer) => answer !== undefined, "an answer"));
  } finally {
    Deno.kill(pid, "SIGTERM");
    await ended(pid);
  }
});

Deno.test({
  name: "SRV-03 of two services that start on one port at once, only one serves",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using workshop = await Workshop.open();
    const gate = new Gate(workshop);
    const port = freePort();
    const options = (name: string) => `{ port: ${port}, workers: 2, name: "${name}" }`;
    const late = await workshop.script({
      name: "late.ts",
      options: options("late"),
      before: gate.source,
    });
    const quick = await workshop.script({ name: "quick.ts", options: options("quick") });
    await gate.close();
    const second = workshop.start(late);
    // Its supervisor has found the port free.
    await gate.waiting();
    const first = workshop.start(quick);
    await first.port();
    await gate.open();
    assert.equal(await second.code(), 1);
    await second.line(
      new RegExp(`\\[fatal\\] address already in use, cannot start server: 127.0.0.1:${port}$`),
    );
    assert.ok((await children(first.pid)).includes((await who(port))!.pid));
  },
});
