import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { noFerretdb, startFerretdb } from "../_support/ferretdb.ts";
import { noPostgresql, startPostgresql } from "../_support/postgresql.ts";
import { noRedis, startRedis } from "../_support/redis.ts";
import { until, Workshop } from "../_support/service_process.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPT = join(ROOT, "tests/_support/bundled_service.ts");

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function deno(...args: string[]): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** `skitai build`, with the import map of the project. */
function build(...args: string[]): Promise<Ended> {
  const config = join(ROOT, "deno.json");
  return deno(
    "run",
    "-A",
    "--config",
    config,
    join(ROOT, "cli.ts"),
    "build",
    ...args,
    "--config",
    config,
  );
}

/** Runs a program with so many workers, far from the sources, and asks it for what needs other files. */
async function serves(
  workshop: Workshop,
  program: string,
  workers: number,
  permissions: string[] = ["-A"],
): Promise<void> {
  await using service = workshop.start(program, {
    args: [`${workers}`],
    // Nothing of the project is in reach: no import map, no packages.
    command: ["run", ...permissions, "--no-config", "--cached-only"],
    cwd: workshop.path,
  });
  const url = `http://127.0.0.1:${await service.port()}`;
  await service.line(new RegExp(`^listening .* ${workers} ${service.pid}$`));
  const count = async (n: number) => await (await fetch(`${url}/count/${n}`)).json();
  assert.deepEqual(await count(1000), { rows: [{ count: 1000 }] });
  assert.equal(await (await fetch(`${url}/hello`)).text(), "Hello bundle");
  assert.equal(await (await fetch(`${url}/hi`)).text(), "Hi bundle");
  assert.match(await (await fetch(`${url}/docs/openapi.json`)).text(), /"openapi":"3\.1/);
  const form = new FormData();
  form.set("file", new Blob([new Uint8Array(3_000_000)]), "zeros");
  assert.equal(await (await fetch(`${url}/up`, { method: "POST", body: form })).text(), "3000000");
  if (workers > 1) {
    // The engine process that follows is the same program.
    service.signal("SIGHUP");
    await until(
      () => service.lines.filter((text) => /serving on/.test(text)).length,
      (serving) => serving === 2,
      "the engine was not replaced",
    );
    assert.deepEqual(await count(10), { rows: [{ count: 10 }] });
  }
  assert.ok(!service.lines.some((text) => /\[(expt|error|fatal)/.test(text)), "an error");
}

/** A script with the template it needs beside it, importing the project by path. */
async function writeApp(workshop: Workshop): Promise<string> {
  const script = join(workshop.appPath, "app.ts");
  await Deno.copyFile(SCRIPT, script);
  await Deno.mkdir(join(workshop.appPath, "templates"));
  await Deno.writeTextFile(join(workshop.appPath, "templates/hello.html"), "Hello {{ name }}");
  await Deno.writeTextFile(join(workshop.appPath, "templates/hi.vto"), "Hi {{ name }}");
  return script;
}

/** Static imports of a program, with those of all it imports. */
async function staticImports(program: string): Promise<string[]> {
  const { stdout } = await deno("info", "--no-config", "--json", program);
  const { roots, modules } = JSON.parse(stdout) as {
    roots: string[];
    modules: {
      specifier: string;
      dependencies?: { code?: { specifier?: string }; isDynamic?: boolean }[];
    }[];
  };
  const seen = new Set(roots);
  for (const specifier of seen) {
    const { dependencies = [] } = modules.find((one) => one.specifier === specifier) ?? {};
    for (const { code, isDynamic } of dependencies) {
      if (code?.specifier !== undefined && !isDynamic) seen.add(code.specifier);
    }
  }
  return [...seen];
}

Deno.test("SRV-01 SRV-02 DB-02 TPL-01 a service built by skitai build serves as its sources do", async (t) => {
  await using workshop = await Workshop.open();
  const script = await writeApp(workshop);
  const { code, stdout, stderr } = await build(script, "--include", "templates");
  assert.equal(code, 0, stderr);
  const program = join(workshop.appPath, "dist/app.js");
  assert.match(stdout, new RegExp(`^${program}: \\d+ files, \\d+\\.\\d MB\n$`));
  await Deno.mkdir(join(workshop.path, "var"));

  for (const workers of [1, 2]) {
    await t.step(`${workers} workers`, () => serves(workshop, program, workers));
  }
  await t.step("with no more permissions than the documentation says", async () => {
    const page = await Deno.readTextFile(join(ROOT, "docs/deploying.md"));
    const command = /```sh\ndeno run ([^]*?) \/srv\/shop\/dist\/app\.js\n```/.exec(page)![1]!;
    const permissions = command.split(/[\s\\]+/).map((flag) =>
      flag.replace("/srv/shop,/var/tmp/skitai", workshop.path)
    );
    assert.ok(
      permissions.includes(`--allow-write=${workshop.path}`) && !permissions.includes("-A"),
    );
    await serves(workshop, program, 1, permissions);
  });
  await t.step("it loads nothing of Node before something needs it", async () => {
    const imports = await staticImports(program);
    assert.ok(imports.length > 10, imports.join("\n"));
    assert.deepEqual(imports.filter((specifier) => !specifier.startsWith("file:")), []);
  });
  await t.step("another build takes the place of this one, and of nothing else", async () => {
    await Deno.writeTextFile(join(workshop.appPath, "dist/chunk-OLD.js"), "// not of a build");
    await Deno.writeTextFile(script, "console.log('new');\n");
    assert.equal((await build(script, "--minify")).code, 0);
    const names = [...Deno.readDirSync(dirname(program))].map(({ name }) => name).sort();
    assert.deepEqual(names, [".skitai-build.json", "app.js", "chunk-OLD.js"]);
    assert.equal((await deno("run", program)).stdout, "new\n");
  });
});

Deno.test("SRV-01 SRV-02 DB-02 TPL-01 a service bundled in one file serves as its sources do", async (t) => {
  await using workshop = await Workshop.open();
  const directory = join(workshop.path, "program");
  const { code, stderr } = await deno("bundle", "--quiet", "--outdir", directory, SCRIPT);
  assert.equal(code, 0, stderr);
  await Deno.rename(
    join(dirname(await writeApp(workshop)), "templates"),
    join(directory, "templates"),
  );
  await Deno.mkdir(join(workshop.path, "var"));
  const program = join(directory, basename(SCRIPT).replace(".ts", ".js"));
  for (const workers of [1, 2]) {
    await t.step(`${workers} workers`, () => serves(workshop, program, workers));
  }
});

Deno.test({
  name:
    "SRV-01 DB-03 DB-05 DB-06 OPS-22 programs of both kinds bring the drivers of databases along",
  ignore: noPostgresql || noRedis || noFerretdb,
  fn: async () => {
    await using workshop = await Workshop.open();
    await using postgresql = await startPostgresql();
    await using redis = await startRedis();
    await using ferretdb = await startFerretdb();
    const script = await writeApp(workshop);
    assert.equal((await build(script)).code, 0);
    const whole = join(workshop.path, "whole");
    assert.equal((await deno("bundle", "--quiet", "--outdir", whole, SCRIPT)).code, 0);
    await Deno.mkdir(join(workshop.path, "var"));
    for (const program of [join(workshop.appPath, "dist/app.js"), `${whole}/bundled_service.js`]) {
      await using service = workshop.start(program, {
        args: ["1"],
        flags: ["--no-config", "--cached-only"],
        cwd: workshop.path,
        env: {
          BACKENDS: JSON.stringify({
            postgresql: postgresql.member,
            redis: redis.address,
            mongodb: `${ferretdb.address}/shop`,
          }),
        },
      });
      const answer = await fetch(`http://127.0.0.1:${await service.port()}/backends`);
      assert.deepEqual(await answer.json(), { row: { one: 1 }, pong: "PONG", found: [] });
    }
  },
});

Deno.test("CLI-04 what skitai build cannot build it names, and leaves everything as it was", async () => {
  await using workshop = await Workshop.open();
  const script = await writeApp(workshop);
  const broken = join(workshop.appPath, "broken.ts");
  await Deno.writeTextFile(broken, 'import "./missing.ts";\n');
  const taken = join(workshop.path, "taken");
  await Deno.mkdir(taken);
  await Deno.writeTextFile(join(taken, "mine.txt"), "mine");
  const cases: [args: string[], message: RegExp][] = [
    [[join(workshop.path, "nothing.ts")], /nothing\.ts: there is no such script/],
    [[broken], /broken\.ts: deno bundle cannot build it:\n[^]*missing\.ts/],
    [[script, "--include", "pictures"], /pictures: there is no such file in /],
    [[script, "--include", "../taken"], /\.\.\/taken: cannot be included: it is not inside of /],
    [
      [script, "--outdir", join(workshop.appPath, "templates/dist"), "--include", "templates"],
      /inside of it/,
    ],
    [[script, "--outdir", taken], /taken: it has files that no build has made/],
    [[], /missing required argument 'script'/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await build(...args);
    assert.equal(code, 1, args.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /build\.ts:\d|cli\.ts:\d|backtrace/);
  }
  const left = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  assert.deepEqual(left(workshop.appPath), ["app.ts", "broken.ts", "templates"]);
  assert.deepEqual(left(join(workshop.appPath, "templates")), ["hello.html", "hi.vto"]);
  assert.deepEqual(left(workshop.path), ["shop", "taken"]);
  assert.deepEqual(left(taken), ["mine.txt"]);
});
