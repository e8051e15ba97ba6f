import assert from "node:assert/strict";
import {
  cyclesOf,
  dueLogs,
  KEPT_FILES,
  LogRotationClock,
  oldFiles,
  recordCycle,
  rotateFiles,
  STANDARD_CYCLES,
} from "../../src/store/log_rotation.ts";
import { createLogger } from "../../src/store/logs.ts";
import { eventually } from "../_support/fronts.ts";
import { checkLines, linesOf, LogDirectory, LogWriter } from "../_support/log_directory.ts";

const NOON = new Date(2026, 0, 31, 12, 30, 15);
const STATE = ".rotation.json";

/** Writes the first line of a log as of that time. */
function begin(logs: LogDirectory, name: string, date: Date): void {
  const two = (n: number) => String(n).padStart(2, "0");
  Deno.writeTextFileSync(
    logs.file(`${name}.log`),
    `${date.getFullYear()}.${two(date.getMonth() + 1)}.${two(date.getDate())} ` +
      `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} [info] x\n`,
  );
}

Deno.test("LOG-01 the server log starts anew every month, the others every day", () => {
  assert.deepEqual(STANDARD_CYCLES, { server: "monthly", app: "daily", request: "daily" });
  assert.equal(KEPT_FILES, 30);
});

Deno.test("LOG-06 a file is renamed by the day, then with the time, then with a number", async () => {
  await using logs = await LogDirectory.make();
  for (
    const expected of ["app-20260131", "app-20260131-123015", "app-20260131-123015-2"]
  ) {
    Deno.writeTextFileSync(logs.file("app.log"), `${expected}\n`);
    assert.deepEqual(rotateFiles(logs.path, ["app", "missing"], NOON), [
      logs.file(`${expected}.log`),
    ]);
    assert.deepEqual(linesOf(logs.file(`${expected}.log`)), [expected]);
    assert.ok(!logs.names().includes("app.log"));
  }
  Deno.writeTextFileSync(logs.file("app.log"), "");
  assert.deepEqual(rotateFiles(logs.path, ["app"], NOON), [], "an empty one stays");
});

Deno.test("LOG-06 the thirty newest old files are kept, of each log its own", async () => {
  await using logs = await LogDirectory.make();
  const stranger = ["app-20260101.txt", "app-2026010.log", "app-20260101-x.log", "apple.log"];
  for (const name of [...stranger, "app-extra-20260101.log", "server-20250101.log"]) {
    Deno.writeTextFileSync(logs.file(name), "x\n");
  }
  for (let day = 1; day <= 40; day++) {
    Deno.writeTextFileSync(logs.file("app.log"), `${day}\n`);
    rotateFiles(logs.path, ["app"], new Date(2026, 2, day, 0, 0, 1));
  }
  const old = oldFiles(logs.path, "app");
  assert.equal(old.length, 30);
  assert.deepEqual(
    old.map((path) => linesOf(path)[0]),
    Array.from({ length: 30 }, (_, n) => `${n + 11}`),
  );
  for (const name of [...stranger, "app-extra-20260101.log", "server-20250101.log"]) {
    assert.ok(exists(logs.file(name)), name);
  }
  // Within one day the order is: without time, by time, by number.
  for (let n = 0; n < 3; n++) {
    Deno.writeTextFileSync(logs.file("app.log"), `n${n}\n`);
    rotateFiles(logs.path, ["app"], NOON, { keep: 100 });
  }
  assert.deepEqual(oldFiles(logs.path, "app").slice(0, 3).map((path) => linesOf(path)[0]), [
    "n0",
    "n1",
    "n2",
  ]);
  Deno.writeTextFileSync(logs.file("app.log"), "last\n");
  rotateFiles(logs.path, ["app"], new Date(2030, 0, 1), { keep: 1 });
  assert.deepEqual(oldFiles(logs.path, "app").map((path) => linesOf(path)[0]), ["last"]);
});

Deno.test("LOG-06 what is no file is left alone, and one that cannot be renamed stops no other", async () => {
  await using logs = await LogDirectory.make();
  Deno.symlinkSync("/dev/null", logs.file("request.log"));
  Deno.writeTextFileSync(logs.file("server.log"), "x\n");
  assert.equal(rotateFiles(logs.path, ["request", "server"], NOON).length, 1);
  assert.ok(Deno.lstatSync(logs.file("request.log")).isSymlink);

  Deno.writeTextFileSync(logs.file("app.log"), "x\n");
  Deno.writeTextFileSync(logs.file("server.log"), "x\n");
  assert.throws(
    () => rotateFiles(logs.path, ["app\0", "server"], NOON),
    (error: unknown) => {
      assert.ok(error instanceof AggregateError);
      assert.match(error.message, /^Cannot rotate 1 of 2 logs in /);
      return true;
    },
  );
  assert.ok(!exists(logs.file("server.log")));
});

Deno.test("LOG-01 LOG-16 a log is due by its cycle and by the date of its first line", async () => {
  await using logs = await LogDirectory.make();
  recordCycle(logs.path, "audit", "weekly");
  assert.deepEqual(cyclesOf(logs.path), { audit: "weekly", ...STANDARD_CYCLES });
  // The 4th of March 2026 is a Wednesday.
  const now = new Date(2026, 2, 4, 0, 0, 1);
  const dueOf = (name: string, begun: Date, at = now) => {
    begin(logs, name, begun);
    const due = dueLogs(logs.path, at).includes(name);
    Deno.removeSync(logs.file(`${name}.log`));
    return due;
  };
  assert.equal(dueOf("app", new Date(2026, 2, 4, 0, 0, 0)), false);
  assert.equal(dueOf("app", new Date(2026, 2, 3, 23, 59, 59)), true);
  assert.equal(dueOf("request", new Date(2025, 2, 4, 12)), true, "the same day of last year");
  assert.equal(dueOf("server", new Date(2026, 2, 1)), false);
  assert.equal(dueOf("server", new Date(2026, 1, 28, 23)), true);
  assert.equal(dueOf("audit", new Date(2026, 2, 2)), false, "the week begins on Monday");
  assert.equal(dueOf("audit", new Date(2026, 2, 1, 23)), true, "Sunday was last week");
  assert.equal(
    dueOf("audit", new Date(2025, 11, 29), new Date(2026, 0, 4)),
    false,
    "over New Year",
  );
  assert.equal(dueOf("app", new Date(2026, 2, 5)), false, "the clock was set back");

  // Whatever the first line is, there is the age of the file.
  Deno.writeTextFileSync(logs.file("app.log"), "what is this\n");
  const { birthtime, mtime } = Deno.statSync(logs.file("app.log"));
  const written = (birthtime ?? mtime)!;
  const later = new Date(written.getTime() + 48 * 3600e3);
  assert.deepEqual(dueLogs(logs.path, written), []);
  assert.deepEqual(dueLogs(logs.path, later), ["app"]);
  Deno.writeTextFileSync(logs.file("app.log"), "");
  assert.deepEqual(dueLogs(logs.path, later), []);
});

Deno.test("LOG-06 a state that was destroyed is begun anew", async () => {
  await using logs = await LogDirectory.make();
  const { stderr } = Deno;
  const warned: string[] = [];
  Object.defineProperty(stderr, "writeSync", {
    configurable: true,
    value: (bytes: Uint8Array) => (warned.push(new TextDecoder().decode(bytes)), bytes.length),
  });
  try {
    for (const text of ["{", '{"cycles":{"a":"hourly","b":"daily"}}', "null", "\0\0\0"]) {
      Deno.writeTextFileSync(logs.file(STATE), text);
      assert.ok("app" in cyclesOf(logs.path), text);
      Deno.writeTextFileSync(logs.file("app.log"), "x\n");
      assert.equal(rotateFiles(logs.path, ["app"], NOON).length, 1, text);
      JSON.parse(Deno.readTextFileSync(logs.file(STATE)));
    }
  } finally {
    Reflect.deleteProperty(stderr, "writeSync");
  }
  assert.ok(
    warned.length > 0 && warned.every((text) => /\.rotation\.json, it is begun anew/.test(text)),
  );
  // A longer state is overwritten by a shorter one, and nothing of it stays.
  for (let n = 0; n < 50; n++) recordCycle(logs.path, `log${n}`, "monthly");
  Deno.writeTextFileSync(
    logs.file(STATE),
    `${Deno.readTextFileSync(logs.file(STATE))}${" ".repeat(999)}\n`,
  );
  recordCycle(logs.path, "more", "daily");
  assert.equal(Object.keys(cyclesOf(logs.path)).length, 51 + 3);
});

Deno.test("LOG-06 of several that pass one signal on, one rotates", async () => {
  await using logs = await LogDirectory.make();
  const loggers = Array.from(
    { length: 4 },
    (_, n) => createLogger({ directory: logs.path, console: false, owner: n === 0 }),
  );
  for (const [n, logger] of loggers.entries()) logger.get("app").log(`from ${n}`);
  for (const logger of loggers) logger.flush();
  for (const logger of loggers) logger.rotate();
  for (const [n, logger] of loggers.entries()) logger.get("app").log(`anew from ${n}`);
  for (const logger of loggers) logger.close();
  assert.equal(logs.names("app-").length, 1);
  assert.equal(linesOf(logs.file(logs.names("app-")[0]!)).length, 4);
  assert.equal(linesOf(logs.file("app.log")).length, 4);
  // The owner does as it is told, how often that may be.
  using owner = createLogger({ directory: logs.path, console: false, owner: true });
  owner.rotate();
  assert.equal(logs.names("app-").length, 2);
});

Deno.test("LOG-06 while threads of several processes write, logs rotate often and lose no line", async () => {
  await using logs = await LogDirectory.make();
  // For three seconds: writers notice within one that their file was renamed.
  const lines = 6000;
  await using first = await LogWriter.start(logs.path, "a", { lines, pauseMs: 12 });
  await using second = await LogWriter.start(logs.path, "b", { lines, pauseMs: 12 });
  using owner = createLogger({ directory: logs.path, console: false, owner: true, keep: 1000 });
  let isDone = false;
  const done = Promise.all([first.run(), second.run()]).finally(() => isDone = true);
  let rotations = 0;
  while (!isDone) {
    owner.rotate();
    rotations++;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await done;
  assert.ok(rotations > 5, `${rotations}`);
  assert.ok(logs.names("request-").length >= 2, logs.names().join(" "));
  checkLines(logs.lines("request"), ["a0", "a1", "b0", "b1"], lines);
  const entries = logs.lines("app");
  assert.equal(entries.length, 4 * 60 * 2);
  for (let n = 0; n < entries.length; n += 2) {
    assert.match(entries[n]!, /^\S+ \S+ \[info\] [ab][01] \d+ of 6000$/);
    assert.equal(entries[n + 1], "  with a second line", "an entry stays together");
  }
  assert.equal(first.errors + second.errors, "");
});

Deno.test("LOG-01 LOG-06 at midnight the owner rotates while others write, and no line is lost", async () => {
  await using logs = await LogDirectory.make();
  // For two seconds and more: the first ends with midnight, and within the next writers notice it.
  const lines = 6000;
  await using writer = await LogWriter.start(logs.path, "w", { threads: 3, lines, pauseMs: 10 });
  const written = writer.run();
  const hasLines = (name: string) =>
    logs.names(`${name}.`).length > 0 && Deno.statSync(logs.file(`${name}.log`)).size > 0;
  await eventually(() => hasLines("request") && hasLines("app"), "the first lines");
  // Lines carry today's date. The clock of the owner stands a moment before midnight until it has a
  // line of its own.
  const { midnight, midnightMs } = nextMidnight(Date.now());
  const clock = { goesOnAt: Infinity };
  const now = () => new Date(midnightMs - 100 + Math.max(0, Date.now() - clock.goesOnAt));
  using owner = createLogger({ directory: logs.path, console: false, owner: true, now });
  owner.get("server").log("of this month");
  owner.flush();
  clock.goesOnAt = Date.now();
  await Promise.all([
    written,
    eventually(() => logs.names("request-").length > 0, "the rotation at midnight"),
  ]);
  checkLines(logs.lines("request"), ["w0", "w1", "w2"], lines);
  const day = `${midnight.getFullYear()}${String(midnight.getMonth() + 1).padStart(2, "0")}` +
    String(midnight.getDate()).padStart(2, "0");
  assert.deepEqual(logs.names("request"), [`request-${day}.log`, "request.log"]);
  assert.ok(logs.names("app").includes(`app-${day}.log`));
  const isNewMonth = midnight.getDate() === 1;
  assert.equal(logs.names("server-").length, isNewMonth ? 1 : 0, "the server log is monthly");
});

Deno.test("LOG-06 a server that was down at midnight rotates when it comes back", async () => {
  await using logs = await LogDirectory.make();
  begin(logs, "app", new Date(NOON.getTime() - 30 * 3600e3));
  begin(logs, "request", NOON);
  for (const owner of [false, true]) {
    using logger = createLogger({ directory: logs.path, console: false, owner, now: () => NOON });
    logger.get("app").log("new");
    assert.equal(logs.names("app-").length, owner ? 1 : 0);
  }
  assert.equal(logs.names("request-").length, 0);
});

Deno.test("LOG-06 a clock that finds an error says so and goes on", async () => {
  await using logs = await LogDirectory.make();
  begin(logs, "app", new Date(2020, 0, 1));
  const { stderr } = Deno;
  let warned = "";
  Object.defineProperty(stderr, "writeSync", {
    configurable: true,
    value: (bytes: Uint8Array) => ((warned += new TextDecoder().decode(bytes)), bytes.length),
  });
  let calls = 0;
  try {
    using clock = new LogRotationClock({
      directory: logs.path,
      onDue: (names) => {
        calls++;
        assert.deepEqual(names, ["app"]);
        throw new Error("no luck");
      },
    });
    clock.start();
    clock.check();
  } finally {
    Reflect.deleteProperty(stderr, "writeSync");
  }
  assert.equal(calls, 2);
  assert.match(warned, /\[error:log\] Rotation of the logs in .* failed: Error: no luck/);
});

function nextMidnight(ms: number): { midnight: Date; midnightMs: number } {
  const date = new Date(ms);
  const midnight = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1);
  return { midnight, midnightMs: midnight.getTime() };
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

for (const owner of [true, false]) {
  Deno.test(`LOG-06 who asks for new files gets them where the directory is gone, owner ${owner}`, async () => {
    await using logs = await LogDirectory.make();
    using logger = createLogger({ directory: logs.path, console: false, owner });
    logger.get("server").log("before");
    logger.flush();
    await Deno.remove(logs.path, { recursive: true });
    logger.rotate();
    logger.get("server").log("after");
    logger.flush();
    assert.match(linesOf(logs.file("server.log")).join("\n"), /^\S+ \S+ \[info\] after$/);
  });
}
