import assert from "node:assert/strict";
import { connect } from "node:http2";
import { Atila, type AtilaWas, type Body } from "../../src/atila/mod.ts";
import { compose } from "../../src/core/handler.ts";
import { compression } from "../../src/middleware/compression.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import { was as wasOfRequest } from "../../src/was/current.ts";
import { ask, eventually, RawClient, startTestFront, type TestFront } from "../_support/fronts.ts";
import { listLog } from "../_support/list_log.ts";

const FRONTS = ["fast", "edge"] as const;
const KIB = 1024;

/** The edge front takes a closed write side for a client that has left after this time, five at most. */
const SOON = { requestTimeoutSeconds: 2 };
const CHUNK = new Uint8Array(64 * KIB).fill(120);

/** What became of one body. */
class Fate {
  produced = 0;
  closed = 0;
}

/** One body of each kind that never ends by itself, or ends after so many pieces. */
const KINDS: Record<string, (fate: Fate, pieces: number, failAt?: number) => Body> = {
  generator: function (fate, pieces, failAt) {
    return (function* () {
      try {
        for (let i = 0; i < pieces; i++) {
          if (i === failAt) throw new Error("on purpose");
          fate.produced++;
          yield CHUNK;
        }
      } finally {
        fate.closed++;
      }
    })();
  },
  asyncGenerator: (fate, pieces, failAt) =>
    (async function* () {
      try {
        for (let i = 0; i < pieces; i++) {
          if (i === failAt) throw new Error("on purpose");
          await Promise.resolve();
          fate.produced++;
          yield CHUNK;
        }
      } finally {
        fate.closed++;
      }
    })(),
  producer: (fate, pieces, failAt) => ({
    more() {
      if (fate.produced === failAt) throw new Error("on purpose");
      return fate.produced === pieces ? null : (fate.produced++, CHUNK);
    },
    close: () => void fate.closed++,
  }),
  liveProducer: (fate, pieces, failAt) => {
    let asked = 0;
    return {
      ready: () => asked++ % 3 === 0 ? false : asked % 2 === 0 || Promise.resolve(true),
      more() {
        if (fate.produced === failAt) throw new Error("on purpose");
        return Promise.resolve(fate.produced === pieces ? "" : (fate.produced++, CHUNK));
      },
      close: () => void fate.closed++,
    };
  },
  reader: (fate, pieces, failAt) => ({
    read(size: number) {
      assert.equal(size, 64 * KIB);
      if (fate.produced === failAt) throw new Error("on purpose");
      return fate.produced === pieces ? null : (fate.produced++, CHUNK);
    },
    close: () => Promise.resolve(void fate.closed++),
  }),
  stream: (fate, pieces, failAt) =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (fate.produced === failAt) {
          fate.closed++;
          return controller.error(new Error("on purpose"));
        }
        if (fate.produced === pieces) {
          fate.closed++;
          return controller.close();
        }
        fate.produced++;
        controller.enqueue(CHUNK);
      },
      cancel: () => void fate.closed++,
    }),
  list: (fate, pieces, failAt) => [
    "begin",
    KINDS.asyncGenerator!(fate, pieces, failAt) as AsyncIterable<Uint8Array>,
    new Uint8Array(3),
  ],
};

/** An app whose `/<kind>` sends a body of that kind, behind the layers that touch bodies. */
class Stage implements AsyncDisposable {
  readonly app: Atila;
  readonly fates: Fate[] = [];
  pieces = Infinity;
  failAt: number | undefined;
  readonly #front: TestFront;

  private constructor(app: Atila, front: TestFront) {
    this.app = app;
    this.#front = front;
  }

  static async open(kind: "fast" | "edge", limits = {}): Promise<Stage> {
    const app = new Atila(import.meta.url);
    const handler = compose([compression(), errorGuard({ log: listLog() })], app.handle);
    const stage = new Stage(app, await startTestFront(kind, handler, { limits }));
    stage.app.route("/<kind>", (was, { kind }) => {
      const fate = new Fate();
      stage.fates.push(fate);
      was.response.setHeader("content-type", "application/octet-stream");
      return KINDS[kind]!(fate, stage.pieces, stage.failAt);
    });
    return stage;
  }

  get port(): number {
    return this.#front.port;
  }

  get front(): TestFront["front"] {
    return this.#front.front;
  }

  /** Requests a body and gives its fate once the handler has run. */
  async request(client: RawClient, kind: string, method = "GET"): Promise<Fate> {
    const before = this.fates.length;
    await client.send(`${method} /${kind} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    await eventually(() => this.fates.length > before, "the handler to run");
    return this.fates[before]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#front[Symbol.asyncDispose]();
  }
}

/** Waits until a number has not changed for a while, and gives it. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  for (let i = 0; i < 100; i++) {
    const value = read();
    if (value === last) return value;
    last = value;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  return last;
}

for (const front of FRONTS) {
  Deno.test(`RSP-10 RSP-08 RSP-09 ${front} a client that does not read holds the producer`, async () => {
    await using stage = await Stage.open(front);
    const started: [string, RawClient, Fate][] = [];
    for (const kind of Object.keys(KINDS)) {
      const client = await RawClient.connect(stage.port, { reads: false });
      started.push([kind, client, await stage.request(client, kind)]);
    }
    try {
      await Promise.all(started.map(async ([kind, client, fate]) => {
        const held = await settled(() => fate.produced);
        // What the sockets hold on loopback, and not a chunk for each pull that could have been.
        assert.ok(held * 64 * KIB < 12 * KIB * KIB, `${kind}: ${held} chunks`);
        const buffer = new Uint8Array(256 * KIB);
        for (let taken = 0; taken < 16 * KIB * KIB;) {
          const size = await client.take(buffer);
          assert.ok(size, `${kind}: ended early`);
          taken += size;
        }
        assert.ok(fate.produced > held, kind);
        assert.equal(fate.closed, 0, kind);
        client.close();
        await eventually(() => fate.closed === 1, `${kind} to be closed`);
        const end = fate.produced;
        assert.equal(await settled(() => fate.produced), end, kind);
        assert.equal(fate.closed, 1, kind);
      }));
    } finally {
      for (const [, client] of started) client.close();
    }
  });

  Deno.test(`RSP-10 RSP-08 RSP-09 ${front} close runs exactly once: at the end, after an error, on HEAD`, async () => {
    await using stage = await Stage.open(front);
    for (const kind of Object.keys(KINDS)) {
      const extra = kind === "list" ? 8 : 0;
      stage.pieces = 3;
      stage.failAt = undefined;
      let client = await RawClient.connect(stage.port);
      let fate = await stage.request(client, kind);
      const answer = await client.end();
      assert.match(answer, /^HTTP\/1\.1 200 /, kind);
      assert.equal(answer.split("x").length - 1, 3 * 64 * KIB, kind);
      if (extra > 0) assert.ok(answer.includes("begin"));
      assert.ok(answer.endsWith("0\r\n\r\n"), kind);
      client.close();
      await eventually(() => fate.closed === 1, `${kind} to be closed at the end`);

      stage.failAt = 2;
      client = await RawClient.connect(stage.port);
      fate = await stage.request(client, kind);
      const cut = await client.end();
      // Half an answer must not pass for a whole one.
      assert.ok(!cut.endsWith("0\r\n\r\n"), kind);
      client.close();
      await eventually(() => fate.closed === 1, `${kind} to be closed after an error`);

      stage.failAt = undefined;
      stage.pieces = Infinity;
      client = await RawClient.connect(stage.port);
      fate = await stage.request(client, kind, "HEAD");
      assert.match(await client.end(), /^HTTP\/1\.1 200 [^]*\r\n\r\n$/, kind);
      client.close();
      if (kind.endsWith("enerator") || kind === "list") {
        // A generator that never began has nothing to finish, and must not begin for HEAD.
        assert.equal(fate.produced, 0, kind);
      } else {
        await eventually(() => fate.closed === 1, `${kind} to be closed on HEAD`);
      }
    }
    for (const fate of stage.fates) assert.ok(fate.closed <= 1);
  });

  Deno.test(`RSP-10 ${front} close runs exactly once when the server stops`, async () => {
    await using stage = await Stage.open(front);
    const clients: RawClient[] = [];
    try {
      for (const kind of Object.keys(KINDS)) {
        const client = await RawClient.connect(stage.port, { reads: false });
        clients.push(client);
        const fate = await stage.request(client, kind);
        await eventually(() => fate.produced > 0, `${kind} to begin`);
      }
      await stage.front.shutdown(50);
      await eventually(
        () => stage.fates.every((fate) => fate.closed === 1),
        "all to be closed",
      );
    } finally {
      for (const client of clients) client.close();
    }
  });

  Deno.test(`RSP-10 ${front} a live producer is sent piece by piece and not compressed`, async () => {
    await using stage = await Stage.open(front, SOON);
    const { app } = stage;
    let next = Promise.withResolvers<string>();
    let closed = 0;
    const pieces: string[] = [];
    app.route("/live/text", () => ({
      async ready() {
        pieces.push(await next.promise);
        next = Promise.withResolvers();
        return true;
      },
      more: () => pieces.shift()!,
      close: () => void closed++,
    }));
    app.route("/live/list", () => ["x".repeat(5000), { ready: () => true, more: () => "" }]);
    app.route("/plain/producer", () => {
      let left = 1;
      return { more: () => left-- > 0 ? "x".repeat(5000) : "" };
    });
    const head = "Host: a\r\nAccept-Encoding: gzip\r\n\r\n";
    using client = await RawClient.connect(stage.port);
    await client.send(`GET /live/text HTTP/1.1\r\n${head}`);
    for (const text of ["first", "second", "third"]) {
      next.resolve(text);
      // Each piece is seen before the next one is made.
      await client.until(new RegExp(text));
    }
    assert.doesNotMatch(client.received, /content-encoding/i);
    // The client leaves while the producer waits.
    client.close();
    await eventually(() => closed === 1, "the producer to be closed");
    next.resolve("never seen");

    const live = await ask(stage.port, `GET /live/list HTTP/1.1\r\nConnection: close\r\n${head}`);
    assert.doesNotMatch(live, /content-encoding/i);
    const plain = await ask(
      stage.port,
      `GET /plain/producer HTTP/1.1\r\nConnection: close\r\n${head}`,
    );
    assert.match(plain, /content-encoding: gzip/i);
  });

  Deno.test(`RSP-10 ${front} a producer that is not ready is asked again, and no more once its client left`, async () => {
    await using stage = await Stage.open(front, SOON);
    let asked = 0;
    let made = 0;
    let closed = 0;
    stage.app.route("/wait/twice", () => ({
      ready: () => ++asked > 3,
      more: () => made++ === 0 ? "ready" : "",
      close: () => void closed++,
    }));
    stage.app.route("/wait/never", () => ({
      ready: () => (asked++, false),
      more: () => assert.fail("was not ready"),
      close: () => void closed++,
    }));
    const answer = await ask(
      stage.port,
      "GET /wait/twice HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert.match(answer, /ready/);
    assert.ok(asked >= 5);
    await eventually(() => closed === 1, "the first to be closed");

    asked = 0;
    using client = await RawClient.connect(stage.port);
    await client.send("GET /wait/never HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => asked > 2, "the second to be asked");
    client.close();
    await eventually(() => closed === 2, "the second to be closed");
    const last = await settled(() => asked);
    assert.equal(await settled(() => asked), last);
  });
}

Deno.test("RSP-10 fast over HTTP/2 a stream that is reset closes its producer", async () => {
  await using stage = await Stage.open("fast");
  const session = connect(`http://127.0.0.1:${stage.port}`);
  try {
    for (const kind of Object.keys(KINDS)) {
      const before = stage.fates.length;
      const stream = session.request({ ":path": `/${kind}` });
      await new Promise((resolve) => stream.once("data", resolve));
      stream.pause();
      const fate = stage.fates[before]!;
      const held = await settled(() => fate.produced);
      assert.ok(held * 64 * KIB < 12 * KIB * KIB, `${kind}: ${held}`);
      stream.close(8);
      await eventually(() => fate.closed === 1, `${kind} to be closed`);
    }
  } finally {
    await new Promise<void>((resolve) => session.close(resolve));
  }
});

Deno.test("RSP-08 RSP-09 RSP-10 a body that is not sent is closed: no content, a hook, a bad list", async () => {
  const app = new Atila(import.meta.url);
  const client = app.makeClient();
  const fate = new Fate();
  const body = () => KINDS.producer!(fate, Infinity);
  app.route("/204", (was) => was.response("204 No Content", body() as never));
  app.route("/set", (was) => {
    was.response.setStatus("304 Not Modified");
    return body();
  });
  app.route("/list", () => [body() as never, 5 as never, body() as never]);
  app.route("/file", () => {
    const file = Deno.openSync(import.meta.filename!);
    return [file, {} as never];
  });
  assert.equal((await client.get("/204")).statusCode, 204);
  assert.equal((await client.get("/set")).statusCode, 304);
  await eventually(() => fate.closed === 2, "both to be closed");
  assert.equal((await client.get("/list")).statusCode, 500);
  await eventually(() => fate.closed === 3, "the part before the mistake to be closed");
  // The sanitizer of the test sees a file that stays open.
  assert.equal((await client.get("/file")).statusCode, 500);

  app.route("/hook", (was) => was.response("200 OK", body() as never));
  app.route("/response", () =>
    new Response(
      new ReadableStream({
        cancel: () => void fate.closed++,
      }),
    ));
  app.finishRequest(() => {
    throw new Error("a hook");
  });
  assert.equal((await client.get("/hook")).statusCode, 500);
  await eventually(() => fate.closed === 4, "the body to be closed");
  assert.equal((await client.get("/response")).statusCode, 500);
  await eventually(() => fate.closed === 5, "the body of the response to be closed");
  assert.equal(fate.produced, 0);
});

Deno.test("RSP-09 a generator that waits for its own close is not waited for in vain", async () => {
  const app = new Atila(import.meta.url);
  const gate = Promise.withResolvers<void>();
  let finished = 0;
  let closed = 0;
  app.route("/", () =>
    Object.assign(
      (async function* () {
        try {
          yield "first";
          await gate.promise;
          yield "second";
        } finally {
          finished++;
        }
      })(),
      {
        close() {
          closed++;
          gate.resolve();
        },
      },
    ));
  const response = await app.makeClient().fetch("GET", "/");
  const reader = response.body!.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
  const pending = reader.read();
  await reader.cancel();
  assert.equal((await pending).done, true);
  assert.deepEqual([finished, closed], [1, 1]);
});

Deno.test("RSP-09 RSP-10 a body that is made later still belongs to its request", async () => {
  const app = new Atila(import.meta.url);
  const paths: unknown[] = [];
  const path = () => (wasOfRequest as unknown as AtilaWas).request.path;
  app.route("/generator/<n>", async () => {
    await Promise.resolve();
    return (async function* () {
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield `${path()} `;
      }
      paths.push(path());
    })();
  });
  app.route("/producer/<n>", () => {
    let left = 2;
    return {
      more: () => left-- > 0 ? `${path()} ` : "",
      close: () => paths.push(path()),
    };
  });
  await using server = await startTestFront("fast", app.handle);
  const texts = await Promise.all(
    ["generator/1", "generator/2", "producer/3", "producer/4"].map(async (target) =>
      await (await fetch(`${server.url}/${target}`)).text()
    ),
  );
  assert.deepEqual(texts, [
    "/generator/1 ".repeat(3),
    "/generator/2 ".repeat(3),
    "/producer/3 ".repeat(2),
    "/producer/4 ".repeat(2),
  ]);
  assert.deepEqual(paths.sort(), ["/generator/1", "/generator/2", "/producer/3", "/producer/4"]);
});
