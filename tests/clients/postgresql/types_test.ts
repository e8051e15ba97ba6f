import { equal } from "node:assert/strict";
import { pgTypes } from "../../../src/clients/postgresql/types.ts";

Deno.test("DB-01 times are read as the runtime reads them, whatever their form", () => {
  const parse = (pgTypes().date as { parse: (value: string) => Date }).parse;
  const forms = [
    ...["2026-01-01", "2026-01-01 00:01:00", "2026-01-01 00:01:00.123456", "2026-06-01 24:00:00"],
    ...["2026-06-01 00:01:00.5+02", "2026-06-01 00:01:00-03:30", "2026-06-01 00:01:00.29"],
    ...["2026-06-01 00:01:00.129+00", "1969-12-31 23:59:59.999999+00", "2026-03-29 02:30:00"],
    ...["1890-01-01 00:00:00+00:53:28", "0044-03-15 10:00:00 BC", "0044-03-15 BC", "0099-06-01"],
    ...["10000-01-01 00:00:00", "infinity", "-infinity"],
  ];
  for (const form of forms) {
    equal(parse(form).getTime(), new Date(form).getTime(), form);
  }
});
