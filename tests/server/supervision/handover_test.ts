import assert from "node:assert/strict";
import { Handover } from "../../../src/server/supervision/handover.ts";
import {
  listeningSockets,
  ownDescriptors,
  parseListening,
} from "../../../src/server/supervision/listening_sockets.ts";
import { SocketChoice } from "../../../src/server/supervision/socket_choice.ts";
import { listLog } from "../../_support/list_log.ts";
import { RawClient, startTestFront } from "../../_support/fronts.ts";

const CONNECTIONS = 40;
/** After this nobody is going to accept a connection, in milliseconds. */
const LIMIT_MS = 5000;
const LINUX = Deno.build.os === "linux";

/** Listens on a shared port and counts what it gets. */
class Counter implements AsyncDisposable {
  readonly port: number;
  count = 0;
  #listener: Deno.TcpListener;
  #over: Promise<void>;

  constructor(port = 0) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port, reusePort: true });
    this.port = this.#listener.addr.port;
    this.#over = this.#accept();
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.count++;
      connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#over;
  }
}

/** Opens connections, each of which somebody has to accept and close. */
async function knock(port: number, times = CONNECTIONS): Promise<void> {
  for (let i = 0; i < times; i++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    let isAnswered = false;
    const timer = setTimeout(() => connection.close(), LIMIT_MS);
    try {
      isAnswered = await connection.read(new Uint8Array(1)) === null;
    } finally {
      clearTimeout(timer);
      if (isAnswered) connection.close();
    }
  }
}

Deno.test("HTTP-39 the system's table tells which sockets listen", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1388 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 4711 1 0 0",
    "   1: 0100007F:1389 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 0",
    "   2: 0100007F:1388 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 0",
    "",
  ].join("\n");
  assert.deepEqual(parseListening(table, ["1388"]), [{ place: "0100007F:1388", inode: "4711" }]);
  assert.deepEqual(parseListening("", ["1388"]), []);
});

Deno.test({
  name:
    "HTTP-39 one of the sockets that share a port gets all new connections, until they are divided",
  ignore: !LINUX,
  async fn() {
    await using first = new Counter();
    const { port } = first;
    await using second = new Counter(port);
    await using third = new Counter(port);
    const all = [first, second, third];
    const sockets = listeningSockets([port]);
    assert.equal(sockets.length, 3);
    assert.equal(new Set(sockets.map(({ place }) => place)).size, 1);
    const descriptors = [...ownDescriptors(sockets).values()];
    assert.equal(descriptors.length, 3);
    const opened = SocketChoice.open();
    assert.ok(typeof opened !== "string", `${opened}`);
    using choice = opened;
    for (const [position, chosen] of all.entries()) {
      for (const counter of all) counter.count = 0;
      // Whichever socket it is set on, it holds for all that share the port.
      assert.ok(choice.prefer(descriptors[(position + 1) % 3]!, position));
      await knock(port);
      assert.deepEqual(all.map(({ count }) => count), all.map((one) => one === chosen ? 40 : 0));
    }
    choice.divide(descriptors[0]!);
    for (const counter of all) counter.count = 0;
    for (let tries = 0; all.some(({ count }) => count === 0) && tries < 20; tries++) {
      await knock(port);
    }
    assert.ok(all.every(({ count }) => count > 0), `${all.map(({ count }) => count)}`);
    assert.equal(choice.prefer(0, 0), false, "what does not share a port has nothing to choose");
  },
});

Deno.test({
  name: "HTTP-39 one more worker gets what the one it replaces would have got",
  ignore: !LINUX,
  async fn() {
    await using old = new Counter();
    const { port } = old;
    await using other = new Counter(port);
    const log = listLog();
    const handover = new Handover([port], log);
    await using successor = new Counter(port);
    const isOver = handover.toNewest();
    await knock(port);
    assert.deepEqual([old.count, other.count, successor.count], [0, 0, CONNECTIONS]);
    isOver();
    for (let tries = 0; other.count === 0 && tries < 20; tries++) await knock(port);
    assert.ok(other.count > 0);
    assert.deepEqual(log.lines, []);
  },
});

Deno.test({
  name:
    "HTTP-39 ATL-07 a process that takes over gets all connections while the other still listens",
  ignore: !LINUX,
  async fn() {
    const other = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        "--unstable-net",
        `const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, reusePort: true });
const another = Deno.listen({ hostname: "127.0.0.1", port: listener.addr.port, reusePort: true });
console.log(listener.addr.port);
for (const one of [listener, another]) {
  one.accept().then((connection) => {
    console.log("accepted");
    connection.close();
  }).catch(() => {});
}
await Deno.stdin.read(new Uint8Array(1));
listener.close();
another.close();
console.log("closed");
await Deno.stdin.read(new Uint8Array(1));`,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = other.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const input = other.stdin.getWriter();
    try {
      const port = Number((await output.read()).value);
      await using first = new Counter(port);
      await using second = new Counter(port);
      const log = listLog();
      let isOver = false;
      const over = new Handover([port], log).fromOthers().then(() => isOver = true);
      await knock(port);
      assert.deepEqual([first.count, second.count], [CONNECTIONS, 0]);
      assert.equal(isOver, false);
      await input.write(new Uint8Array(1));
      // Its sockets have accepted nothing in between.
      assert.equal((await output.read()).value, "closed\n");
      await over;
      for (let tries = 0; second.count === 0 && tries < 20; tries++) await knock(port);
      assert.ok(second.count > 0, "then each own socket has its share");
      assert.deepEqual(log.lines, []);
    } finally {
      await input.close();
      await output.cancel();
      await other.status;
    }
  },
});

Deno.test("HTTP-39 where nobody else listens there is nothing to hand over", async () => {
  await using counter = new Counter();
  const log = listLog();
  await new Handover([counter.port], log).fromOthers();
  await knock(counter.port, 3);
  assert.deepEqual([counter.count, log.lines], [3, []]);
});

for (const kind of ["fast", "edge"] as const) {
  Deno.test(`HTTP-39 with a successor there, ${kind} answers connections that were opened before it closes`, async () => {
    await using server = await startTestFront(kind, () => new Response("answered\n"));
    using before = await RawClient.connect(server.port);
    const closed = server.front.shutdown(20_000, 2000);
    using after = await RawClient.connect(server.port);
    // Longer than the moment that idle connections get otherwise.
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const client of [before, after]) {
      await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.match(await client.until(/answered\n$/), /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(client.received, /\r\nconnection: close\r\n/i);
    }
    await closed;
    await assert.rejects(RawClient.connect(server.port), Deno.errors.ConnectionRefused);
  });
}
