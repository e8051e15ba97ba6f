import assert from "node:assert/strict";
import { ConfigError } from "../../src/core/errors.ts";
import { ensureLogDirectory, LogFile } from "../../src/store/log_files.ts";
import { oldFiles } from "../../src/store/log_rotation.ts";
import { createLogger } from "../../src/store/logs.ts";
import { eventually } from "../_support/fronts.ts";
import { linesOf, LogDirectory } from "../_support/log_directory.ts";
import { canMount, SmallDisk } from "../_support/small_disk.ts";

/** What is written to standard error meanwhile, which is where a log that fails says so. */
function captureErrors(): { readonly lines: string[] } & Disposable {
  const lines: string[] = [];
  const { stderr } = Deno;
  const decoder = new TextDecoder();
  Object.defineProperty(stderr, "writeSync", {
    configurable: true,
    value: (bytes: Uint8Array) => {
      lines.push(...decoder.decode(bytes).trimEnd().split("\n"));
      return bytes.length;
    },
  });
  return {
    lines,
    [Symbol.dispose]: () => void Reflect.deleteProperty(stderr, "writeSync"),
  };
}

/** Stops the clock by which a writer looks whether its file is still there. */
function stopClock(): { goOn(): void } {
  const { now } = performance;
  const stopped = performance.now();
  performance.now = () => stopped;
  return { goOn: () => void (performance.now = now) };
}

/** Numbered lines, longer and longer. */
const line = (id: string, n: number) => `${id} ${n} ${"x".repeat(n % 97)}.`;

Deno.test("LOG-03 a directory is made with those above it, for the owner and the group only", async () => {
  await using logs = await LogDirectory.make();
  const directory = logs.file("a/b/c");
  using logger = createLogger({ directory, console: false });
  logger.get("app").log("first");
  logger.flush();
  const umask = Deno.umask();
  assert.equal(Deno.statSync(directory).mode! & 0o777, 0o750 & ~umask);
  for (const name of ["server", "app", "request"]) {
    assert.equal(Deno.statSync(`${directory}/${name}.log`).mode! & 0o777, 0o640 & ~umask, name);
  }
  ensureLogDirectory(directory);
});

Deno.test("LOG-03 a file is continued", async () => {
  await using logs = await LogDirectory.make();
  const path = logs.file("a.log");
  for (const text of ["one", "two"]) {
    using file = new LogFile(path);
    file.write(text);
  }
  assert.deepEqual(linesOf(path), ["one", "two"]);
});

Deno.test("LOG-03 what cannot be written is named, and nothing stays open", async () => {
  await using logs = await LogDirectory.make();
  const { path } = logs;
  Deno.writeTextFileSync(`${path}/file`, "");
  Deno.mkdirSync(`${path}/dir/request.log`, { recursive: true });
  for (
    const [directory, message] of [
      [`${path}/file`, new RegExp(`^log directory ${path}/file: cannot be used: `)],
      [`${path}/file/below`, new RegExp(`^log directory ${path}/file/below: cannot be used: `)],
      ["/proc/1/logs", /^log directory \/proc\/1\/logs: cannot be used: /],
      [`${path}/dir`, new RegExp(`^log file ${path}/dir/request.log: cannot be written: `)],
    ] as const
  ) {
    assert.throws(() => createLogger({ directory, console: false }), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }
});

Deno.test("LOG-06 a file that somebody renames goes on under its old name until it is noticed", async () => {
  await using logs = await LogDirectory.make();
  const path = logs.file("a.log");
  // it does not look by itself, however long this takes
  const clock = stopClock();
  using file = new LogFile(path);
  try {
    file.write("before");
    file.flush();
    Deno.renameSync(path, logs.file("a.1"));
    file.write("after");
    file.reopen();
    file.write("anew");
    file.flush();
  } finally {
    clock.goOn();
  }
  assert.deepEqual(linesOf(logs.file("a.1")), ["before", "after"]);
  assert.deepEqual(linesOf(path), ["anew"]);

  // Nobody says anything this time. Then the whole directory goes.
  Deno.renameSync(path, logs.file("a.2"));
  let count = 0;
  const written = () => {
    file.write(`${count++}`);
    file.flush();
    return exists(path);
  };
  await eventually(written, "the writer noticed");
  const all = [...linesOf(logs.file("a.2")).slice(1), ...linesOf(path)];
  assert.deepEqual(all, Array.from({ length: count }, (_, n) => `${n}`));
});

Deno.test("LOG-06 a directory that is removed under the writer is made again", async () => {
  await using logs = await LogDirectory.make();
  const path = logs.file("sub/a.log");
  ensureLogDirectory(logs.file("sub"));
  using file = new LogFile(path);
  Deno.removeSync(logs.file("sub"), { recursive: true });
  file.reopen();
  file.write("here again");
  file.flush();
  assert.deepEqual(linesOf(path), ["here again"]);
});

Deno.test("LOG-06 where no new file can be opened, lines go on to the old one, with one warning", async () => {
  await using logs = await LogDirectory.make();
  ensureLogDirectory(logs.file("sub"));
  const path = logs.file("sub/a.log");
  using file = new LogFile(path);
  Deno.renameSync(logs.file("sub"), logs.file("old"));
  Deno.writeTextFileSync(logs.file("sub"), "in the way");
  using errors = captureErrors();
  for (let n = 0; n < 3; n++) {
    file.write(`${n}`);
    file.reopen();
  }
  assert.equal(errors.lines.length, 1);
  assert.match(errors.lines[0]!, /\[error:log\] Cannot open .*sub\/a\.log again: .*before$/);
  file.flush();
  assert.deepEqual(linesOf(logs.file("old/a.log")), ["0", "1", "2"]);
  Deno.removeSync(logs.file("sub"));
  file.reopen();
  file.write("3");
  file.flush();
  assert.deepEqual(linesOf(path), ["3"]);
});

Deno.test("LOG-03 a full device is reported once, and every line comes when there is room", {
  ignore: !exists("/dev/full"),
}, async () => {
  await using logs = await LogDirectory.make();
  const path = logs.file("a.log");
  Deno.symlinkSync("/dev/full", path);
  using errors = captureErrors();
  using file = new LogFile(path);
  for (let n = 0; n < 3000; n++) {
    file.write(line("a", n));
    if (n % 1000 === 0) file.flush();
  }
  file.flush();
  assert.equal(errors.lines.length, 1, errors.lines.join("\n"));
  assert.match(
    errors.lines[0]!,
    /\[error:log\] Cannot write to .*a\.log: .*No space left.* tried again every second$/,
  );
  Deno.removeSync(path);
  // The writer tries again by itself and finds that its file is another one.
  await eventually(() => errors.lines.length === 2, "the writer recovered");
  assert.match(errors.lines[1]!, /a\.log takes lines again, none was lost$/);
  assert.deepEqual(linesOf(path), Array.from({ length: 3000 }, (_, n) => line("a", n)));
});

Deno.test("LOG-03 what a full device would take too long for is lost, and counted", {
  ignore: !exists("/dev/full"),
}, async () => {
  await using logs = await LogDirectory.make();
  const path = logs.file("a.log");
  Deno.symlinkSync("/dev/full", path);
  using errors = captureErrors();
  using file = new LogFile(path);
  const long = "x".repeat(100_000);
  for (let n = 0; n < 60; n++) file.write(`${n} ${long}`);
  Deno.removeSync(path);
  await eventually(() => errors.lines.length === 2, "the writer recovered");
  const kept = linesOf(path);
  assert.match(errors.lines[1]!, new RegExp(`takes lines again, ${60 - kept.length} were lost$`));
  assert.ok(kept.length > 40 && kept.length < 60, `${kept.length}`);
});

const NO_MOUNT = !await canMount();

Deno.test("LOG-03 on a full disk no writer tears its lines or those of another", {
  ignore: NO_MOUNT,
}, async () => {
  await using disk = (await SmallDisk.mount(256))!;
  const path = `${disk.path}/a.log`;
  using errors = captureErrors();
  {
    using first = new LogFile(path);
    using second = new LogFile(path);
    await disk.fill("filler", 8192);
    const writers = { a: first, b: second };
    for (let n = 0; n < 600; n++) {
      for (const [id, file] of Object.entries(writers)) {
        file.write(line(id, n));
        if (n % 7 === 0) file.flush();
      }
      // At any time, whoever reads it finds whole lines.
      if (n % 50 === 0) linesOf(path);
    }
    assert.equal(errors.lines.filter((text) => /No space left/.test(text)).length, 2);
    assert.equal(errors.lines.length, 2, errors.lines.join("\n"));
    linesOf(path);
    await Deno.remove(`${disk.path}/filler`);
    await eventually(() => errors.lines.length === 4, "both recovered");
    assert.ok(
      errors.lines.slice(2).every((text) => text.endsWith("takes lines again, none was lost")),
    );
  }
  const found = linesOf(path);
  for (const id of ["a", "b"]) {
    assert.deepEqual(
      found.filter((text) => text.startsWith(id)),
      Array.from({ length: 600 }, (_, n) => line(id, n)),
    );
  }
  assert.equal(found.length, 1200);
});

Deno.test("LOG-06 a line that a full disk has cut is whole in the next file", {
  ignore: NO_MOUNT,
}, async () => {
  await using disk = (await SmallDisk.mount(64))!;
  await using elsewhere = await LogDirectory.make();
  const link = elsewhere.file("logs");
  Deno.symlinkSync(disk.path, link);
  using errors = captureErrors();
  {
    using file = new LogFile(`${link}/a.log`);
    await disk.fill("filler", 4096);
    for (let n = 0; n < 200; n++) file.write(line("a", n));
    file.flush();
    assert.equal(errors.lines.length, 1);
    // The logs move to a disk with room.
    Deno.removeSync(link);
    Deno.mkdirSync(link);
    file.reopen();
    file.flush();
  }
  const found = [...linesOf(`${disk.path}/a.log`), ...linesOf(`${link}/a.log`)];
  assert.deepEqual(found, Array.from({ length: 200 }, (_, n) => line("a", n)));
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test({
  name: "LOG-06 LOG-16 on a full disk logs are rotated, and further ones are made",
  ignore: NO_MOUNT,
  async fn() {
    await using small = (await SmallDisk.mount(64))!;
    using errors = captureErrors();
    {
      using logger = createLogger({ directory: small.path, console: false });
      logger.get("app").log("before");
      logger.flush();
      await small.fill("filler");
      logger.rotate();
      assert.equal(oldFiles(small.path, "app").length, 1);
      logger.makeLogger("sales").log("a sale");
      logger.get("app").log("after");
      logger.flush();
      await Deno.remove(`${small.path}/filler`);
      logger.flush();
      assert.match(linesOf(`${small.path}/sales.log`).join("\n"), /\[info\] a sale$/);
      assert.match(linesOf(`${small.path}/app.log`).join("\n"), /\[info\] after$/);
      const said = linesOf(`${small.path}/server.log`).filter((line) => /No space left/.test(line));
      assert.equal(said.length, 2, said.join("\n"));
    }
    assert.ok(errors.lines.every((line) => !/lost$/.test(line) || /none was lost$/.test(line)));
  },
});
