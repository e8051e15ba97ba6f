import assert from "node:assert/strict";
import { join } from "node:path";
import { type ServiceProcess, until, Workshop } from "../_support/service_process.ts";

const CLIENTS = 24;
/** What a client waits between its connection and its request, as distance and a busy machine do. */
const PAUSE_MS = 25;
/** A test machine that stopped a client for so long lost the request, not the service. */
const LATE_MS = 500;

const MODULE = new URL("../../mod.ts", import.meta.url).href;
const ATILA = new URL("../../src/atila/mod.ts", import.meta.url).href;

/** A service that tells who answers and who has ended. */
async function start(
  workshop: Workshop,
  front: string,
  workers: number,
  command?: string[],
): Promise<{ service: ServiceProcess; port: number }> {
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from ${JSON.stringify(MODULE)};
import { Atila } from ${JSON.stringify(ATILA)};
const id = crypto.randomUUID();
const app = new Atila(import.meta.url);
app.route("/", () => id);
app.route("/throw", () => {
  setTimeout(() => { throw new Error("thrown outside of a request"); }, 0);
  return id;
});
app.umounted(() => console.log("ended", id));
skitai.mount("/", app);
skitai.logOff("/*");
skitai.setWorkerCriticalPoint({ interval: 3600 });
const server = await skitai.run({ port: 0, workers: ${workers}, front: ${JSON.stringify(front)} });
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
`,
  );
  const service = workshop.start(script, { command });
  return { service, port: await service.port() };
}

/** One connection, one request. Resolves to what went wrong, or the id of who answered. */
async function visit(port: number, path = "/"): Promise<{ id: string } | { lost: string }> {
  let isLate = false;
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const opened = performance.now();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    isLate = performance.now() - opened > LATE_MS;
    await connection.write(
      new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`),
    );
    const text = await new Response(connection.readable).text();
    if (text.startsWith("HTTP/1.1 200 ")) return { id: text.slice(-36) };
    return { lost: isLate ? "" : `answered ${JSON.stringify(text)}` };
  } catch (error) {
    return { lost: isLate ? "" : `${error}` };
  }
}

/** Clients that come again and again, each time with a new connection, while something is done. */
async function crowd(port: number, during: () => Promise<void>): Promise<void> {
  let isOver = false;
  let answered = 0;
  const lost: string[] = [];
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!isOver) {
      const outcome = await visit(port);
      if ("id" in outcome) answered++;
      else if (outcome.lost !== "") lost.push(outcome.lost);
    }
  });
  try {
    await during();
  } finally {
    isOver = true;
    await Promise.all(clients);
  }
  assert.ok(answered > 100, `${answered} were answered`);
  assert.deepEqual(lost, []);
}

const ended = ({ lines }: ServiceProcess): number =>
  lines.filter((line) => line.startsWith("ended ")).length;

for (const front of ["fast", "edge"]) {
  for (const workers of [1, 2]) {
    Deno.test({
      name: `HTTP-39 ATL-07 a reload of ${workers} worker(s) on ${front} answers every connection`,
      ignore: Deno.build.os !== "linux",
      async fn() {
        await using workshop = await Workshop.open();
        const { service, port } = await start(workshop, front, workers);
        await crowd(port, async () => {
          // The second one comes while the first is under way, and waits for its turn.
          for (let before = 0; before < 2; before++) {
            service.signal("SIGHUP");
            await until(
              () => service.lines.filter((line) => line.endsWith("is replaced: SIGHUP")).length,
              (many) => many > before,
              "a reload",
            );
          }
          await until(() => ended(service), (many) => many === 2 * workers, "the end of the old");
        });
        assert.deepEqual(service.lines.filter((line) => line.includes("may be dropped")), []);
      },
    });
  }

  Deno.test({
    name: `HTTP-39 the replacement of a worker on ${front} answers every connection`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      await using workshop = await Workshop.open();
      const { service, port } = await start(workshop, front, 2);
      await crowd(port, async () => {
        const outcome = await visit(port, "/throw");
        assert.ok("id" in outcome);
        await service.line(new RegExp(`^ended ${outcome.id}$`));
      });
    },
  });
}

Deno.test({
  name:
    "ATL-07 without permission to hand connections over a reload works, and the log says what is amiss",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using workshop = await Workshop.open();
    const granted = ["read", "write", "net", "env", "run", "sys"].map((name) => `--allow-${name}`);
    const { service, port } = await start(workshop, "fast", 1, ["run", ...granted]);
    const first = await visit(port);
    assert.deepEqual(service.lines.filter((line) => line.includes("may be dropped")), []);
    service.signal("SIGHUP");
    await service.line(
      /\[warn\] connections that are opened in the moment of a replacement may be dropped: /,
    );
    await until(() => ended(service), (many) => many === 1, "the end of the old engine");
    const second = await visit(port);
    assert.ok("id" in first && "id" in second && first.id !== second.id);
  },
});
