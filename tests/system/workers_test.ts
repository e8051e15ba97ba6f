import assert from "node:assert/strict";
import {
  curl,
  HeldRequests,
  type ServiceProcess,
  until,
  type Who,
  who,
  Workshop,
} from "../_support/service_process.ts";

/** Each worker that answers within many connections. */
async function answering(port: number): Promise<Map<number, Who>> {
  const found = new Map<number, Who>();
  for (let i = 0; i < 40 && found.size < 2; i++) {
    const answer = await who(port);
    if (answer !== undefined) found.set(answer.worker, answer);
  }
  return found;
}

async function start(
  workshop: Workshop,
  { flags = [], before = "", hang = "" }: { flags?: string[]; before?: string; hang?: string } = {},
): Promise<ServiceProcess> {
  const script = await workshop.script({ options: "{ port: 0, workers: 2 }", before });
  return workshop.start(script, { flags, env: { SKITAI_HANG_SECONDS: hang } });
}

Deno.test("SRV-04 SRV-06 IPC-06 workers share a port and count together", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop);
  const port = await service.port();
  const both = await answering(port);
  assert.deepEqual([...both.keys()].sort(), [0, 1]);
  assert.deepEqual([both.get(0)!.id, both.get(1)!.id], ["W0", "W1"]);
  assert.equal(both.get(0)!.pid, both.get(1)!.pid, "threads of one process");
  const before = (await who(port))!.requests;
  for (let i = 0; i < 10; i++) await who(port);
  assert.equal((await who(port))!.requests, before + 11, "whoever answers knows of all requests");
  assert.ok(
    (await Deno.readTextFile(`/proc/${service.pid}/cmdline`)).startsWith("skitai/shop: master"),
  );
  await service.line(new RegExp(`^listening 127\\.0\\.0\\.1 ${port} 2 ${service.pid}$`));
});

for (
  const [what, path, reason] of [
    ["throws outside of a request", "/throw", /is replaced: Error: thrown outside of a request/],
    ["ends its thread", "/exit?code=7", /ended: exit code 7; another one starts at once/],
  ] as const
) {
  Deno.test(`SRV-05 HTTP-39 a worker that ${what} is replaced alone`, async () => {
    await using workshop = await Workshop.open();
    const service = await start(workshop);
    const port = await service.port();
    const { pid } = (await who(port))!;
    await curl(port, path);
    await service.line(reason);
    await until(
      () => service.lines.filter((line) => line.endsWith(" mounted")).length,
      (mounted) => mounted === 3,
      "a third mount",
    );
    const both = await until(() => answering(port), (found) => found.size === 2, "both workers");
    assert.deepEqual(new Set([...both.values()].map((answer) => answer.pid)), new Set([pid]));
  });
}

for (const path of ["/heap", "/heap-in-handler"]) {
  Deno.test(`SRV-05 a worker that exhausts its heap is replaced alone (${path})`, async () => {
    await using workshop = await Workshop.open();
    const service = await start(workshop, { flags: ["--v8-flags=--max-old-space-size=80"] });
    const port = await service.port();
    const { pid } = (await who(port))!;
    const eater = curl(port, path, { seconds: 5 });
    await service.line(/memory limit: JS heap out of memory|has used up its heap/);
    await until(
      () => service.lines.filter((line) => line.endsWith(" mounted")).length,
      (mounted) => mounted === 3,
      "a third mount",
    );
    const both = await until(() => answering(port), (found) => found.size === 2, "both workers");
    assert.deepEqual(new Set([...both.values()].map((answer) => answer.pid)), new Set([pid]));
    await eater;
  });
}

Deno.test("SRV-05 HTTP-39 a worker that loops for ever is found, and its engine process replaced", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop, { hang: "2" });
  const port = await service.port();
  const { pid } = (await who(port))!;
  const looping = curl(port, "/loop", { seconds: 15 });
  await service.line(/is replaced: worker #\d has not responded for 2 s/);
  await until(
    () => who(port, 1),
    (answer) => answer !== undefined && answer.pid !== pid,
    "new one",
  );
  assert.equal((await looping).status, 0);
  await until(() => exists(`/proc/${pid}`), (there) => !there, "the end of the old process");
  // For a moment new connections all go to the first one of the two that listens.
  await until(() => answering(port), (found) => found.size === 2, "both workers");
});

Deno.test("SRV-05 one worker that loops for ever is killed and started again", async () => {
  await using workshop = await Workshop.open();
  const script = await workshop.script({
    options: "{ port: 0 }",
    before: "setWorkerCriticalPoint({ interval: 3600 });",
  });
  const service = workshop.start(script, { env: { SKITAI_HANG_SECONDS: "2" } });
  const port = await service.port();
  const { pid } = (await who(port))!;
  assert.notEqual(pid, service.pid, "a critical point needs a supervisor");
  assert.equal((await curl(port, "/loop")).status, 0);
  await service.line(new RegExp(`engine process ${pid} has not responded for 2 s`));
  await until(() => who(port), (answer) => answer !== undefined && answer.pid !== pid, "a new one");
});

Deno.test("SRV-05 a killed engine process is replaced at once", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop);
  const port = await service.port();
  const { pid } = (await who(port))!;
  Deno.kill(pid, "SIGKILL");
  await service.line(/ended: SIGKILL; another one starts at once/);
  await until(() => who(port), (answer) => answer !== undefined && answer.pid !== pid, "a new one");
});

Deno.test("SRV-23 an engine that exits with 3 is started again", async () => {
  await using workshop = await Workshop.open();
  const script = await workshop.script({
    options: "{ port: 0 }",
    before: "setWorkerCriticalPoint({ interval: 3600 });",
  });
  const service = workshop.start(script);
  const port = await service.port();
  const { pid } = (await who(port))!;
  await curl(port, "/exit?code=3");
  await service.line(/asked to be started again; another one starts at once/);
  await until(() => who(port), (answer) => answer !== undefined && answer.pid !== pid, "a new one");
});

Deno.test("SRV-05 without its supervisor an engine process stops by itself, gracefully", async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop);
  const port = await service.port();
  const { pid } = (await who(port))!;
  const held = await HeldRequests.open(workshop, port);
  const slow = held.ask();
  await held.begun();
  Deno.kill(service.pid, "SIGKILL");
  await service.line(/the supervisor is gone; this engine process stops/);
  await held.release();
  assert.equal((await slow).body, "held");
  await until(() => exists(`/proc/${pid}`), (there) => !there, "the end of the engine process");
});

Deno.test("SRV-24 SRV-25 an overloaded worker is replaced, the other one stays", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using workshop = await Workshop.open();
  const service = await start(workshop, {
    // Other processes compete for the processors, so the share of a busy worker may be small.
    before: "setWorkerCriticalPoint({ cpuPercent: 20, continuous: 2, interval: 0.5 });",
  });
  const port = await service.port();
  const burning = curl(port, "/burn?ms=60000", { seconds: 60 });
  await service.line(/worker #\d is replaced: critical point, \d+\.\d % of a processor/);
  await service.line(/average load of 2 worker\(s\): \d/);
  await until(
    () => service.lines.filter((line) => line.endsWith(" mounted")).length,
    (mounted) => mounted === 3,
    "a third mount",
  );
  // For a moment new connections all go to the new one.
  await until(() => answering(port), (found) => found.size === 2, "both workers");
  await burning;
});

async function exists(path: string): Promise<boolean> {
  try {
    // A zombie waiting to be collected by a container's first process has ended all the same.
    return !/^State:\s+Z/m.test(await Deno.readTextFile(`${path}/status`));
  } catch (error) {
    // One that ends between opening and reading is "No such process", which is no error of a kind.
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) return false;
    throw error;
  }
}
