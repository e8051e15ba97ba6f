import assert from "node:assert/strict";
import { RedisLink } from "../../src/store/redis_link.ts";
import { RespParser } from "../../src/wire/resp.ts";
import { rawBackend, type RawConnection, until } from "../_support/raw_backend.ts";

/** A server that keeps the answer to a subscription until it is told to give it. */
function slowRedis() {
  const gate = Promise.withResolvers<void>();
  const commands: RawConnection[] = [];
  const asked = Promise.withResolvers<void>();
  const backend = rawBackend(async (conn) => {
    const parser = new RespParser();
    commands.push(conn);
    for (let bytes = await conn.read(1); bytes.length > 0; bytes = await conn.read(1)) {
      const whole: string[][] = [];
      parser.push(bytes, (reply) => void whole.push(reply as string[]));
      for (const [name, channel] of whole) {
        switch (name!.toLowerCase()) {
          case "info":
            await conn.write("$9\r\nloading:0\r\n");
            break;
          case "subscribe":
            commands.splice(commands.indexOf(conn), 1);
            asked.resolve();
            await gate.promise;
            await conn.write(
              `>3\r\n$9\r\nsubscribe\r\n$${channel!.length}\r\n${channel}\r\n:1\r\n`,
            );
            break;
          default:
            await conn.write("+OK\r\n");
        }
      }
    }
  });
  return Object.assign(backend, {
    /** Connections that have not subscribed. */
    commands,
    answer: gate.resolve,
    /** A subscription has come. */
    asked: asked.promise,
  });
}

/** A link that subscribes; `seen` has for each time it was found whether it could be used. */
async function linkTo(
  port: number,
): Promise<{ link: RedisLink; seen: boolean[]; failed: unknown[] }> {
  const seen: boolean[] = [];
  const failed: unknown[] = [];
  const link: RedisLink = new RedisLink({
    url: `redis://127.0.0.1:${port}`,
    prefix: "t:",
    found: async () => {
      seen.push(await link.run((redis) => redis.get("x")) !== undefined);
    },
    lost: () => {},
    message: () => {},
    failed: (error) => failed.push(error),
  });
  await link.subscribe("events");
  return { link, seen, failed };
}

Deno.test("OPS-22 a link whose other connection is lost while it subscribes is not up before both are there", async () => {
  await using server = slowRedis();
  const { link, seen, failed } = await linkTo(server.port);
  await using _ = link;
  const opened = link.open();
  await server.asked;
  server.commands[0]!.close();
  await opened;
  server.answer();
  await until("it is found", () => seen.length > 0);
  assert.deepEqual([seen, link.isUp, failed], [[true], true, []]);
});

Deno.test("OPS-22 a link that is not answered when it subscribes does so again over another connection", async () => {
  await using server = slowRedis();
  const { link, seen, failed } = await linkTo(server.port);
  await using _ = link;
  let isOpened = false;
  void link.open().then(() => isOpened = true);
  await server.asked;
  await until("it has given up", () => isOpened);
  server.answer();
  await until("it is found", () => seen.length > 0);
  assert.deepEqual([seen, link.isUp, failed], [[true], true, []]);
});
