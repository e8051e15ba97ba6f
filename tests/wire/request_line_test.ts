import assert from "node:assert/strict";
import {
  formatRequestLine,
  parseRequestLine,
  REQUEST_FIELDS,
  type RequestFacts,
} from "../../src/wire/request_line.ts";

const TIME = new Date(2026, 0, 31, 12, 0, 5).getTime();

const PLAIN: RequestFacts = {
  time: TIME,
  clientAddress: "10.0.0.7",
  host: "shop.example:8080",
  method: "POST",
  uri: "/cart?id=4",
  version: "1.1",
  requestBytes: 12,
  status: 201,
  responseBytes: 345,
  gtxnid: "GTID-C3-R8",
  ltxnid: 1000,
  user: "jane doe",
  token: "...c0ffee",
  referer: "https://shop.example/",
  userAgent: "curl/8.5.0",
  forwardedFor: "203.0.113.9",
  workerId: "W1",
  connections: 17,
  handlingMs: 4,
  sendingMs: 3,
};

/** Everything that can be missing. */
const MISSING: RequestFacts = {
  ...PLAIN,
  clientAddress: "",
  host: "",
  gtxnid: "",
  user: "",
  token: "",
  referer: "",
  userAgent: "",
  forwardedFor: "",
};

/** Fields as a plain reader sees them: blanks separate, quotes hold together, a backslash escapes. */
function fieldsOf(line: string): string[] {
  const fields: string[] = [];
  let field = "";
  let inQuotes = false;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (char === "\\") field += char + line[++i];
    else if (char === " " && !inQuotes) {
      fields.push(field);
      field = "";
    } else {
      if (char === '"') inQuotes = !inQuotes;
      field += char;
    }
  }
  assert.equal(inQuotes, false, "a quote stays open");
  return [...fields, field];
}

Deno.test("LOG-07 LOG-08 LOG-09 LOG-10 the line has its 21 fields in their order", () => {
  const line = formatRequestLine(PLAIN);
  assert.equal(
    line,
    "2026.01.31 12:00:05 10.0.0.7 shop.example:8080 POST /cart?id=4 1.1 12 201 345 " +
      'GTID-C3-R8 1000 "jane doe" ...c0ffee "https://shop.example/" "curl/8.5.0" 203.0.113.9 ' +
      "W1 17 4 3",
  );
  assert.equal(fieldsOf(line).length, 21);
  assert.equal(REQUEST_FIELDS, 21);
  assert.deepEqual(parseRequestLine(line), PLAIN);
});

Deno.test("LOG-07 LOG-08 LOG-10 what is missing is a dash without quotes", () => {
  const line = formatRequestLine(MISSING);
  assert.equal(
    line,
    "2026.01.31 12:00:05 - - POST /cart?id=4 1.1 12 201 345 - 1000 - - - - - W1 17 4 3",
  );
  assert.deepEqual(parseRequestLine(line), MISSING);
  assert.equal(
    parseRequestLine(formatRequestLine({ ...PLAIN, referer: "-", user: "-" })).user,
    "-",
    "a name that is a dash stands in quotes",
  );
});

const NASTY: readonly (readonly [name: string, text: string])[] = [
  ["blanks", "a b  c "],
  ["quotes", 'say "hi" "'],
  ["a lone quote", '"'],
  ["backslashes", "C:\\dir\\"],
  ["something that looks escaped", '\\x0a\\u2028\\"'],
  ["line breaks", "a\r\nb\nc\rd"],
  ["a forged line", '" - W0 0 0 0\n2026.01.31 12:00:05 - - GET /admin 1.1 0 200 0'],
  ["control characters", "\0\x01\x07\x08\t\x0b\x0c\x1b[31m\x7f\x80\x85\x9b"],
  ["separators of other alphabets", "\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\ufeff"],
  ["what turns the direction of writing", "a\u202egnp.exe\u2066\u2069\u200f"],
  ["other alphabets", "Grüße 日本語 🦕 ö"],
  ["a lone surrogate", "\ud800x"],
  ["a dash", "- -"],
  ["very long text", 'x y"\\\n'.repeat(40_000)],
];

for (const [name, text] of NASTY) {
  Deno.test(`LOG-10 ${name} cannot break the line`, () => {
    for (
      const key of [
        "clientAddress",
        "host",
        "method",
        "uri",
        "gtxnid",
        "user",
        "token",
        "referer",
        "userAgent",
        "forwardedFor",
      ] as const
    ) {
      const line = formatRequestLine({ ...MISSING, [key]: text });
      assert.equal(fieldsOf(line).length, 21, key);
      // deno-lint-ignore no-control-regex -- they are what is looked for
      assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/, key);
      assert.equal(parseRequestLine(line)[key], text, key);
    }
    const all = { ...PLAIN, user: text, referer: text, userAgent: text, uri: text, host: text };
    assert.deepEqual(parseRequestLine(formatRequestLine(all)), all);
  });
}

Deno.test("LOG-10 the same user agent twice, and another one, stand as they are", () => {
  for (const userAgent of ["a", "a", 'b "', 'b "', "", "a"]) {
    assert.equal(parseRequestLine(formatRequestLine({ ...PLAIN, userAgent })).userAgent, userAgent);
  }
});

Deno.test("LOG-08 header values that came as bytes of UTF-8 are readable", () => {
  const asBytes = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  const line = formatRequestLine({
    ...PLAIN,
    referer: asBytes("https://münchen.example/日本"),
    userAgent: asBytes("Bräuhaus 1.0 \u2028 🦕"),
    user: "M\u00fcller",
  });
  assert.match(line, / "Müller" /);
  assert.match(line, / "https:\/\/münchen\.example\/日本" "Bräuhaus 1\.0 \\u2028 🦕" /);
  const latin = formatRequestLine({ ...PLAIN, userAgent: "Br\xe4uhaus" });
  assert.match(latin, / "Bräuhaus" /, "what is no UTF-8 stays as it came");
});

Deno.test("LOG-11 lines of earlier formats are read", () => {
  const earlier: [string, Partial<RequestFacts>][] = [
    // A tag, address and port, the status before the received bytes, durations with their unit.
    [
      "2026.01.31 12:00:05 [info] 10.0.0.7:51432 shop.example:8080 POST /cart?id=4 1.1 201 12 345 " +
      'GTID-C3-R8 1000 "jane doe" ...c0ffee "https://shop.example/" "curl/8.5.0" 203.0.113.9 ' +
      "W1 17 4ms 3ms",
      PLAIN,
    ],
    [
      "2026.01.31 12:00:05 10.0.0.7 - GET / 1.0 0 404 0 - 1000 - - - - - M 1 0ms 0ms",
      { status: 404, requestBytes: 0, host: "", workerId: "M", handlingMs: 0 },
    ],
  ];
  for (const [line, expected] of earlier) {
    const facts = parseRequestLine(line);
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(facts[key as keyof RequestFacts], value, key);
    }
  }
  assert.doesNotMatch(formatRequestLine(PLAIN), /\[info\]|\dms|10\.0\.0\.7:/, "only read");
});

Deno.test("LOG-11 what is no request line is refused with the reason", () => {
  const good = formatRequestLine(PLAIN);
  for (
    const [line, reason] of [
      ["", /does not start with date and time/],
      ["2026.02.31 12:00:05 a", /does not start with date and time/],
      [good.replace(" 17 ", " "), /20 fields instead of 21/],
      [`${good} more`, /22 fields instead of 21/],
      [good.replace(" 201 ", " ok "), /field 9 is "ok", not a number/],
      [good.replace('"jane doe"', '"jane doe'), /no field at column|fields instead of/],
      [good.replace("GTID", " GTID"), /no field at column/],
    ] as const
  ) {
    assert.throws(() => parseRequestLine(line), (error: unknown) => {
      assert.ok(error instanceof SyntaxError);
      assert.match(error.message, reason);
      return true;
    });
  }
});
