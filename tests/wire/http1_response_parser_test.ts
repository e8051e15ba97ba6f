import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { ProtocolError } from "../../src/core/errors.ts";
import { Http1ResponseParser, toHeaders } from "../../src/wire/http1_response_parser.ts";

interface Parsed {
  statusCode: number;
  reason: string;
  version: string;
  headers: [string, string][];
  body: string;
  keepAlive: boolean;
  surplus: number;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Feeds the parts as a connection would, and closes at the end if the message is not over. */
function parse(parts: Uint8Array[], method = "GET", limit?: number): Parsed {
  const parser = new Http1ResponseParser({ maxHeaderBytes: limit });
  parser.start(method);
  let body = "";
  let surplus = 0;
  for (const part of parts) {
    let at = 0;
    while (at < part.length && !parser.done) {
      at += parser.push(part.subarray(at), (bytes) => body += String.fromCharCode(...bytes));
    }
    surplus += part.length - at;
  }
  if (!parser.done) parser.end();
  const head = parser.head!;
  return {
    statusCode: head.statusCode,
    reason: head.reason,
    version: head.version,
    headers: [...toHeaders(head.rawHeaders)],
    body,
    keepAlive: head.keepAlive,
    surplus,
  };
}

const VALID: [name: string, text: string, expected: Partial<Parsed>, method?: string][] = [
  [
    "length",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \t\r\n\r\nhello",
    { statusCode: 200, reason: "OK", body: "hello", keepAlive: true, surplus: 0 },
  ],
  [
    "chunks, extension and trailer",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n00\r\nX-T: 1\r\n\r\n",
    { body: "hello!", keepAlive: true, surplus: 0 },
  ],
  [
    "until close",
    "HTTP/1.1 200 OK\r\n\r\nall of it",
    { body: "all of it", keepAlive: false },
  ],
  [
    "HTTP/1.0",
    "HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    { statusCode: 404, version: "1.0", body: "no", keepAlive: false },
  ],
  [
    "HTTP/1.0 keep-alive",
    "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
    { body: "ok", keepAlive: true },
  ],
  [
    "close",
    "HTTP/1.1 200 OK\r\nconnection: x, Close\r\nContent-Length: 0\r\n\r\n",
    { body: "", keepAlive: false },
  ],
  [
    "interim responses are skipped",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\nx",
    { statusCode: 201, body: "x", surplus: 0 },
  ],
  ["205", "HTTP/1.1 205 Reset Content\r\n\r\n", { statusCode: 205, body: "", keepAlive: true }],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", { statusCode: 204, body: "", keepAlive: true }],
  [
    "304 with a length",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
    { statusCode: 304, body: "", keepAlive: true },
  ],
  [
    "HEAD with a length",
    "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
    { body: "", keepAlive: true },
    "HEAD",
  ],
  ["no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", { reason: "", statusCode: 200 }],
  [
    "latin1 and repeated headers",
    "HTTP/1.1 200 \xfcber\r\nX-A: \xe9\r\nx-a: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    {
      reason: "\xfcber",
      headers: [
        ["content-length", "0"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["x-a", "\xe9, 2"],
      ],
    },
  ],
  [
    "the same length twice",
    "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok",
    { body: "ok" },
  ],
  [
    "surplus is left",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok surplus",
    { body: "ok", surplus: 8 },
  ],
];

Deno.test("WAS-13 responses are read the same however their bytes are split", async (t) => {
  for (const [name, text, expected, method] of VALID) {
    await t.step(name, () => {
      const bytes = bytesOf(text);
      const whole = parse([bytes], method);
      for (const [key, value] of Object.entries(expected)) {
        deepEqual(whole[key as keyof Parsed], value, key);
      }
      deepEqual(parse([...bytes].map((byte) => Uint8Array.of(byte)), method), whole);
      for (let i = 1; i < bytes.length; i++) {
        deepEqual(parse([bytes.subarray(0, i), bytes.subarray(i)], method), whole, `at ${i}`);
      }
    });
  }
});

const OK = "HTTP/1.1 200 OK\r\n";
const INVALID: [name: string, text: string][] = [
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["HTTP/2", "HTTP/2 200 OK\r\n\r\n"],
  ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"],
  ["lower case", "http/1.1 200 OK\r\n\r\n"],
  ["no code", "HTTP/1.1 OK\r\n\r\n"],
  ["two digits", "HTTP/1.1 20 OK\r\n\r\n"],
  ["four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["code 0xx", "HTTP/1.1 099 OK\r\n\r\n"],
  ["unasked upgrade", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"],
  ["empty line first", `\r\n${OK}\r\n`],
  ["both lengths", `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["two lengths", `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`],
  ["list of lengths", `${OK}Content-Length: 2, 3\r\n\r\nabc`],
  ["negative length", `${OK}Content-Length: -1\r\n\r\n`],
  ["signed length", `${OK}Content-Length: +1\r\n\r\na`],
  ["hex length", `${OK}Content-Length: 0x1\r\n\r\na`],
  ["empty length", `${OK}Content-Length:\r\n\r\n`],
  ["huge length", `${OK}Content-Length: 99999999999999999999\r\n\r\n`],
  ["unknown coding", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ["chunked twice", `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ["chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["blank before the colon", `${OK}Content-Length : 2\r\n\r\nab`],
  ["folded line", `${OK}X-A: b\r\n c\r\n\r\n`],
  ["no colon", `${OK}nonsense\r\n\r\n`],
  ["empty name", `${OK}: x\r\n\r\n`],
  ["bare line feed", `${OK}X-A: b\nX-B: c\r\n\r\n`],
  ["bare carriage return", `${OK}X-A: b\rc\r\n\r\n`],
  ["zero byte", `${OK}X-A: b\0c\r\n\r\n`],
  ["chunk size that is none", `${OK}Transfer-Encoding: chunked\r\n\r\nx\r\n`],
  ["chunk size with a sign", `${OK}Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n`],
  ["chunk longer than its size", `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n`],
  ["chunk with a bare line feed", `${OK}Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n`],
  ["endless chunk line", `${OK}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(2000)}`],
  ["malformed trailer", `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n`],
];

Deno.test("RES-10 what is not HTTP is refused with 715, wherever it is split", async (t) => {
  const refused = (error: unknown) => error instanceof ProtocolError && error.statusCode === 715;
  for (const [name, text] of INVALID) {
    await t.step(name, () => {
      const bytes = bytesOf(text);
      throws(() => parse([bytes]), refused);
      throws(() => parse([...bytes].map((byte) => Uint8Array.of(byte))), refused);
    });
  }
});

Deno.test("RES-10 a header with bare line feeds is refused at once, not when the peer closes", () => {
  for (const text of ["HTTP/1.1 200 OK\nA: b\n\n", `${OK}A: b\n`, `${OK}\n`, "HTTP/1.1 200 OK\n"]) {
    const refused = /its header has a bare line feed/;
    const whole = new Http1ResponseParser();
    whole.start("GET");
    throws(() => whole.push(bytesOf(text), () => {}), refused, JSON.stringify(text));
    const parts = new Http1ResponseParser();
    parts.start("GET");
    throws(() => {
      for (const byte of bytesOf(text)) parts.push(Uint8Array.of(byte), () => {});
    }, refused);
  }
});

Deno.test("RES-10 a response that breaks off is 708 before, 715 within, 700 after the header", () => {
  const text = bytesOf(`${OK}Content-Length: 5\r\n\r\nhello`);
  const body = text.length - 5;
  for (let i = 0; i < text.length; i++) {
    const code = i === 0 ? 708 : i < body ? 715 : 700;
    throws(
      () => parse([text.subarray(0, i)]),
      (error) => error instanceof ProtocolError && error.statusCode === code,
      `after ${i} bytes`,
    );
  }
});

Deno.test("RES-10 a response header has a limit", () => {
  const head = `${OK}X-A: ${"x".repeat(1000)}\r\n\r\n`;
  equal(parse([bytesOf(head)], "HEAD", head.length).statusCode, 200);
  throws(() => parse([bytesOf(head)], "HEAD", head.length - 1), /larger than/);
  throws(() => parse([bytesOf(`${OK}X-A: ${"x".repeat(2000)}`)], "HEAD", 1000), /larger than/);
  const interim = "HTTP/1.1 103 Early\r\n\r\n".repeat(100);
  throws(() => parse([bytesOf(interim)], "GET", 1000), /larger than/);
});

Deno.test("RES-10 a response header has no more than two thousand fields", () => {
  const answer = (count: number) => bytesOf(`HTTP/1.1 204 OK\r\n${"a:\r\n".repeat(count)}\r\n`);
  equal(parse([answer(2000)]).statusCode, 204);
  throws(() => parse([answer(2001)]), { statusCode: 715, message: /more than 2000 fields/ });
});

Deno.test("WAS-21 a parser reads one response after the other", () => {
  const parser = new Http1ResponseParser();
  const bytes = bytesOf(`${OK}Keep-Alive: max=5, timeout=7\r\nContent-Length: 2\r\n\r\nok`);
  for (let i = 0; i < 3; i++) {
    parser.start("GET");
    deepEqual([parser.started, parser.done, parser.head], [false, false, undefined]);
    const used = parser.push(bytes, () => {});
    equal(parser.head?.keepAliveTimeout, 7);
    let size = 0;
    equal(parser.push(bytes.subarray(used), (part) => size += part.length), 2);
    ok(parser.done && size === 2);
  }
});
