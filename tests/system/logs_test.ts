import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseRequestLine } from "../../src/wire/request_line.ts";
import { freePort } from "../_support/free_port.ts";
import { linesOf } from "../_support/log_directory.ts";
import { fetchText, LogService } from "../_support/log_services.ts";
import { isMissing } from "../_support/services.ts";
import { until, Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/log_service.ts", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Lines without their dates. */
const undated = (lines: readonly string[]) => lines.map((line) => line.slice(20));

/** True for an entry of a log, as opposed to the request log and what follows an entry. */
const isEntry = (line: string) => /^\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d \[/.test(line);

/** True for a line of the request log. */
const isRequest = (line: string) => /^\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d [^[]/.test(line);

Deno.test("LOG-01 LOG-02 without file logging all three logs go to the console, and there are no files", async () => {
  await using service = await LogService.start({ LOG_DIR: "" });
  const url = await service.url("");
  assert.match(await fetchText(`${url}/log`), /no log "nowhere"/);
  assert.equal(await service.stop(), 0);
  const { lines } = service.process;
  assert.ok(lines.some((line) => line.endsWith("[note] mounted in W0")), "app");
  assert.ok(
    lines.some((line) => / \[debug:GTID-\S+\/1000\] to the server log$/.test(line)),
    "server",
  );
  assert.ok(
    lines.some((line) => / \[info:GTID-\S+\/1000\] to a log of its own$/.test(line)),
    "custom",
  );
  const [request] = lines.filter(isRequest);
  assert.equal(parseRequestLine(request!).uri, "/log");
  assert.ok(lines.every((line) => isEntry(line) || isRequest(line)), lines.join("\n"));
  assert.throws(() => Deno.statSync(service.logs), Deno.errors.NotFound);
});

for (const workers of [1, 2]) {
  Deno.test(`LOG-03 LOG-04 a foreground run with file logging writes to files and to the console, ${workers} worker(s)`, async () => {
    await using service = await LogService.start({ LOG_WORKERS: `${workers}` });
    const url = await service.url("");
    for (const path of ["/log", "/hello", "/stream"]) await fetchText(url + path);
    assert.equal(await service.stop(), 0);
    const files = ["server", "app", "request", "audit"].flatMap((log) => service.lines(log));
    assert.deepEqual([...service.process.lines].sort(), files.sort());
    assert.equal(service.requests().length, 3);
    assert.match(service.lines("server").join("\n"), /\[info\] serving on /);
    assert.equal(
      service.lines("app").filter((line) => / mounted in W\d$/.test(line)).length,
      workers,
    );
  });
}

Deno.test(
  "LOG-03 a relative directory starts at the start script, the default bears the service's name",
  {
    ignore: Deno.build.os === "windows" || !canWrite("/var/log"),
  },
  async () => {
    const name = `test of logs ${Deno.pid}`;
    const directory = `/var/log/skitai/test-of-logs-${Deno.pid}`;
    try {
      await using service = await LogService.start({ LOG_DIR: "default", LOG_NAME: name });
      await fetchText(await service.url("/hello"));
      assert.equal(await service.stop(), 0);
      assert.equal(linesOf(join(directory, "request.log")).length, 1);
    } finally {
      await removeIfThere(directory);
    }
    await using workshop = await Workshop.open();
    const script = join(workshop.appPath, "app.ts");
    await Deno.writeTextFile(
      script,
      scriptOf(`skitai.mount("/", () => new Response("ok"));
skitai.enableFileLogging("sub/logs");`),
    );
    const service = workshop.start(script, {
      cwd: "/",
      flags: ["--config", `${PACKAGE}deno.json`],
    });
    await service.line(/serving on/);
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
    assert.match(linesOf(join(workshop.appPath, "sub/logs/server.log")).join("\n"), /serving on/);
  },
);

for (const own of [true, false]) {
  Deno.test(`LOG-04 a daemon writes to files only, ${own ? "those it was told" : "its own by default"}`, async () => {
    await using workshop = await Workshop.open();
    const port = freePort();
    const logs = own ? join(workshop.path, "logs") : join(workshop.path, "var/quiet/log");
    const env = {
      LOG_NAME: "quiet",
      LOG_PORT: `${port}`,
      LOG_WORKERS: "2",
      ...(own ? { LOG_DIR: logs } : {}),
    };
    const run = async (command: string) => {
      const process = workshop.start(SCRIPT, { args: [command], env });
      return { code: await process.code(), lines: process.lines };
    };
    const { code, lines } = await run("start");
    try {
      assert.equal(code, 0, lines.join("\n"));
      assert.match(lines.join("\n"), /^started \[\d+\], serving on 127\.0\.0\.1 port \d+$/);
      for (let n = 0; n < 10; n++) await fetchText(`http://127.0.0.1:${port}/hello`);
      await fetchText(`http://127.0.0.1:${port}/throw`);
    } finally {
      await run("stop");
    }
    assert.equal(linesOf(join(logs, "request.log")).length, 11);
    assert.match(linesOf(join(logs, "app.log")).join("\n"), /\[expt:GTID-\S+\] Error: unhandled/);
    assert.equal(await Deno.readTextFile(join(workshop.path, "var/quiet/stderr.engine")), "");
  });
}

for (const workers of [1, 2]) {
  Deno.test(`LOG-03 a directory that cannot be written is one clear line at the start, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const taken = join(workshop.path, "taken");
    await Deno.writeTextFile(taken, "a file");
    const process = workshop.start(SCRIPT, {
      env: { LOG_DIR: taken, LOG_WORKERS: `${workers}` },
    });
    assert.equal(await process.code(), 1);
    assert.equal(process.lines.length, 1, process.lines.join("\n"));
    assert.match(
      process.lines[0]!,
      /\[fatal\] cannot start server: log directory .*\/taken: cannot be used: /,
    );
  });
}

Deno.test("LOG-03 a user who may not write there is told so", {
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 || isMissing("setpriv"),
}, async () => {
  await using workshop = await Workshop.open();
  const script = join(workshop.path, "log.ts");
  // Bundled into one file, so that somebody who owns nothing here can run it.
  const source = `import { createLogger } from ${JSON.stringify(`${PACKAGE}src/store/logs.ts`)};
try {
  createLogger({ directory: Deno.args[0], console: false });
} catch (error) {
  console.log(String(error));
}`;
  await Deno.writeTextFile(script, source);
  const bundle = join(workshop.path, "bundle.js");
  const config = ["--config", `${PACKAGE}deno.json`];
  const bundled = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", ...config, "-o", bundle, script],
  }).output();
  assert.ok(bundled.success, new TextDecoder().decode(bundled.stderr));
  await Deno.chmod(workshop.path, 0o755);
  await Deno.mkdir(join(workshop.path, "logs"), { mode: 0o755 });
  await Deno.mkdir(join(workshop.path, "cache"));
  await Deno.chmod(join(workshop.path, "cache"), 0o777);
  const { stdout, stderr } = await new Deno.Command("setpriv", {
    args: [
      ...["--reuid=65534", "--regid=65534", "--clear-groups", Deno.execPath()],
      ...["run", "-A", "--no-config", bundle, join(workshop.path, "logs")],
    ],
    env: { DENO_DIR: join(workshop.path, "cache"), DENO_NO_UPDATE_CHECK: "1", HOME: "/" },
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.match(said, /log file .*\/logs\/server\.log: cannot be written: .*[Pp]ermission denied/);
});

Deno.test("LOG-08 user and token are logged once they were accepted, and never what is secret", async () => {
  await using service = await LogService.start();
  const url = await service.url("");
  await fetchText(`${url}/basic`, "-u", "Jürgen M:wrong-secret");
  await fetchText(`${url}/basic`, "-u", "Jürgen M:secret");
  await fetchText(`${url}/bearer`, "-H", "Authorization: Bearer 0123456789secret-abcdef");
  await fetchText(`${url}/hello`, "-H", "Authorization: Bearer 0123456789secret-abcdef");
  assert.equal(await service.stop(), 0);
  const facts = service.requests().map(({ status, user, token }) => [status, user, token]);
  assert.deepEqual(facts, [
    [401, "", ""],
    [200, "Jürgen M", ""],
    [200, "", "…abcdef"],
    [200, "", ""],
  ]);
  assert.doesNotMatch(service.process.lines.join("\n"), /secret/);
});

Deno.test("LOG-12 patterns of logOff add up and leave their requests out", async () => {
  await using service = await LogService.start({ LOG_OFF: "/static/* *.css" });
  const url = await service.url("");
  for (const path of ["/static/x", "/hello.css", "/hello.css?v=2", "/hello", "/", "/x.css/y"]) {
    await fetchText(url + path);
  }
  assert.equal(await service.stop(), 0);
  assert.deepEqual(service.requests().map(({ uri }) => uri), ["/hello", "/", "/x.css/y"]);
});

Deno.test("LOG-12 a pattern that could never match ends the start with one line", async () => {
  await using service = await LogService.start({ LOG_OFF: "static" });
  assert.equal(await service.process.code(), 1);
  const fatal = service.process.lines.filter((line) => line.includes("[fatal]"));
  assert.equal(fatal.length, 1, service.process.lines.join("\n"));
  assert.match(fatal[0]!, /logOff\("static"\): expected the beginning of a path such as/);
});

Deno.test("LOG-13 LOG-14 LOG-16 LOG-19 apps write to the logs, inside and outside of requests", async () => {
  await using service = await LogService.start();
  const url = await service.url("");
  const id = (await fetchText(`${url}/id`)).split(" ")[0]!;
  assert.match(id, /^GTID-C\d+-R1\/1000$/);
  await fetchText(`${url}/log`);
  await fetchText(`${url}/traceback`);
  assert.match(await fetchText(`${url}/make?log=audit%20daily`), /there is one of that name/);
  assert.match(await fetchText(`${url}/make?log=extra%20hourly`), /daily, weekly or monthly/);
  assert.equal(await fetchText(`${url}/make?log=extra%20daily`), "made");
  assert.equal(await service.stop(), 0);

  const app = undated(service.lines("app"));
  assert.ok(app.includes("[note] mounted in W0"), "app.log()");
  const ofLog = /^\[\w+:GTID-C\d+-R2\/1000\] /;
  assert.deepEqual(
    app.filter((line) => ofLog.test(line)).map((line) => line.replace(/:\S+\]/, "]")),
    [
      "[info] plain",
      "[warn] a warning",
    ],
  );
  assert.ok(app.includes("[info] from before the start"));
  assert.match(undated(service.lines("server")).join("\n"), /\[debug:GTID-\S+\] to the server log/);
  assert.deepEqual(
    undated(service.lines("audit")).map((line) => line.replace(/GTID\S+\]/, "ID]")),
    [
      "[info:ID] to a log of its own",
      "[info:someone] outside of requests",
    ],
  );
  assert.ok(service.files("extra").length === 1);

  const traces = app.filter((line) => line.startsWith("[expt:"));
  assert.match(traces[0]!, /^\[expt:GTID-C\d+-R3\/1000\] RangeError: first$/);
  assert.equal(traces[1], "[expt:import-7] RangeError: first");
  assert.match(traces[2]!, /^\[expt:GTID-\S+\/1000\] Error: was\.traceback\(\) was called without/);
  const text = service.lines("app").join("\n");
  assert.match(
    text,
    /RangeError: first\n +at .*log_service\.ts[\s\S]*? {2}Caused by: TypeError: its cause\n/,
  );
});

Deno.test("LOG-15 what handlers throw is in the app log with its transaction, on both fronts", async () => {
  for (const front of ["fast", "edge"]) {
    await using service = await LogService.start({ LOG_FRONT: front });
    const url = await service.url("");
    for (const path of ["/throw", "/reject"]) {
      const page = await fetchText(url + path);
      assert.ok(page.includes("500 Internal Server Error") && !page.includes("unhandled"));
    }
    assert.equal(await service.stop(), 0);
    const ids = service.requests().map(({ gtxnid, ltxnid }) => `${gtxnid}/${ltxnid}`);
    assert.deepEqual(undated(service.lines("app")).filter((line) => line.startsWith("[expt")), [
      `[expt:${ids[0]}] Error: unhandled in a handler`,
      `[expt:${ids[1]}] Error: unhandled in a promise`,
    ]);
  }
});

Deno.test("LOG-15 what is no error is told from a call without one, and an object by its content", async () => {
  await using service = await LogService.start();
  const url = await service.url("");
  for (const path of ["/throw-nothing", "/throw-object"]) {
    assert.match(await fetchText(url + path), /500 Internal Server Error/);
  }
  assert.equal(await service.stop(), 0);
  const traces = undated(service.lines("app")).filter((line) => line.startsWith("[expt"));
  assert.match(traces[0]!, /Error: undefined was thrown, /);
  assert.match(traces[1]!, /Error: A value that is not an error was thrown: \{ wrong: "thing" \}$/);
  assert.equal(traces.length, 2);
});

Deno.test("LOG-15 an app that cannot be imported is in the app log with its stack", async () => {
  await using workshop = await Workshop.open();
  const broken = join(workshop.appPath, "broken.ts");
  await Deno.writeTextFile(broken, `throw new Error("thrown while it was imported");\n`);
  await using service = await LogService.start({ LOG_MOUNT: broken });
  assert.equal(await fetchText(await service.url("/hello")), "hello");
  assert.equal(await service.stop(), 0);
  const app = service.lines("app").join("\n");
  assert.match(app, /\[expt:mount\] Error: thrown while it was imported\n +at .*broken\.ts:1:7/);
  assert.match(
    service.lines("server").join("\n"),
    /\[error\] mount\("\/more"\) failed, .*thrown while/,
  );
});

Deno.test("LOG-15 an app that cannot be reloaded is in the app log with its stack", async () => {
  await using workshop = await Workshop.open();
  const script = join(workshop.appPath, "app.ts");
  const app = join(workshop.appPath, "shop_app.ts");
  const logs = join(workshop.path, "logs");
  const version = (text: string) =>
    `import { Atila } from "@skitai/skitai/atila";
export const app = new Atila(import.meta.url);
app.useReloader = true;
app.route("/", () => ${text});
`;
  await Deno.writeTextFile(app, version(`"one"`));
  await Deno.writeTextFile(
    script,
    scriptOf(`skitai.enableFileLogging(${JSON.stringify(logs)});
skitai.mount("/", "./shop_app.ts");`),
  );
  const service = workshop.start(script, {
    flags: ["--config", `${PACKAGE}deno.json`],
    env: { SKITAI_ENV: "" },
  });
  const [, port] = /port (\d+)/.exec(await service.line(/serving on/))!;
  const url = `http://127.0.0.1:${port}/`;
  assert.equal(await fetchText(url), "one");
  await Deno.writeTextFile(app, `${version(`"two"`)}\nthrow new Error("broken by a change");\n`);
  await service.line(/stays, its successor did not start: .*broken by a change/);
  assert.equal(await fetchText(url), "one");
  await until(
    () => Deno.readTextFile(join(logs, "app.log")),
    (text) => /\[expt:mount\] Error: broken by a change\n +at .*shop_app\.ts:6/.test(text),
    "the stack is in the log",
  );
  await Deno.writeTextFile(app, version(`"three!"`));
  await until(() => fetchText(url), (text) => text === "three!", "the next version");
});

Deno.test("LOG-03 whatever way a service ends, its last lines are there", {
  ignore: isMissing("h2load"),
}, async () => {
  {
    await using service = await LogService.start({ LOG_WORKERS: "2" });
    const url = await service.url("/hello");
    await new Deno.Command("h2load", { args: ["--h1", "-n", "777", "-c", "7", url] }).output();
    assert.equal(await service.stop(), 0);
    assert.equal(service.requests().length, 777);
  }
  await using service = await LogService.start();
  const url = await service.url("");
  await new Deno.Command("h2load", { args: ["--h1", "-n", "99", "-c", "3", `${url}/hello`] })
    .output();
  await fetchText(`${url}/exit`);
  assert.equal(await service.process.code(), 9);
  assert.equal(service.requests().length, 99, "the app ended the process at once");
});

Deno.test("LOG-10 other programs read the request log too: quotes hold together, blanks separate", {
  ignore: isMissing("python3"),
}, async () => {
  await using service = await LogService.start();
  const url = await service.url("");
  const texts = ['a "quoted" \\ name', "Grüße 日本 🦕", "tab\there", " - ", "x".repeat(9000)];
  for (const text of texts) {
    await fetchText(
      `${url}/user?q=%22%20'`,
      "-A",
      text,
      "-e",
      text,
      "-H",
      `X-Forwarded-For: ${text}`,
    );
  }
  assert.equal(await service.stop(), 0);
  const { stdout, stderr } = await new Deno.Command("python3", {
    args: [
      "-c",
      `import json, shlex, sys
rows = []
for line in open(sys.argv[1], encoding="utf-8", newline=""):
    reader = shlex.shlex(line.rstrip("\\n"), posix=True)
    reader.whitespace, reader.whitespace_split, reader.quotes = " ", True, '"'
    reader.commenters = ""
    rows.append(list(reader))
print(json.dumps(rows))`,
      join(service.logs, "request.log"),
    ],
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  const rows: string[][] = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(rows.length, texts.length);
  for (const [index, row] of rows.entries()) {
    assert.equal(row.length, 21, row.join("|"));
    assert.equal(row[12], 'Jürgen "J" Ö');
    const text = texts[index]!;
    if (!text.includes("\t")) assert.equal(row[15], text.trim());
  }
});

/** A start script that mounts what it is told and runs on a free port. */
function scriptOf(body: string): string {
  return `import * as skitai from ${JSON.stringify(`${PACKAGE}mod.ts`)};
${body}
await skitai.run({ port: 0 });
`;
}

function canWrite(directory: string): boolean {
  try {
    Deno.removeSync(Deno.makeTempFileSync({ dir: directory }));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotFound) {
      return false;
    }
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
