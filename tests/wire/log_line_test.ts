import assert from "node:assert/strict";
import { formatLogEntry, logTime, timeOfLine } from "../../src/wire/log_line.ts";

const TIME = new Date(2026, 0, 31, 9, 5, 7, 999).getTime();
const entry = (text: string, type = "info", id = "") =>
  formatLogEntry({ time: TIME, type, id, text });

Deno.test("LOG-05 a line is local date and time, the type with its identifier, and the text", () => {
  assert.equal(entry("text"), "2026.01.31 09:05:07 [info] text");
  assert.equal(
    entry("text", "warn", "GTID-C3-R8/1000"),
    "2026.01.31 09:05:07 [warn:GTID-C3-R8/1000] text",
  );
  assert.equal(entry(""), "2026.01.31 09:05:07 [info] ");
  assert.equal(entry("Grüße 日本 🦕\t1"), "2026.01.31 09:05:07 [info] Grüße 日本 🦕\t1");
});

Deno.test("LOG-05 the time is local, by the second, and can be read back", () => {
  for (const ms of [0, 1, 999, 1000, 59_999, 86_400_000, TIME, TIME + 1]) {
    const date = new Date(ms);
    const text = logTime(ms);
    assert.match(text, /^\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d$/);
    assert.equal(timeOfLine(`${text} [info] x`)?.getTime(), Math.floor(ms / 1000) * 1000);
    assert.equal(text.slice(11, 13), String(date.getHours()).padStart(2, "0"));
  }
  for (const line of ["", "x", "2026.02.30 00:00:00 [info] x", "2026.01.31 09:05:07"]) {
    assert.equal(timeOfLine(line), undefined, line);
  }
});

Deno.test("LOG-05 text from outside makes no entry of its own and controls no terminal", () => {
  const forged = entry("a\n2026.01.31 09:05:07 [info] forged\r\nb\rc\n\n  deep");
  assert.equal(
    forged,
    "2026.01.31 09:05:07 [info] a\n  2026.01.31 09:05:07 [info] forged\n  b\\x0dc\n\n  deep",
  );
  assert.equal(forged.split("\n").filter((line) => timeOfLine(line) !== undefined).length, 1);
  assert.equal(
    entry("\x1b[31mred\x9b\0\u2028."),
    "2026.01.31 09:05:07 [info] " +
      "\\x1b[31mred\\x9b\\x00\\u2028.",
  );
  assert.equal(
    entry("x", "a]b\n", "i[d"),
    "2026.01.31 09:05:07 [a\\x5db\\x0a:i\\x5bd] x",
    "the tag ends where it ends",
  );
});
