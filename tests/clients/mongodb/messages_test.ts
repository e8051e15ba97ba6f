import { deepEqual, equal, match } from "node:assert/strict";
import { BSON } from "mongodb";
import type { DatabaseTarget } from "../../../src/clients/database.ts";
import { MongodbClient } from "../../../src/clients/mongodb/client.ts";
import { ServerMessages } from "../../../src/clients/mongodb/messages.ts";
import { mongoOperation } from "../../../src/clients/mongodb/operations.ts";
import { rawBackend, type RawConnection } from "../../_support/raw_backend.ts";

const MESSAGE = 2013;
const REPLY = 1;

/** A message of a server; in the older form when that is the kind. */
function message(document: object, answers: number, kind = MESSAGE): Uint8Array<ArrayBuffer> {
  const bytes = BSON.serialize(document);
  const before = kind === REPLY ? 36 : 21;
  const whole = new Uint8Array(before + bytes.length);
  const view = new DataView(whole.buffer);
  view.setInt32(0, whole.length, true);
  view.setInt32(4, 7, true);
  view.setInt32(8, answers, true);
  view.setInt32(12, kind, true);
  if (kind === REPLY) view.setInt32(32, 1, true);
  whole.set(bytes, before);
  return whole;
}

function changed(bytes: Uint8Array<ArrayBuffer>, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setInt32(at, value, true);
  return copy;
}

function problemOf(...chunks: Uint8Array[]): string | undefined {
  const messages = new ServerMessages();
  for (const chunk of chunks) {
    const problem = messages.push(chunk);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

Deno.test("DB-03 what MongoDB servers send is let through, in pieces of any size", () => {
  const long = { text: "x".repeat(100_000) };
  const all = [
    message({ ok: 1 }, 2 ** 31 - 2, REPLY),
    message({}, 2 ** 31 - 1),
    message(long, 0),
    message({ ok: 1 }, 5),
  ];
  const bytes = new Uint8Array(all.flatMap((one) => [...one]));
  for (const size of [1, 3, 16, 1000, bytes.length]) {
    const messages = new ServerMessages();
    for (let at = 0; at < bytes.length; at += size) {
      equal(messages.push(bytes.subarray(at, at + size)), undefined);
    }
  }
});

Deno.test("DB-03 what the driver would read for ever, or take for another answer, is found", () => {
  const good = message({ ok: 1 }, 5);
  const reply = message({ ok: 1 }, 5, REPLY);
  for (const length of [0, -1, 15, 25, 48_000_001, 2 ** 31 - 1]) {
    equal(problemOf(changed(good, 0, length)), `it has a message of ${length} bytes`);
    // the driver does not wait for more than that
    const start = changed(good, 0, length).subarray(0, 4);
    equal(problemOf(good, start), `it has a message of ${length} bytes`);
  }
  match(problemOf(changed(good, 12, 2012))!, /of kind 2012/);
  match(problemOf(changed(reply, 0, 40))!, /a reply of 40 bytes/);
  for (const count of [-1, 0, 2, 2 ** 31 - 1]) {
    match(problemOf(changed(reply, 32, count))!, /not one document/);
  }
  for (const length of [0, -1, -5, 16, 18]) {
    match(problemOf(changed(good, 21, length))!, /another length/);
    match(problemOf(changed(reply, 36, length))!, /another length/);
  }
  good[20] = 1;
  match(problemOf(good)!, /no document/);
  match(problemOf(message({}, 5), message({}, 5))!, /answered before/);
  match(problemOf(message({}, 5), message({}, 4))!, /answered before/);
});

/** Id of a request, `undefined` when there is none any more, and the operation it asks for. */
async function requestOf(conn: RawConnection) {
  const head = await conn.read(16);
  if (head.length < 16) return undefined;
  const view = new DataView(head.buffer);
  const rest = await conn.read(view.getInt32(0, true) - 16);
  const kind = view.getInt32(12, true);
  const name = kind === MESSAGE ? Object.keys(BSON.deserialize(rest.subarray(5)))[0]! : "ismaster";
  return { id: view.getInt32(4, true), kind: kind === MESSAGE ? MESSAGE : REPLY, name };
}

Deno.test("DB-03 DB-12 a MongoDB server that sends garbage fails what was asked, nothing else", async () => {
  const hello = { ismaster: true, minWireVersion: 0, maxWireVersion: 25, ok: 1 };
  let answer = (id: number) => [message({ n: 1, ok: 1 }, id)];
  await using backend = rawBackend(async (conn) => {
    for (let asked = await requestOf(conn); asked; asked = await requestOf(conn)) {
      const { id, kind, name } = asked;
      if (name === "count") { for (const part of answer(id)) await conn.write(part); }
      else await conn.write(message(name === "ping" ? { ok: 1 } : hello, id, kind));
    }
  });
  const { port } = backend;
  const target: DatabaseTarget = {
    ...{ host: "127.0.0.1", port, node: `127.0.0.1:${port}`, user: undefined, password: "" },
    ...{ database: "d", tls: false, maxConnections: 1 },
  };
  await using client = new MongodbClient();
  const ask = () =>
    client.send(
      target,
      mongoOperation("command", [{ count: "c" }]),
      AbortSignal.timeout(20_000),
    );
  deepEqual((await ask()).data, { n: 1, ok: 1 });
  for (const length of [0, -1]) {
    answer = (id) => [changed(message({ n: 1, ok: 1 }, id), 21, length) as Uint8Array<ArrayBuffer>];
    const { status, error } = await ask();
    equal(status, 2);
    match(error!.message, /The answer is not one of MongoDB: it has a document of another length/);
  }
  answer = () => [new Uint8Array(4)];
  match((await ask()).error!.message, /it has a message of 0 bytes/);
  let n = 1;
  answer = (id) => [message({ n: n++, ok: 1 }, id)];
  deepEqual((await ask()).data, { n: 1, ok: 1 });
  deepEqual((await ask()).data, { n: 2, ok: 1 });
});
