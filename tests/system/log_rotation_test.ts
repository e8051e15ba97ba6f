import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { isMissing } from "../_support/services.ts";
import { until, within } from "../_support/service_process.ts";
import { linesOf } from "../_support/log_directory.ts";
import { fetchText, LogService } from "../_support/log_services.ts";
import { canMount, SmallDisk } from "../_support/small_disk.ts";

const MIDNIGHT = fileURLToPath(new URL("../_support/before_midnight.ts", import.meta.url));

/** Sends so many requests over some connections and checks that each is answered. */
async function load(url: string, requests: number, connections = 8): Promise<void> {
  const { stdout } = await new Deno.Command("h2load", {
    args: ["--h1", "-n", `${requests}`, "-c", `${connections}`, url],
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.match(text, new RegExp(` ${requests} done, ${requests} succeeded, 0 failed`), text);
}

/** Every request left a line, whole and once; workers are those that answered. */
function checkRequests(service: LogService, requests: number): Set<string> {
  const facts = service.requests();
  assert.equal(facts.length, requests);
  assert.equal(new Set(facts.map(({ gtxnid }) => gtxnid)).size, requests, "each line once");
  return new Set(facts.map(({ workerId }) => workerId));
}

for (const workers of [1, 2]) {
  Deno.test(
    `LOG-06 SRV-21 under load SIGUSR1 starts new files and no line is lost or torn, ${workers} worker(s)`,
    {
      ignore: isMissing("h2load"),
    },
    async () => {
      await using service = await LogService.start({ LOG_WORKERS: `${workers}` });
      const url = await service.url("/hello");
      const batches = 6;
      const each = 3000;
      for (let batch = 1; batch <= batches; batch++) {
        const running = load(url, each);
        const before = service.files("request").length;
        // A log without lines is left alone, so the first signal may come too early.
        await until(
          () => {
            service.process.signal("SIGUSR1");
            return service.files("request").length;
          },
          (files) => files > before,
          "another request log",
        );
        await running;
      }
      assert.equal(await service.stop(), 0);
      const seen = checkRequests(service, batches * each);
      if (workers === 2) assert.deepEqual([...seen].sort(), ["W0", "W1"]);
      assert.ok(service.files("request").length > batches);
      assert.ok(service.files("server").length > 1 && service.files("app").length > 1);
    },
  );
}

Deno.test("LOG-01 LOG-06 at midnight the supervisor rotates under load, and no line is lost", {
  ignore: isMissing("h2load"),
}, async () => {
  // A request log without lines is left alone, so there have to be requests before.
  const env = { LOG_WORKERS: "2", MIDNIGHT_AT: `${Date.now() + 6000}` };
  await using service = await LogService.start(env, { flags: [`--preload=${MIDNIGHT}`] });
  const url = await service.url("/hello");
  let sent = 0;
  const rotated = () => service.files("request").some((name) => name !== "request.log");
  await within(
    (async () => {
      while (!rotated()) {
        await load(url, 500);
        sent += 500;
      }
    })(),
    () => "the rotation at midnight",
    service.process.lines,
  );
  // Both workers have to notice.
  await load(url, 3000);
  assert.equal(await service.stop(), 0);
  checkRequests(service, sent + 3000);
  assert.equal(service.files("request").length, 2);
  assert.equal(service.files("app").length, 2);
  const tomorrow = new Date(new Date().setHours(36));
  if (tomorrow.getDate() !== 1) assert.deepEqual(service.files("server"), ["server.log"]);
});

Deno.test("LOG-06 an app may start new files; the others of a service join in", async () => {
  await using service = await LogService.start({ LOG_WORKERS: "2" });
  const url = await service.url("");
  for (let n = 0; n < 20; n++) await fetchText(`${url}/hello`);
  assert.equal(await fetchText(`${url}/rotate`), "rotated");
  for (let n = 0; n < 20; n++) await fetchText(`${url}/hello`);
  assert.equal(await service.stop(), 0);
  checkRequests(service, 41);
  assert.ok(service.files("app").length === 2 && service.files("server").length === 2);
});

Deno.test(
  "LOG-06 SIGUSR1 leaves no debugger open",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    await using service = await LogService.start({ LOG_WORKERS: "2" });
    const url = await service.url("/id");
    const supervisor = service.process.pid;
    const [engine] = childrenOf(supervisor);
    for (const pid of [supervisor, engine!]) {
      const from = service.process.lines.length;
      // The runtime listens for the signal from half a second on.
      await until(
        () => Deno.kill(pid, "SIGUSR1"),
        () => service.process.lines.slice(from).some((line) => line.includes("is closed again")),
        "the debugger was closed",
      );
      await until(() => listeningOn(pid, 9229), (open) => !open, "nobody listens");
    }
    assert.match(await fetchText(url), /^GTID-/);
  },
);

Deno.test(
  "LOG-03 LOG-06 a full disk stops no request; it is reported, and every line comes later",
  {
    ignore: !await canMount() || isMissing("h2load"),
  },
  async () => {
    await using disk = (await SmallDisk.mount(2048))!;
    await using service = await LogService.start({ LOG_WORKERS: "2", LOG_DIR: disk.path });
    const url = await service.url("/hello");
    await load(url, 500);
    await disk.fill("filler", 20_000);
    await load(url, 3000, 16);
    const reports = () =>
      service.process.lines.filter((line) =>
        / \[error:log\] Cannot write to .*request\.log/.test(line)
      );
    await until(() => reports().length, (count) => count >= 1, "a report");
    service.process.signal("SIGUSR1");
    await load(url, 1000, 16);
    assert.ok(reports().length <= 2, "one of each worker");
    assert.match(reports()[0]!, /No space left on device.*Lines are kept in memory/);
    await Deno.remove(`${disk.path}/filler`);
    const recovered = () =>
      service.process.lines.filter((line) =>
        /request\.log takes lines again, none was lost$/.test(line)
      );
    await until(() => recovered().length, (count) => count === reports().length, "recovered");
    assert.equal(await service.stop(), 0);
    const lines = [...Deno.readDirSync(disk.path)].map(({ name }) => name)
      .filter((name) => name.startsWith("request"))
      .flatMap((name) => linesOf(`${disk.path}/${name}`));
    const whole = / GET \/hello 1\.1 0 200 5 GTID-\S+ 1000 .* W[01] \d+ \d+ \d+$/;
    assert.deepEqual(lines.filter((line) => !whole.test(line)), []);
    assert.equal(lines.length, 4500);
  },
);

function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ").map(Number);
}

/** Whether a process has a listening socket on a port. */
function listeningOn(pid: number, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = Deno.readTextFileSync(`/proc/${pid}/net/tcp`).split("\n")
    .map((row) => row.trim().split(/\s+/))
    .filter((row) => row[1]?.endsWith(`:${hex}`) && row[3] === "0A").map((row) => row[9]);
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    let target = "";
    try {
      target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
    } catch (error) {
      // Closed meanwhile.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (inodes.some((inode) => target === `socket:[${inode}]`)) return true;
  }
  return false;
}
