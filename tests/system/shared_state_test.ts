import assert from "node:assert/strict";
import { curl, type ServiceProcess, until, Workshop } from "../_support/service_process.ts";

const SCRIPT = new URL("../_support/shared_service.ts", import.meta.url).pathname;

interface Facts {
  readonly worker: string;
  readonly users: number;
  readonly orders: number;
  readonly newest: number;
  readonly level: number;
  readonly heard: unknown[][];
  readonly now: number;
}

function start(workshop: Workshop): ServiceProcess {
  return workshop.start(SCRIPT, { flags: ["--unstable-net"] });
}

/** What each of the two workers knows. */
async function bothOf(port: number): Promise<[Facts, Facts]> {
  const found = new Map<string, Facts>();
  await until(
    async () => {
      const facts = JSON.parse((await curl(port, "/facts")).body) as Facts;
      found.set(facts.worker, facts);
      return found.size;
    },
    (size) => size === 2,
    "both workers answer",
  );
  return [found.get("W0")!, found.get("W1")!];
}

Deno.test("CACHE-14 CACHE-15 CACHE-16 last-update keys are shared by all workers", async () => {
  await using workshop = await Workshop.open();
  const began = Date.now();
  const port = await start(workshop).port();
  const [first, other] = await bothOf(port);
  assert.equal(first.users, other.users, "both see the start of the server");
  assert.equal(first.users, first.orders);
  assert.ok(first.users >= began && first.users <= first.now);

  const { body: worker } = await curl(port, "/touch");
  const [w0, w1] = await bothOf(port);
  assert.equal(w0.users, w1.users);
  assert.ok(w0.users > first.users);
  assert.equal(w0.newest, w0.users, "the newest of several keys");
  assert.equal(w0.orders, first.orders);

  const [toucher, bystander] = worker === "W0" ? [w0, w1] : [w1, w0];
  assert.deepEqual(toucher.heard, [
    ["tables.users", "row", 7],
    ["model-changed:tables.users", "row", 7],
    ["model-changed", "row", 7],
  ]);
  assert.deepEqual(bystander.heard, [], "events stay in their worker");
});

Deno.test("IPC-01 IPC-02 IPC-03 IPC-04 CACHE-14 global state crosses workers, and hooks that watch it see it", async () => {
  await using workshop = await Workshop.open();
  const port = await start(workshop).port();
  assert.deepEqual((await bothOf(port)).map(({ level }) => level), [0, 0]);
  const { body: worker } = await curl(port, "/level?to=-41");
  const both = await until(
    () => bothOf(port),
    (facts) => facts.every(({ heard }) => heard.some(([event]) => event === "level-changed")),
    "the maintenance hook of each worker finds the change",
  );
  assert.deepEqual(both.map(({ level }) => level), [-41, -41]);
  for (const { worker: id, heard } of both) {
    const [own, watched] = ["level", "level-changed"].map((name) =>
      heard.filter(([event]) => event === name)
    );
    assert.deepEqual(own, id === worker ? [["level", -41, "by hand"]] : []);
    assert.deepEqual(watched, [["level-changed", -41]], "once");
  }
  const { said } = JSON.parse((await curl(port, "/wrong")).body);
  assert.deepEqual(said, [
    'Cannot set "unknown": declare it with deflu before run; declared are tables.users, tables.orders',
    'Cannot get "unknown": declare it with deflu before run; declared are tables.users, tables.orders',
    'Cannot set "unknown": declare it with defgs before run; declared are level, holders, most',
    'Cannot get "unknown": declare it with defgs before run; declared are level, holders, most',
    "Cannot set level to 1.5: expected a whole number",
  ]);
});

Deno.test("IPC-05 a lock excludes the handlers of all workers, by its name", async () => {
  await using workshop = await Workshop.open();
  const port = await start(workshop).port();
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => curl(port, "/locked", { seconds: 20 })),
  );
  assert.deepEqual(answers.map(({ status }) => status), Array(40).fill(200));
  assert.equal(new Set(answers.map(({ body }) => body)).size, 2, "both workers held it");
  assert.equal((await curl(port, "/most")).body, "1", "never two at a time");

  const slow = curl(port, "/locked?name=a&ms=3000", { seconds: 20 });
  await until(
    async () => (await curl(port, "/locked?name=b&ms=1")).status,
    (status) => status === 200,
    "another name is free",
  );
  assert.equal((await slow).status, 200);
});

Deno.test("IPC-05 SRV-05 a worker that ends leaves its locks to the others", async () => {
  await using workshop = await Workshop.open();
  const service = start(workshop);
  const port = await service.port();
  assert.equal((await curl(port, "/die")).status, 0);
  await service.line(/another one starts/);
  // a lease lasts fifteen seconds
  assert.equal((await curl(port, "/locked?name=left", { seconds: 10 })).status, 200);
});

Deno.test("UTL-03 with several workers restart and shutdown replace the one that is asked", async () => {
  await using workshop = await Workshop.open();
  const service = start(workshop);
  const port = await service.port();
  const { body: first } = await curl(port, "/restart");
  await service.line(new RegExp(`asked for a restart`));
  await until(() => curl(port, "/facts"), ({ status }) => status === 200, "it serves on");
  // one that is leaving already is not replaced once more
  await until(
    async () => {
      await curl(port, "/shutdown");
      return service.lines.some((line) => line.includes("asked for a shutdown"));
    },
    (isReplaced) => isReplaced,
    "the other kind replaces a worker too",
  );
  await bothOf(port);
  assert.match(first, /^W[01]$/);
});

Deno.test("UTL-01 UTL-03 with one worker shutdown ends the server, after the answer", async () => {
  await using workshop = await Workshop.open();
  const service = workshop.start(SCRIPT, {
    flags: ["--unstable-net"],
    env: { SHARED_WORKERS: "1" },
  });
  const port = await service.port();
  const { body: page } = await curl(port, "/status");
  assert.match(page, /<th>requests<\/th><td>\d+<\/td>/);
  assert.deepEqual(await curl(port, "/shutdown"), { status: 200, body: "W0" });
  assert.equal(await service.code(), 0);
});

Deno.test("CACHE-01 CACHE-04 the cache on disk is shared by all workers, and by the server that comes next", async () => {
  await using workshop = await Workshop.open();
  let asked = 0;
  const backend = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => Response.json(++asked, { headers: { "cache-control": "max-age=600" } }),
  );
  try {
    const env = {
      SHARED_CACHE: `${workshop.path}/cache`,
      SHARED_BACKEND: `http://127.0.0.1:${backend.addr.port}/`,
    };
    const ask = async (port: number) =>
      JSON.parse((await curl(port, "/cached")).body) as {
        data: number;
        lookup: string | null;
        worker: string;
      };
    const service = workshop.start(SCRIPT, { flags: ["--unstable-net"], env });
    const port = await service.port();
    assert.deepEqual((await ask(port)).data, 1);
    // The answer goes out before it is on the disk.
    await until(
      () => entries(env.SHARED_CACHE),
      (names) => names.length === 1 && !names[0]!.endsWith(".tmp"),
      "it is kept",
    );
    const hits = new Set<string>();
    await until(
      async () => {
        const { data, lookup, worker } = await ask(port);
        assert.equal(data, 1);
        if (lookup === "HIT") hits.add(worker);
        return hits.size;
      },
      (size) => size === 2,
      "both workers find it",
    );
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
    const next = workshop.start(SCRIPT, { flags: ["--unstable-net"], env });
    const { data, lookup } = await ask(await next.port());
    assert.deepEqual([data, lookup, asked], [1, "HIT", 1]);
  } finally {
    await backend.shutdown();
  }
});

/** Files in a directory, at any depth. */
function entries(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? entries(`${directory}/${name}`) : [name]
  );
}
