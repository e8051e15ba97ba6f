import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { ProtocolError } from "../../src/core/errors.ts";
import { encodeCommand, RespError, RespParser, type RespReply } from "../../src/wire/resp.ts";

const ENCODER = new TextEncoder();

/** Replies of bytes that come in chunks, each in the same buffer, which is spoilt in between. */
function read(bytes: Uint8Array, cuts: readonly number[]): { replies: RespReply[]; idle: boolean } {
  const parser = new RespParser();
  const replies: RespReply[] = [];
  const buffer = new Uint8Array(bytes.length + 16);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    buffer.fill(13);
    buffer.set(bytes.subarray(from, to));
    parser.push(buffer.subarray(0, to - from), (reply) => void replies.push(reply));
    from = to;
  }
  buffer.fill(13);
  return { replies, idle: parser.idle };
}

const text = (source: string) => ENCODER.encode(source);
/** Errors as text, so that they can be compared. */
const plain = (reply: RespReply): unknown =>
  reply instanceof RespError ? `${reply}` : Array.isArray(reply) ? reply.map(plain) : reply;

const SAMPLES: readonly [string, unknown][] = [
  ["+OK\r\n", "OK"],
  ["+\r\n", ""],
  ["-ERR no such thing\r\n", "ReplyError: ERR no such thing"],
  [":0\r\n", 0],
  [":-1\r\n", -1],
  [":9007199254740991\r\n", 9007199254740991],
  [":-9007199254740991\r\n", -9007199254740991],
  [":9007199254740992\r\n", 9007199254740992n],
  [":9223372036854775807\r\n", 9223372036854775807n],
  [":-9223372036854775808\r\n", -9223372036854775808n],
  ["$-1\r\n", null],
  ["$0\r\n\r\n", ""],
  ["$4\r\na\r\nb\r\n", "a\r\nb"],
  ["$6\r\n\r\n$-1\r\r\n", "\r\n$-1\r"],
  ["$13\r\nzwölf Bäume!\r\n".replace("13", String(text("zwölf Bäume!").length)), "zwölf Bäume!"],
  ["$7\r\n\ufeff\u{1f600}\r\n", "\ufeff\u{1f600}"],
  ["*-1\r\n", null],
  ["*0\r\n", []],
  ["*1\r\n*0\r\n", [[]]],
  ["*2\r\n*1\r\n*-1\r\n:7\r\n", [[null], 7]],
  [
    "*5\r\n+a\r\n-ERR b\r\n:3\r\n$1\r\nd\r\n*2\r\n$-1\r\n*2\r\n*0\r\n$0\r\n\r\n",
    ["a", "ReplyError: ERR b", 3, "d", [null, [[], ""]]],
  ],
];

Deno.test("DB-05 every kind of reply is read, however it is cut", () => {
  for (const [source, expected] of SAMPLES) {
    const bytes = text(source);
    const every = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
    const ways = [[], every, ...every.map((cut) => [cut])];
    // all pairs of cuts, where these are few
    if (bytes.length < 24) {
      for (const a of every) for (const b of every) if (a < b) ways.push([a, b]);
    }
    for (const cuts of ways) {
      const { replies, idle } = read(bytes, cuts);
      deepEqual(replies.map(plain), [expected], `${JSON.stringify(source)} cut at ${cuts}`);
      ok(idle, source);
    }
  }
});

Deno.test("DB-05 a value that is no text is read as its bytes", () => {
  const replies: unknown[] = [];
  const parser = new RespParser();
  const chunk = new Uint8Array([
    ...text("*3\r\n$3\r\n"),
    255,
    0,
    65,
    ...text("\r\n$3\r\n\ufffd\r\n"),
  ]);
  parser.push(chunk, (reply) => void replies.push(reply));
  parser.push(new Uint8Array([...text("$2\r\n"), 13, 254, ...text("\r\n")]), (reply) => {
    replies.push(reply);
  });
  chunk.fill(0);
  deepEqual(replies, [[new Uint8Array([255, 0, 65]), "\ufffd", new Uint8Array([13, 254])]]);
});

Deno.test("DB-05 replies that come together are told apart, however they are cut", () => {
  const bytes = text(SAMPLES.map(([source]) => source).join(""));
  const expected = SAMPLES.map(([, reply]) => reply);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { replies, idle } = read(bytes, [cut]);
    deepEqual(replies.map(plain), expected);
    ok(idle);
  }
  for (let size = 1; size < 40; size++) {
    const cuts = Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => i * size);
    deepEqual(read(bytes, cuts).replies.map(plain), expected, `pieces of ${size}`);
  }
});

Deno.test("DB-05 a reply is not idle before its last byte", () => {
  for (const [source] of SAMPLES) {
    const bytes = text(source);
    const parser = new RespParser();
    ok(parser.idle);
    let count = 0;
    for (let i = 0; i < bytes.length; i++) {
      equal(count, 0, source);
      parser.push(bytes.slice(i, i + 1), () => count++);
      equal(parser.idle, i === bytes.length - 1, source);
    }
    equal(count, 1);
  }
});

Deno.test("DB-05 what is not of the protocol is refused with its first wrong byte", () => {
  const wrong: readonly [string, RegExp, number?][] = [
    ["HTTP/1.1 400 Bad Request\r\n\r\n", /no type/, 1],
    ["\r\n", /no type/, 1],
    ["\0", /no type/, 1],
    ["%1\r\n", /no type/, 1],
    ["+a\rb\r\n", /ends in the middle/],
    [":\r\n", /number/],
    [":-\r\n", /number/],
    [":+1\r\n", /number/],
    [":1.5\r\n", /number/],
    [": 1\r\n", /number/],
    [":0x10\r\n", /number/],
    [`:${"9".repeat(21)}\r\n`, /number/],
    ["$\r\n", /number/],
    ["$-2\r\n", /length of -2/],
    ["$536870913\r\n", /length of 536870913/],
    [`$${"9".repeat(20)}\r\n`, /length of/],
    ["$a\r\n", /number/],
    ["*-2\r\n", /length of -2/],
    ["*4294967297\r\n", /length of/],
    ["$1\r\nab\r\n", /longer than announced/],
    ["$1\r\na\n\r\n", /longer than announced/],
    ["$0\r\na\r\n", /longer than announced/],
    ["*1\r\nx", /no type/],
    ["*1\r\n".repeat(65), /nested/],
    [`+${"a".repeat(65 * 1024)}`, /does not end/],
    [`+${"a".repeat(65 * 1024)}\r\n`, /does not end/],
    [`:${"1".repeat(65 * 1024)}`, /does not end/],
  ];
  for (const [source, why, at] of wrong) {
    const bytes = text(source);
    for (const size of [bytes.length, 1, 3]) {
      const parser = new RespParser();
      let read = 0;
      throws(
        () => {
          for (; read < bytes.length; read += size) {
            parser.push(bytes.slice(read, read + size), (reply) => {
              throw new Error(`${JSON.stringify(source)} was taken for ${reply}`);
            });
          }
        },
        (error: unknown) => {
          ok(error instanceof ProtocolError, String(error));
          equal(error.statusCode, 715);
          match(error.message, why);
          return true;
        },
        JSON.stringify(source.slice(0, 40)),
      );
      if (at !== undefined && size === 1) equal(read, at - 1, source);
    }
  }
});

Deno.test("DB-05 an announced length takes no memory before the bytes are there", () => {
  const parser = new RespParser();
  const before = Deno.memoryUsage();
  const replies: RespReply[] = [];
  parser.push(text("*4294967296\r\n".repeat(60)), (reply) => void replies.push(reply));
  parser.push(text("$536870912\r\n"), (reply) => void replies.push(reply));
  for (let i = 0; i < 100; i++) parser.push(text("x"), (reply) => void replies.push(reply));
  const after = Deno.memoryUsage();
  deepEqual(replies, []);
  ok(after.external - before.external < 16 * 2 ** 20, "outside of the heap");
  ok(after.heapUsed - before.heapUsed < 64 * 2 ** 20, "on the heap");
});

Deno.test("DB-05 a large value in small chunks is read without copying it for each", () => {
  const size = 4_000_000;
  const value = "0123456789abcdef".repeat(size / 16);
  const bytes = text(`$${size}\r\n${value}\r\n:1\r\n`);
  const parser = new RespParser();
  const replies: RespReply[] = [];
  const chunk = new Uint8Array(100);
  let copied = 0;
  const set = Uint8Array.prototype.set;
  // counted, as the clock says nothing that is certain
  Uint8Array.prototype.set = function (source, at) {
    copied += source.length;
    set.call(this, source, at);
  };
  try {
    for (let at = 0; at < bytes.length; at += 100) {
      const part = bytes.subarray(at, at + 100);
      set.call(chunk, part);
      parser.push(chunk.subarray(0, part.length), (reply) => void replies.push(reply));
      set.call(chunk, new Uint8Array(100));
    }
  } finally {
    Uint8Array.prototype.set = set;
  }
  equal(replies.length, 2);
  ok(replies[0] === value);
  equal(replies[1], 1);
  ok(copied < 4 * size, `${copied} bytes were copied`);
});

Deno.test("DB-05 commands are written with the length of their bytes", () => {
  const written = (...parts: (string | Uint8Array)[]) =>
    encodeCommand(parts).map((piece) =>
      typeof piece === "string" ? piece : `<${new TextDecoder().decode(piece)}>`
    ).join("");
  equal(written("ping"), "*1\r\n$4\r\nping\r\n");
  equal(written("set", "ä", ""), "*3\r\n$3\r\nset\r\n$2\r\nä\r\n$0\r\n\r\n");
  equal(written("a\r\nb"), "*1\r\n$4\r\na\r\nb\r\n");
  equal(written("\u{1f600}"), "*1\r\n$4\r\n\u{1f600}\r\n");
  // half of a pair is sent as the three bytes of the replacement
  equal(written("\ud83d"), "*1\r\n$3\r\n\ud83d\r\n");
  equal(
    written("set", text("b"), text(""), "c"),
    "*4\r\n$3\r\nset\r\n$1\r\n<b>\r\n$0\r\n<>\r\n$1\r\nc\r\n",
  );
});

Deno.test("DB-05 bytes are those of the call, whatever becomes of them before they are sent", () => {
  const own = text("value");
  const node = text("other");
  const pieces = encodeCommand(["mset", "a", own, "b", node]);
  own.fill(0);
  structuredClone(node.buffer, { transfer: [node.buffer] });
  const sent = pieces.map((piece) =>
    typeof piece === "string" ? piece : new TextDecoder().decode(piece)
  ).join("");
  equal(
    sent,
    "*5\r\n$4\r\nmset\r\n$1\r\na\r\n$5\r\nvalue\r\n$1\r\nb\r\n$5\r\nother\r\n",
  );
});
