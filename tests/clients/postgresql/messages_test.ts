import assert from "node:assert/strict";
import { PostgresqlClient } from "../../../src/clients/postgresql/client.ts";
import { ServerMessages } from "../../../src/clients/postgresql/messages.ts";
import { concatBytes } from "../../../src/core/concat_bytes.ts";
import { rawBackend } from "../../_support/raw_backend.ts";

const ENCODER = new TextEncoder();

/** A message. Numbers are bytes, texts get their final zero. */
function message(type: string, ...parts: (number | string)[]): Uint8Array {
  const body = parts.flatMap((part) =>
    typeof part === "number" ? [part] : [...ENCODER.encode(part), 0]
  );
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = type.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, 4 + body.length);
  bytes.set(body, 5);
  return bytes;
}

const COLUMN = [0, 0, 0, 0, 0, 0, 0, 0, 0, 23, 0, 4, 255, 255, 255, 255, 0, 0];
const LOGIN = message("R", 0, 0, 0, 0);
const ready = (status: string) => message("Z", status.charCodeAt(0));
const ROWS = [
  message("T", 0, 2, "a", ...COLUMN, "b", ...COLUMN),
  message("D", 0, 2, 0, 0, 0, 1, 49, 255, 255, 255, 255),
  message("C", "SELECT 1"),
];

Deno.test("DB-03 the messages of PostgreSQL are followed, however they are cut", () => {
  const whole = concatBytes([LOGIN, message("S", "a", "b"), ready("I"), ...ROWS, ready("T")]);
  for (let size = 1; size <= whole.length; size++) {
    const messages = new ServerMessages();
    assert.equal(messages.inTransaction, undefined);
    for (let at = 0; at < whole.length; at += size) {
      assert.equal(messages.push(whole.subarray(at, at + size)), undefined);
    }
    assert.equal(messages.inTransaction, true);
    assert.equal(messages.push(ROWS[0]!.subarray(0, 1)), undefined);
    assert.equal(messages.inTransaction, undefined, "something is coming");
    messages.push(ROWS[0]!.subarray(1));
    assert.equal(messages.push(ready("I")), undefined);
    assert.equal(messages.inTransaction, false);
  }
});

const WRONG: Record<string, Uint8Array> = {
  "an unknown type": message("?"),
  "a second login": LOGIN,
  "a portal that nobody asked for": message("s"),
  "no length": Uint8Array.of(67, 0, 0, 0, 3),
  "too much": Uint8Array.of(68, 0x7f, 255, 255, 255),
  "a readiness of another size": message("Z", 73, 73),
  "a name without an end": message("T", 0, 1, 97, 98, 99),
  "more columns than there are": message("T", 0, 2, "a", ...COLUMN),
  "fewer columns than there are": message("T", 0, 1, "a", ...COLUMN, 0),
  "no columns": message("T", 0),
  "endless columns": Uint8Array.of(84, 0x3f, 255, 255, 255),
};

Deno.test("DB-03 what is no message of PostgreSQL is told", () => {
  for (const [what, bytes] of Object.entries(WRONG)) {
    const messages = new ServerMessages();
    messages.push(ready("I"));
    const problems = [...bytes].map((byte) => messages.push(Uint8Array.of(byte)));
    assert.ok(problems.some((problem) => problem !== undefined), what);
  }
});

Deno.test("DB-03 a server of PostgreSQL that answers garbage after the login fails its statement, and harms nobody", async () => {
  await using client = new PostgresqlClient();
  for (const [what, bytes] of Object.entries(WRONG)) {
    await using backend = rawBackend(async (conn) => {
      await conn.read(1);
      await conn.write(concatBytes([LOGIN, message("K", 0, 0, 0, 1, 0, 0, 0, 2), ready("I")]));
      // what the client asks for first
      await conn.read(1);
      await conn.write(bytes);
      await conn.drained();
    });
    const { port } = backend;
    const node = `127.0.0.1:${port}`;
    const { status, error } = await client.send(
      {
        alias: "@odd",
        host: "127.0.0.1",
        port,
        node,
        user: "u",
        password: "",
        database: "d",
        tls: false,
      },
      "select 1",
      [],
      AbortSignal.timeout(20_000),
    );
    assert.equal(status, 2, what);
    assert.match(error!.message, new RegExp(`@odd \\(${node}\\)`), what);
  }
});

Deno.test("DB-03 a login that PostgreSQL servers ask for and the client does not have is told at once", async () => {
  await using client = new PostgresqlClient();
  for (
    const [bytes, why] of [
      [message("R", 0, 0, 0, 2), /it wants a login of kind 2, which is not offered/],
      [message("R", 0, 0, 0, 7), /it wants a login of kind 7, which is not offered/],
      [message("R", 0), /its login makes no sense/],
    ] as const
  ) {
    await using backend = rawBackend(async (conn) => {
      await conn.read(1);
      await conn.write(bytes);
      await conn.drained();
    });
    const { port } = backend;
    const node = `127.0.0.1:${port}`;
    const place = { host: "127.0.0.1", port, node, user: "u", password: "", database: "d" };
    const { status, error } = await client.send(
      { ...place, tls: false },
      "select 1",
      [],
      AbortSignal.timeout(20_000),
    );
    assert.equal(status, 2);
    assert.match(error!.message, why);
  }
});
