import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { consoleLogger, createLogger, defaultLogDirectory } from "../../src/store/logs.ts";
import { paint } from "../../src/store/logs_console.ts";
import { EarlyLogger } from "../../src/store/logs_early.ts";
import { eventually } from "../_support/fronts.ts";
import { linesOf, LogDirectory } from "../_support/log_directory.ts";
import { isMissing } from "../_support/services.ts";

const PROGRAM = fileURLToPath(new URL("../_support/log_console.ts", import.meta.url));
const DATE = String.raw`\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d`;

/** Runs a command of the shell in which `$PROGRAM` logs to the console. */
async function shell(command: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await new Deno.Command("bash", {
    args: ["-c", `timeout 60 bash -c '${command}' 2>&1`],
    env: { PROGRAM: `${Deno.execPath()} run -A --quiet ${PROGRAM}`, NO_COLOR: "1", ...env },
  }).output();
  return new TextDecoder().decode(stdout);
}

/** Lines of the request log that `log_console.ts` writes. */
const numbered = (count: number) =>
  Array.from({ length: count }, (_, n) => `line ${n} ${"x".repeat(n % 97)}.`);

Deno.test("LOG-01 LOG-03 there are three logs, each in its file", async () => {
  await using logs = await LogDirectory.make();
  using logger = createLogger({ directory: logs.path, console: false });
  for (const name of ["server", "app", "request"] as const) logger.get(name).log(`to ${name}`);
  logger.flush();
  assert.deepEqual(logs.names(), ["app.log", "request.log", "server.log"]);
  for (const name of ["server", "app", "request"]) {
    const [line, ...rest] = linesOf(logs.file(`${name}.log`));
    assert.match(line!, new RegExp(`^${DATE} \\[info\\] to ${name}$`));
    assert.deepEqual(rest, []);
  }
  assert.throws(() => logger.get("nginx"), /no log "nginx"; known are server, app, request/);
});

Deno.test("LOG-03 the default directory bears the name of the service", {
  ignore: Deno.build.os === "windows",
}, () => {
  assert.equal(defaultLogDirectory("shop"), "/var/log/skitai/shop");
  assert.equal(defaultLogDirectory("my shop:a/b\\c"), "/var/log/skitai/my-shop-a-b-c");
});

Deno.test("LOG-05 entries have a type, an identifier and a text of several lines", async () => {
  await using logs = await LogDirectory.make();
  using logger = createLogger({ directory: logs.path, console: false });
  const log = logger.get("app");
  log.log("plain");
  log.log("typed", "warn");
  log.log("named", "debug", "GTID-C3-R8/1000");
  log.log("two\nlines");
  log.log(42 as unknown as string);
  logger.flush();
  const lines = linesOf(logs.file("app.log")).map((line) => line.replace(/^[\d.]+ [\d:]+/, "T"));
  assert.deepEqual(lines, [
    "T [info] plain",
    "T [warn] typed",
    "T [debug:GTID-C3-R8/1000] named",
    "T [info] two",
    "  lines",
    "T [info] 42",
  ]);
});

Deno.test("LOG-14 an error is written with its stack, its causes and those it gathers", async () => {
  await using logs = await LogDirectory.make();
  using logger = createLogger({ directory: logs.path, console: false });
  const log = logger.get("app");
  log.trace(new RangeError("outer", { cause: new TypeError("inner") }), "id-7");
  log.trace(new AggregateError([new Error("first of them"), "second of them"], "several"));
  log.trace("a text that was thrown");
  log.trace(undefined);
  log.trace(null);
  // Written at once: nobody flushes here.
  const text = Deno.readTextFileSync(logs.file("app.log"));
  const where = String.raw`\n +at .*logs_test\.ts:\d+[\s\S]*?`;
  assert.match(
    text,
    new RegExp(`^${DATE} \\[expt:id-7\\] RangeError: outer${where}TypeError: inner${where}`),
  );
  assert.match(text, new RegExp(`\\[expt\\] AggregateError: several${where}Error: first of them`));
  assert.match(text, /second of them/);
  assert.match(text, /\[expt\] .*a text that was thrown/);
  assert.match(text, /\[expt\] undefined was thrown/);
  assert.match(text, /\[expt\] .*null/);
  const entries = text.trimEnd().split("\n").filter((line) => !line.startsWith(" "));
  assert.equal(entries.length, 5, "the lines of a stack are no entries of their own");
});

Deno.test("LOG-05 what may be the last word is written at once, the rest in a tenth of a second", async () => {
  await using logs = await LogDirectory.make();
  using logger = createLogger({ directory: logs.path, console: false });
  const file = logs.file("app.log");
  const log = logger.get("app");
  log.log("waits");
  assert.equal(linesOf(file).length, 0);
  for (const [n, type] of ["error", "fatal", "expt"].entries()) {
    log.log("now", type);
    assert.equal(linesOf(file).length, n + 2, type);
  }
  log.log("waits too");
  await eventually(() => linesOf(file).length === 5, "the batch was written");
});

Deno.test("LOG-06 lines after the end are still written", async () => {
  await using logs = await LogDirectory.make();
  const logger = createLogger({ directory: logs.path, console: false });
  logger.get("app").log("before");
  logger.close();
  logger.close();
  logger.get("app").log("after");
  logger.lines("request").write("late");
  assert.equal(linesOf(logs.file("app.log")).length, 2);
  assert.deepEqual(linesOf(logs.file("request.log")), ["late"]);
});

Deno.test("LOG-16 an app makes a log of its own, which rotates by its cycle", async () => {
  await using logs = await LogDirectory.make();
  using logger = createLogger({ directory: logs.path, console: false, owner: true });
  const audit = logger.makeLogger("audit", "monthly");
  audit.log("made", "info", "who");
  assert.equal(logger.get("audit"), audit);
  logger.makeLogger("daily.by-default_1").log("x");
  logger.flush();
  assert.match(linesOf(logs.file("audit.log"))[0]!, /\[info:who\] made$/);
  logger.rotate();
  assert.equal(logs.names("audit-").length, 1);
  assert.equal(logs.names("daily.by-default_1-").length, 1);
  assert.equal(linesOf(logs.file("audit.log")).length, 0);

  // A process that has made none of them rotates what others have made.
  logger.get("audit").log("again");
  logger.flush();
  using other = createLogger({ directory: logs.path, console: false, owner: true });
  other.rotate();
  assert.equal(logs.names("audit-").length, 2);
  assert.throws(() => other.get("audit"), /no log "audit"/);
  other.makeLogger("audit", "monthly").log("shared");
  other.flush();
  assert.equal(linesOf(logs.file("audit.log")).length, 1);
});

Deno.test("LOG-16 names that are taken, or would be no file of their own, are refused", async () => {
  await using logs = await LogDirectory.make();
  using files = createLogger({ directory: logs.path, console: false });
  for (const logger of [files, consoleLogger()]) {
    for (const name of ["server", "app", "request"]) {
      assert.throws(() => logger.makeLogger(name, "daily"), /there is one of that name/);
    }
    logger.makeLogger("audit", "weekly");
    assert.throws(() => logger.makeLogger("audit", "weekly"), /"audit": there is one of that name/);
    for (
      const name of ["", ".hidden", "a/b", "../x", "a b", "app-20260131", "x\n", "x".repeat(65)]
    ) {
      assert.throws(() => logger.makeLogger(name, "daily"), TypeError, name);
    }
    assert.throws(() => logger.makeLogger("b", "hourly" as "daily"), /daily, weekly or monthly/);
  }
  assert.deepEqual(logs.names(), ["app.log", "audit.log", "request.log", "server.log"]);
});

Deno.test("LOG-16 what the start script makes and keeps belongs to the service that starts", async () => {
  await using logs = await LogDirectory.make();
  const before = consoleLogger();
  assert.ok(before instanceof EarlyLogger);
  const audit = before.makeLogger("audit", "weekly");
  const app = before.get("app");
  {
    using logger = createLogger({ directory: logs.path, console: false, before });
    audit.log("one");
    app.log("two");
    app.trace(new Error("three"));
    before.get("server").log("four");
    logger.get("audit").log("five");
    before.makeLogger("late").log("six");
    assert.throws(() => logger.makeLogger("late"), /there is one of that name/);
    assert.throws(() => before.get("none"), /no log "none"/);
    before.rotate();
    // Whoever opens logs later in the same process gets none of it.
    using _second = createLogger({ directory: logs.file("second"), console: false, before });
  }
  assert.deepEqual(linesOf(logs.file("audit.log")).map((line) => line.slice(20)), []);
  assert.equal(logs.lines("audit").length, 2);
  assert.equal(logs.lines("late").length, 1);
  assert.match(logs.lines("app").join("\n"), /\[info\] two\n.*\[expt\] Error: three/);
  assert.deepEqual(
    [...Deno.readDirSync(logs.file("second"))].map(({ name }) => name).sort(),
    ["app.log", "request.log", "server.log"],
  );
});

Deno.test("LOG-03 LOG-19 what was logged before the files were there stands in them as well", async () => {
  await using logs = await LogDirectory.make();
  const printed: string[] = [];
  const before = consoleLogger();
  const { log } = console;
  // deno-lint-ignore no-console
  console.log = (line: string) => printed.push(line);
  try {
    before.get("app").log("loading", "info", "an-id");
    before.makeLogger("audit").log("begun");
    before.get("server").trace(new RangeError("early"));
  } finally {
    // deno-lint-ignore no-console
    console.log = log;
  }
  {
    using logger = createLogger({ directory: logs.path, console: false, before });
    logger.get("app").log("loaded");
    using _second = createLogger({ directory: logs.path, console: false, before });
  }
  assert.match(logs.lines("app").join("\n"), /^.{19} \[info:an-id\] loading\n.* loaded$/);
  assert.match(logs.lines("audit").join("\n"), /^.{19} \[info\] begun$/);
  assert.match(logs.lines("server")[0]!, /\[expt\] RangeError: early$/);
  assert.equal(printed.length, 3);
});

Deno.test("LOG-03 a process that serves nothing leaves early entries to those that do", async () => {
  await using logs = await LogDirectory.make();
  const before = consoleLogger();
  const { log } = console;
  // deno-lint-ignore no-console
  console.log = () => {};
  try {
    before.get("app").log("loading");
  } finally {
    // deno-lint-ignore no-console
    console.log = log;
  }
  {
    using logger = createLogger({
      directory: logs.path,
      console: false,
      before,
      takesEarly: false,
    });
    logger.get("app").log("loaded");
  }
  assert.deepEqual(logs.lines("app").map((line) => line.slice(20)), ["[info] loaded"]);
});

Deno.test("LOG-02 without a directory everything goes to the console, to the last line", async () => {
  for (const [end, rest] of [["end", 0], ["exit", 0], ["throw", 1]] as const) {
    const output = (await shell(`$PROGRAM 3000 ${end}`)).split("\n");
    assert.match(output[0]!, new RegExp(`^${DATE} \\[warn:id\\] an entry$`));
    assert.deepEqual(output.slice(1, 3001), numbered(3000), end);
    assert.equal(output.slice(3001).join("").includes("uncaught"), rest === 1);
  }
});

Deno.test("LOG-04 with both, everything goes to both", async () => {
  await using logs = await LogDirectory.make();
  const output = (await shell(`$PROGRAM 500 exit ${logs.path}`)).trimEnd().split("\n");
  assert.equal(output.length, 501);
  assert.deepEqual(output.slice(1), numbered(500));
  assert.deepEqual(linesOf(logs.file("request.log")), numbered(500));
  assert.deepEqual(linesOf(logs.file("app.log")), output.slice(0, 1));
});

Deno.test("LOG-02 a reader that is slow gets everything, one that goes away ends nothing", async () => {
  assert.equal(
    (await shell(`$PROGRAM 20000 end | (sleep 1; cat) | grep -cE "^line [0-9]+ x*\\.$"`)).trim(),
    "20000",
  );
  const head = await shell(`($PROGRAM 20000 exit; echo "code $?" >&2) | head -n 2`);
  assert.match(head, /code 7/, "it ended as it wanted to");
});

Deno.test("LOG-05 on a terminal the tag is coloured by its type", {
  ignore: isMissing("script"),
}, async () => {
  assert.equal(paint("T [warn:a] b [error] c", "warn"), "T \x1b[33m[warn:a]\x1b[39m b [error] c");
  assert.equal(paint("T [own] b", "own"), "T [own] b");
  const colours = new Set(["debug", "info", "warn", "error", "fatal", "expt"].map((type) =>
    // deno-lint-ignore no-control-regex -- that is what a colour is
    /\x1b\[(\d+)m/.exec(paint(`T [${type}] x`, type))?.[1]
  ));
  assert.ok(colours.size >= 5 && !colours.has(undefined));
  const terminal = `script -qec "$PROGRAM 1 end" /dev/null`;
  const coloured = await shell(terminal, { NO_COLOR: "" });
  assert.ok(coloured.includes("\x1b[33m[warn:id]\x1b[39m an entry"), coloured);
  assert.match(await shell(terminal), / \[warn:id\] an entry/);
  assert.match(
    await shell("$PROGRAM 1 end", { NO_COLOR: "" }),
    / \[warn:id\] an entry/,
    "no terminal",
  );
});
