import { equal, throws } from "node:assert/strict";
import { parseTime, SessionZone, timeText } from "../../../src/clients/postgresql/times.ts";
import { checkValues } from "../../../src/clients/postgresql/types.ts";

Deno.test("DB-01 times are read as the runtime reads them, whatever their form", () => {
  const forms = [
    ...["2026-01-01", "2026-01-01 00:01:00", "2026-01-01 00:01:00.123456", "2026-06-01 24:00:00"],
    ...["2026-06-01 00:01:00.5+02", "2026-06-01 00:01:00-03:30", "2026-06-01 00:01:00.29"],
    ...["2026-06-01 00:01:00.129+00", "1969-12-31 23:59:59.999999+00", "2026-03-29 02:30:00"],
    ...["0099-06-01", "10000-01-01 00:00:00"],
  ];
  for (const form of forms) {
    equal((parseTime(form, new SessionZone()) as Date).getTime(), new Date(form).getTime(), form);
  }
});

Deno.test("DB-01 times the runtime would take for others, or for none", () => {
  const zone = new SessionZone();
  zone.set("UTC");
  const forms = [
    ["0001-01-01 00:00:00", "0001-01-01T00:00:00.000Z"],
    ["0050-01-01 10:00:00.25+00", "0050-01-01T10:00:00.250Z"],
    ["1890-01-01 00:00:00+00:53:28", "1889-12-31T23:06:32.000Z"],
    ["0044-03-15 10:00:00 BC", "-000043-03-15T10:00:00.000Z"],
    ["0001-01-01 BC", "0000-01-01T00:00:00.000Z"],
    ["12345-06-07 08:09:10-01:30", "+012345-06-07T09:39:10.000Z"],
  ] as const;
  for (const [form, iso] of forms) equal((parseTime(form, zone) as Date).toISOString(), iso, form);
  equal(parseTime("infinity", zone), Infinity);
  equal(parseTime("-infinity", zone), -Infinity);
  equal(timeText(new Date("-000043-03-15T10:00:00.000Z")), "0044-03-15T10:00:00.000Z BC");
  equal(timeText(new Date("+012345-06-07T09:39:10.000Z")), "12345-06-07T09:39:10.000Z");
});

Deno.test("DB-01 a time without a zone is one of the zone of its connection", () => {
  const read = (name: string, text: string) => {
    const zone = new SessionZone();
    zone.set(name);
    return (parseTime(text, zone) as Date).toISOString();
  };
  equal(read("Etc/UTC", "2026-07-01 12:00:00"), "2026-07-01T12:00:00.000Z");
  equal(read("Asia/Seoul", "2026-07-01 12:00:00.5"), "2026-07-01T03:00:00.500Z");
  equal(read("America/New_York", "2026-07-01 12:00:00"), "2026-07-01T16:00:00.000Z");
  equal(read("America/New_York", "2026-01-01 12:00:00"), "2026-01-01T17:00:00.000Z");
  const here = new Date("2026-01-01 12:00:00").toISOString();
  equal(read(Temporal.Now.timeZoneId(), "2026-01-01 12:00:00"), here);
  equal(read("<+03>-03", "2026-01-01 12:00:00"), here, "a name only PostgreSQL knows");
  equal(read("Asia/Seoul", "2026-07-01"), "2026-07-01T00:00:00.000Z", "a date is not a time");
});

Deno.test("DB-09 values that would be stored as {} are refused", () => {
  checkValues([1, "a", null, undefined, [new Date(0), [null]], { a: 1 }, new Uint8Array(1), 5n]);
  throws(() => checkValues([1, new Set([1])]), /Cannot bind value 2: Set is no type/);
  throws(() => checkValues([new Map()]), /Map/);
  throws(() => checkValues([[[Promise.resolve()]]]), /Promise/);
  throws(() => checkValues([() => 1]), /function/);
  throws(() => checkValues([Symbol("a")]), /symbol/);
  throws(() => checkValues([new Date(NaN)]), /an invalid date/);
});
