import assert from "node:assert/strict";
import * as http from "node:http";
import { fileURLToPath } from "node:url";
import { Atila } from "../../src/atila/mod.ts";
import { openProject, type Project } from "../_support/project.ts";
import { curl, ServiceProcess, until, within } from "../_support/service_process.ts";

const SERVICE = fileURLToPath(new URL("../_support/life_service", import.meta.url));

/** A backend whose connections can be counted, and which can hold requests back. */
class Backend implements AsyncDisposable {
  /** Port on 127.0.0.1. */
  port = 0;
  /** Open connections. */
  connections = 0;
  #server: http.Server;
  #held = new Map<string, http.ServerResponse>();
  #expected = 0;
  #arrived = Promise.withResolvers<void>();

  static async start(): Promise<Backend> {
    const backend = new Backend();
    await new Promise<void>((done) => backend.#server.listen(0, "127.0.0.1", done));
    backend.port = (backend.#server.address() as { port: number }).port;
    return backend;
  }

  private constructor() {
    this.#server = http.createServer((req, res) => {
      const url = new URL(req.url!, "http://backend");
      res.setHeader("content-type", "text/plain");
      const name = url.searchParams.get("name");
      if (name !== null && this.#expected > 0) {
        this.#held.set(name, res);
        if (this.#held.size === this.#expected) this.#arrived.resolve();
      } else if (url.pathname === "/gone") {
        res.statusCode = 410;
        res.end("gone");
      } else {
        res.end("backend");
      }
    });
    // It never closes a connection on its own.
    this.#server.keepAliveTimeout = 0;
    this.#server.on("connection", (socket) => {
      this.connections++;
      socket.on("close", () => this.connections--);
    });
  }

  /** Answers nobody until that many requests are here, and then all of them, the last one first. */
  async holdUntil(requests: number): Promise<void> {
    this.#expected = requests;
    this.#arrived = Promise.withResolvers();
    await within(
      this.#arrived.promise,
      () => `only ${this.#held.size} of ${requests} requests came`,
    );
    for (const [name, res] of [...this.#held].reverse()) res.end(`answer to ${name}`);
    this.#held.clear();
    this.#expected = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}

function start(project: Project, backend: Backend): ServiceProcess {
  return new ServiceProcess(project.file("app.ts"), {
    args: ["--backend", `127.0.0.1:${backend.port}`],
    env: { SKITAI_VAR: project.file("var"), SKITAI_ENV: "", NO_COLOR: "1" },
  });
}

/** What the hooks of a process have said, in order. */
function hooksOf(service: ServiceProcess, version: string): string[] {
  const pattern = new RegExp(`^hook \\d+ ${version} (.*)$`);
  return service.lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
}

Deno.test("SRV-01 SRV-08 SRV-29 SRV-30 SRV-31 EXT-03 MNT-17 a service, from its start over a reload to its end", async (t) => {
  await using project = await openProject(SERVICE);
  await using backend = await Backend.start();
  await using service = start(project, backend);
  const port = await service.port();

  await t.step("SRV-01 when run resolves it serves everything the one script says", async () => {
    assert.equal((await curl(port, "/version")).body, "one");
    assert.equal((await curl(port, "/desk/")).body, "hello from one");
    assert.equal((await curl(port, "/project/things")).body, '["one thing"]');
    assert.match((await curl(port, "/project/project.css")).body, /teal/);
    assert.match(await service.line(/^listening /), /^listening 127\.0\.0\.1 \d+ 1 \d+$/);
  });

  await t.step("HOOK-10 HOOK-11 HOOK-14 HOOK-17 HOOK-18 SRV-30 SRV-31 the start", async () => {
    await service.line(/mountedOrReloaded/);
    assert.deepEqual(hooksOf(service, "one"), [
      "beforeMount threads=0 workers=1 port=true handler=default/",
      'taken: Cannot register "greeter": was.greeter exists already',
      'taken: Cannot register "get": was.get exists already',
      "mounted backend",
      "no request: Cannot use was.request here: no request is running in a life-cycle hook",
      "no response: Cannot use was.response here: no request is running in a life-cycle hook",
      "mountedOrReloaded",
    ]);
    await service.line(/\[info\] logged by beforeMount/);
    await service.line(/\[expt:shop:mounted\] Error: a hook that fails/);
    // Nothing was served before the hooks had run.
    const at = (pattern: RegExp) => service.lines.findIndex((line) => pattern.test(line));
    assert.ok(at(/mountedOrReloaded/) < at(/serving on/));
  });

  await t.step("SRV-08 without auxiliary threads all ways of waiting work", async () => {
    assert.deepEqual(JSON.parse((await curl(port, "/single")).body), {
      dispatched: "backend",
      waited: "backend",
      rows: [[{ n: 1 }], [{ n: 1 }]],
      offloaded: 49,
      workers: [],
    });
  });

  await t.step("WAS-24 TPL-12 a template waits for requests that are all under way", async () => {
    const all = backend.holdUntil(3);
    const page = curl(port, "/page");
    await all;
    const { status, body } = await page;
    assert.equal(status, 200, body);
    assert.equal(
      body.replace(/\s+/g, " ").trim(),
      "<title>three at once</title> <p>answer to first</p> <p>answer to second</p> " +
        "<p>answer to third</p>",
    );
    const aborted = await curl(port, "/aborted");
    assert.equal(aborted.status, 500);
    assert.match(aborted.body, /<h1>No Way<\/h1>/);
    assert.doesNotMatch(aborted.body, /never seen/);
  });

  await t.step("EXT-03 parallel requests of a foreign app have a was of their own", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const all = backend.holdUntil(names.length);
    const answers = names.map((name) => curl(port, `/plain/?name=${name}`));
    await all;
    const ids = new Set<string>();
    for (const [i, answer] of (await Promise.all(answers)).entries()) {
      const { name, answer: data, before, after, refused, greeting } = JSON.parse(answer.body);
      assert.deepEqual([name, data], [names[i], `answer to ${names[i]}`]);
      assert.equal(before, after);
      assert.match(refused, /was\.session here: it needs Atila/);
      assert.equal(greeting, "hello from one");
      ids.add(before);
      await service.line(new RegExp(`${escape(before)}.*plain has asked for ${name}$`));
    }
    assert.equal(ids.size, names.length);
  });

  await t.step("HOOK-12 HOOK-13 HOOK-14 HOOK-15 HOOK-16 HOOK-17 a reload", async () => {
    const before = service.lines.length;
    const file = project.file("shop.ts");
    await Deno.writeTextFile(file, (await Deno.readTextFile(file)).replace('"one"', '"number 2"'));
    await until(() => curl(port, "/version"), ({ body }) => body === "number 2", "the new version");
    // For a moment both engines share the port.
    await service.line(/one umounted/);
    assert.equal((await curl(port, "/desk/")).body, "hello from number 2");
    assert.deepEqual(hooksOf(service, "one").slice(-3), [
      "beforeReload AtilaWas",
      "beforeUmount backend",
      'umounted Cannot unregister "greeter": nothing is registered by it',
    ]);
    const fresh = hooksOf(service, "number 2");
    assert.match(fresh[0]!, /^beforeMount /);
    assert.deepEqual(fresh.slice(-2), ["reloaded backend", "mountedOrReloaded"]);
    assert.ok(!fresh.some((line) => line.startsWith("mounted ")));
    const order = service.lines.slice(before).flatMap((line) =>
      /^hook \d+ (?:one|number 2) (beforeReload|beforeMount|reloaded|beforeUmount|umounted)/
        .exec(line)?.[1] ?? []
    );
    assert.deepEqual(order, [
      "beforeReload",
      "beforeMount",
      "reloaded",
      "beforeUmount",
      "umounted",
    ]);
  });

  await t.step("MNT-17 a change anywhere in a project reloads it", async () => {
    await project.write("proj/models/things.ts", `export const things = ["another"];\n`);
    await until(
      () => curl(port, "/project/things"),
      ({ body }) => body === '["another"]',
      "the changed project",
    );
    await service.line(/is replaced: .*things\.ts has changed/);
  });

  await t.step("SRV-29 idle connections to backends are closed by the maintenance", async () => {
    const { body } = await curl(port, "/single");
    assert.match(body, /"waited":"backend"/);
    await until(() => backend.connections, (open) => open === 0, "no idle connection");
    assert.equal((await curl(port, "/single")).status, 200);
  });

  await t.step("HOOK-15 HOOK-16 HOOK-17 the end", async () => {
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
    assert.deepEqual(hooksOf(service, "number 2").slice(-2), [
      "beforeUmount backend",
      'umounted Cannot unregister "greeter": nothing is registered by it',
    ]);
  });
});

function escape(text: string): string {
  return text.replace(/[/\-.]/g, "\\$&");
}

Deno.test("TPL-02 values of a template are one object; a second is a type error", async () => {
  const app = new Atila(import.meta.url);
  app.route("/", (was) => {
    // @ts-expect-error -- checked together with all tests
    assert.throws(() => was.render("page.html", { a: 1 }, { b: 2 }), /values are one object/);
    // @ts-expect-error -- not even one that is no record
    assert.throws(() => was.render("page.html", "a"), /values are one object/);
    return "refused";
  });
  const client = app.makeClient();
  assert.equal((await client.get("/")).text, "refused");
});
