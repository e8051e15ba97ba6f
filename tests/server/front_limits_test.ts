import assert from "node:assert/strict";
import { ConfigError } from "../../src/core/errors.ts";
import { setFrontLimits } from "../../src/server/front_limits.ts";
import { service } from "../../src/server/service.ts";
import { curl, eventually, RawClient, startTestFront } from "../_support/fronts.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

Deno.test("HTTP-02 setFrontLimits() adds up, and takes nothing that makes no sense", () => {
  const before = service.frontLimits;
  try {
    service.frontLimits = {};
    setFrontLimits({ headerTimeoutSeconds: 2.5, maxConnections: 10 });
    setFrontLimits({ maxConnections: 20, maxConnectionsPerAddress: Infinity });
    setFrontLimits({ minBodyBytesPerSecond: 0 });
    const wanted = {
      headerTimeoutSeconds: 2.5,
      maxConnections: 20,
      maxConnectionsPerAddress: Infinity,
      minBodyBytesPerSecond: 0,
    };
    assert.deepEqual(service.frontLimits, wanted);
    const wrong: [object, typeof RangeError | typeof ConfigError, RegExp][] = [
      [{ headerTimeoutSeconds: 0 }, RangeError, /headerTimeoutSeconds.*from 0\.1 to 3600, got 0/],
      [{ headerTimeoutSeconds: NaN }, RangeError, /got NaN/],
      [{ maxHeaderBytes: 100 }, RangeError, /from 1024 to 1048576, got 100/],
      [{ maxHeaderBytes: 2000.5 }, RangeError, /a whole number/],
      [{ maxHeaderBytes: Infinity }, RangeError, /got Infinity/],
      [{ minBodyBytesPerSecond: -1 }, RangeError, /got -1/],
      [{ maxConnections: 0 }, RangeError, /a whole number from 1, got 0/],
      [{ maxConnections: "10" }, TypeError, /expected a number, got 10/],
      [{ maxConnections: undefined }, TypeError, /expected a number, got undefined/],
      [{ keepAliveSeconds: 3 }, ConfigError, /unknown option "keepAliveSeconds"; known are header/],
    ];
    for (const [limits, type, problem] of wrong) {
      assert.throws(() => setFrontLimits(limits), (error) => {
        assert.ok(error instanceof type, `${error}`);
        assert.match(error.message, problem);
        return true;
      });
    }
    assert.throws(() => setFrontLimits(null as unknown as object), ConfigError);
    assert.deepEqual(service.frontLimits, wanted, "what was refused changed nothing");
  } finally {
    service.frontLimits = before;
  }
});

Deno.test("HTTP-04 edge connections above a limit are refused, and there is room when others go", async () => {
  for (
    const [limits, problem] of [
      [{ maxConnections: 3 }, /refused: connection of 127\.0\.0\.1, 3 connections are open/],
      [
        { maxConnectionsPerAddress: 3 },
        /refused: connection of 127\.0\.0\.1, it has 3 connections/,
      ],
    ] as const
  ) {
    await using server = await startTestFront("edge", () => new Response("ok"), { limits });
    const clients: RawClient[] = [];
    const open = async () => {
      const client = await RawClient.connect(server.port);
      clients.push(client);
      await client.send(GET).catch(() => {});
      return client;
    };
    for (let count = 0; count < 3; count++) await (await open()).until(/ok$/);
    assert.equal(await (await open()).end(), "");
    assert.ok(server.log.lines.some((line) => problem.test(line)));
    clients[0]!.close();
    await eventually(() => server.front.connections() === 2, "one has gone");
    await (await open()).until(/ok$/);
    for (const client of clients) client.close();
  }
});

Deno.test("HTTP-04 edge a client with all the connections it may have leaves room for others", {
  // Elsewhere there is one loopback address.
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using server = await startTestFront("edge", () => new Response("ok"), {
    hostname: "0.0.0.0",
    limits: { maxConnectionsPerAddress: 2 },
  });
  using first = await RawClient.connect(server.port);
  using second = await RawClient.connect(server.port);
  for (const client of [first, second]) {
    await client.send(GET);
    await client.until(/ok$/);
  }
  using third = await RawClient.connect(server.port);
  assert.equal(await third.end(), "");
  const url = `http://127.0.0.1:${server.port}/`;
  assert.equal(await curl("--interface", "127.0.0.2", url), "ok");
  assert.match(await curl(url), /\[exit/);
});
