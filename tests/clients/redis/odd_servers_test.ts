import { deepEqual, equal, match, ok } from "node:assert/strict";
import { ASK_AFTER_MS, type DatabaseTarget } from "../../../src/clients/database.ts";
import type { Outcome } from "../../../src/clients/contract.ts";
import { RedisClient } from "../../../src/clients/redis/client.ts";
import type { RedisCommand } from "../../../src/clients/redis/commands.ts";
import { Stop } from "../../../src/core/stop.ts";
import { RespParser } from "../../../src/wire/resp.ts";
import { block, until } from "../../_support/raw_backend.ts";
import { type ScriptedCommand, scriptedRedis } from "../../_support/scripted_redis.ts";

function bench(answer: (command: ScriptedCommand) => Promise<void> | void) {
  const server = scriptedRedis(answer);
  const client = new RedisClient();
  const target: DatabaseTarget = {
    ...{ host: "127.0.0.1", port: server.port, node: `127.0.0.1:${server.port}` },
    ...{ user: undefined, password: "", database: "", tls: false },
  };
  const long = () => AbortSignal.timeout(20_000);
  return {
    server,
    client,
    target,
    ask: (...command: RedisCommand) => client.send(target, command, long()),
    askUntil: (signal: Stop | AbortSignal, ...command: RedisCommand) =>
      client.send(target, command, signal),
    multi: (...commands: RedisCommand[]) => client.transaction(target, commands, long()),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      deepEqual(client.stats(), { open: 0, busy: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
}

const bulk = (text: string) => `$${new TextEncoder().encode(text).length}\r\n${text}\r\n`;
const brief = ({ status, data, error }: Outcome) => status === 3 ? data : `${error}`;

Deno.test("DB-05 what nobody asked for ends the connection, and is nobody's answer", async () => {
  await using under = bench(async ({ parts, send }) => {
    if (parts[1] === "twice") await send("+first\r\n+second\r\n");
    else await send(bulk(parts[1]!));
  });
  const { ask, client, server } = under;
  equal((await ask("get", "twice")).data, "first");
  await until("the connection is given up", () => client.stats().open === 0);
  deepEqual((await Promise.all([ask("get", "a"), ask("get", "b")])).map(brief), ["a", "b"]);
  equal(server.accepted, 2);
});

Deno.test("DB-05 an answer that comes before its command is sent is nobody's", async () => {
  let say: ((text: string) => Promise<void>) | undefined;
  await using under = bench(async ({ parts, send }) => {
    say = send;
    await send(bulk(parts[1]!));
  });
  const { ask, client, server } = under;
  for (let i = 0; i < 20; i++) {
    await ask("get", "a");
    // it may arrive before, while or after the next is asked
    void say!("-ERR too many of you\r\n");
    for (let turns = i % 5; turns > 0; turns--) await new Promise((go) => setTimeout(go));
    const [one, two] = await Promise.all([ask("get", "b"), ask("get", "c")]);
    ok(["b", "ReplyError: ERR too many of you"].includes(brief(one) as string), `${brief(one)}`);
    if (brief(one) === "b") equal(brief(two), "c");
    // it came after they were sent; with the answer that is one too many it shows
    else await until("the connection is given up", () => client.stats().open === 0);
    equal((await ask("get", "d")).data, "d");
  }
  ok(server.accepted > 1);
});

Deno.test("DB-05 DB-12 half an answer, then the end: a read is sent again, a write is not", async () => {
  await using under = bench(async ({ parts, connection, send, close }) => {
    if (parts[1] === "broken" && connection % 2 === 1) {
      await send("$100\r\nonly the beg");
      close();
    } else await send(bulk(parts[1]!));
  });
  const { ask, server } = under;
  equal(brief(await ask("get", "a")), "a");
  const all = await Promise.all([ask("get", "broken"), ask("get", "b")]);
  deepEqual(all.map(brief), ["broken", "b"]);
  equal(server.accepted, 2);
  // the second connection is fine; have a third, on which a write breaks
  await under.client[Symbol.asyncDispose]();
  await using again = bench(async ({ parts, connection, send, close }) => {
    if (parts[0] !== "incr" || connection > 1) return await send(bulk(parts[1]!));
    await send("*2\r\n:1");
    close();
  });
  await again.ask("get", "a");
  const [written, read] = await Promise.all([again.ask("incr", "n"), again.ask("get", "b")]);
  match(brief(written) as string, /lost before the answer/);
  equal(written.undelivered, false);
  equal(brief(read), "b");
  equal(again.server.commands.filter((command) => command === "incr n").length, 1);
});

Deno.test("DB-05 nothing overtakes a write that waits until the server is known to be there", async () => {
  await using under = bench(({ parts, send }) => send(bulk(parts[1]!)));
  const { ask, server } = under;
  await ask("get", "first");
  for (let i = 0; i < 10; i++) {
    const before = server.commands.length;
    block(10);
    const asked = [ask("set", "1", i), ask("get", "2"), ask("set", "3", i)];
    // while the server is asked, and when it has answered
    for (let n = 4; n < 40; n++) {
      await Promise.resolve();
      asked.push(n % 2 ? ask("get", `${n}`) : ask("set", `${n}`, i));
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
    asked.push(ask("get", "40"));
    const all = Array.from({ length: 40 }, (_, n) => `${n + 1}`);
    deepEqual((await Promise.all(asked)).map(brief), all);
    deepEqual(server.commands.slice(before).map((command) => command.split(" ")[1]), all);
  }
  equal(server.accepted, 1);
});

Deno.test("DB-05 RES-17 an answer that comes after its caller has given up is dropped", async () => {
  const held: ScriptedCommand[] = [];
  let isHolding = false;
  await using under = bench(async (command) => {
    if (isHolding) held.push(command);
    else await command.send(bulk(command.parts[1]!));
  });
  const { ask, askUntil, server } = under;
  await ask("get", "a");
  isHolding = true;
  const stop = new Stop();
  const others = [ask("get", "b"), ask("get", "d")];
  const gone = askUntil(stop, "get", "c");
  const last = ask("get", "e");
  await until("all are there", () => held.length === 4);
  // the server is alive
  await held[0]!.send(bulk(held[0]!.parts[1]!));
  equal(brief(await others[0]!), "b");
  stop.abort(new Error("enough"));
  const outcome = await gone;
  deepEqual([outcome.status, brief(outcome)], [1, "Error: enough"]);
  for (const command of held.slice(1)) await command.send(bulk(command.parts[1]!));
  deepEqual([brief(await others[1]!), brief(await last)], ["d", "e"]);
  isHolding = false;
  equal(brief(await ask("get", "f")), "f");
  equal(server.accepted, 1, "it is still the same connection");
});

Deno.test("DB-05 RES-17 a server that answers nothing any more is left by those who come later", async () => {
  await using under = bench(async ({ parts, connection, send }) => {
    if (connection > 1 || parts[1] === "a") await send(bulk(parts[1]!));
  });
  const { ask, askUntil, client, server } = under;
  await ask("get", "a");
  const [one, two] = [new Stop(), new Stop()];
  const waiting = [askUntil(one, "get", "b"), askUntil(two, "incr", "c")];
  await until("both are there", () => server.commands.length === 3);
  one.abort(new Error("enough"));
  equal((await waiting[0]!).status, 1);
  equal(brief(await ask("get", "d")), "d");
  equal(server.accepted, 2);
  two.abort(new Error("enough"));
  equal((await waiting[1]!).status, 1);
  await until("nobody waits on it", () => client.stats().open === 1);
  equal(server.commands.filter((command) => command === "incr c").length, 1);
});

Deno.test("DB-05 a caller who has given up before does not ask", async () => {
  await using under = bench(async ({ parts, send }) => await send(bulk(parts[1]!)));
  const stop = new Stop();
  stop.abort(new Error("enough"));
  equal((await under.askUntil(stop, "get", "a")).status, 1);
  await under.ask("get", "b");
  equal((await under.askUntil(stop, "get", "c")).status, 1);
  equal((await under.askUntil(stop, "blpop", "d", 1)).status, 1);
  deepEqual(under.server.commands, ["get b"]);
});

Deno.test("DB-05 errors in a transaction belong to it, and to nobody after it", async () => {
  const replies: Record<string, string> = {
    multi: "+OK\r\n",
    exec: "*3\r\n+OK\r\n-ERR not a number\r\n*1\r\n$1\r\nz\r\n",
    nonsense: "-ERR unknown command\r\n",
    discarded: "+QUEUED\r\n",
  };
  let exec = replies.exec!;
  await using under = bench(async ({ parts, send }) => {
    const name = parts[0]!;
    await send(
      name === "exec" ? exec : name === "get" ? bulk(parts[1]!) : replies[name] ?? "+QUEUED\r\n",
    );
  });
  const { multi, ask, server } = under;
  const three = [["set", "a", "x"], ["incr", "a"], ["lrange", "b", 0, 0]] as RedisCommand[];
  const both = await Promise.all([multi(...three), ask("get", "after")]);
  match(brief(both[0]) as string, /Command 2 of 3 \(incr\) failed: ERR not a number/);
  equal(brief(both[1]), "after");
  exec = "*3\r\n+OK\r\n:2\r\n*1\r\n$1\r\nz\r\n";
  deepEqual((await multi(...three)).data, ["OK", 2, ["z"]]);
  exec = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  const aborted = await Promise.all([multi(["nonsense"], ["incr", "a"]), ask("get", "next")]);
  match(brief(aborted[0]) as string, /EXECABORT/);
  match(`${aborted[0].error!.cause}`, /unknown command/);
  equal(brief(aborted[1]), "next");
  exec = "*-1\r\n";
  match(brief(await multi(["incr", "a"])) as string, /given up by the server/);
  exec = "+OK\r\n";
  equal((await multi(["incr", "a"])).status, 2, "an answer that is no list");
  for (exec of ["*1\r\n:1\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "*0\r\n"]) {
    match(brief(await multi(["incr", "a"], ["incr", "a"])) as string, /not the 2 replies/);
  }
  equal(brief(await ask("get", "end")), "end");
  equal(server.accepted, 1);
});

Deno.test("DB-05 RES-17 one who gives up in a transaction leaves its answers to nobody", async () => {
  const held: (() => Promise<void>)[] = [];
  await using under = bench(({ parts, send }) => {
    const name = parts[0]!;
    const reply = name === "exec" ? "*1\r\n:1\r\n" : name === "get" ? bulk(parts[1]!) : "+OK\r\n";
    held.push(() => send(reply));
  });
  const { client, target, ask } = under;
  const stop = new Stop();
  const first = ask("get", "first");
  await until("the first is there", () => held.length === 1);
  const given = client.transaction(target, [["incr", "a"]], stop);
  const last = ask("get", "last");
  await until("all are there", () => held.length === 5);
  await held[0]!();
  equal(brief(await first), "first");
  await held[1]!();
  await held[2]!();
  stop.abort(new Error("enough"));
  equal((await given).status, 1);
  await held[3]!();
  await held[4]!();
  equal(brief(await last), "last");
});

Deno.test("DB-05 a very large value in small chunks comes whole, and those behind it after it", async () => {
  const value = "0123456789abcdef".repeat(100_000);
  await using under = bench(async ({ parts, send }) => {
    if (parts[1] !== "large") return await send(bulk(parts[1]!));
    const bytes = new TextEncoder().encode(bulk(value));
    for (let at = 0; at < bytes.length; at += 4099) await send(bytes.subarray(at, at + 4099));
  });
  const { ask } = under;
  const [large, small, again] = await Promise.all([
    ask("get", "large"),
    ask("get", "small"),
    ask("get", "large"),
  ]);
  ok(large.data === value && again.data === value);
  equal(small.data, "small");
});

Deno.test("DB-05 what is no protocol ends all that is under way, with the reason", async () => {
  await using under = bench(async ({ parts, connection, send }) => {
    await send(connection === 1 ? "HTTP/1.1 400 Bad Request\r\n" : bulk(parts[1]!));
  });
  const { ask, server } = under;
  const all = await Promise.all([ask("incr", "a"), ask("set", "b", 1)]);
  for (const outcome of all) {
    equal(outcome.undelivered, false);
    match(brief(outcome) as string, /not one of Redis: it begins with no type/);
  }
  deepEqual(server.commands.slice(0, 1), ["incr a"]);
  equal(brief(await ask("get", "c")), "c");
});

Deno.test("DB-05 commands that are not answered, or hold up others, do not get on the shared connection", async () => {
  await using under = bench(async ({ parts, send }) => {
    if (parts.includes("block")) return;
    await send(bulk(parts[1]!));
  });
  const { ask, askUntil, multi, server } = under;
  for (
    const command of [
      ["client", "reply", "off"],
      ["CLIENT", "Reply", "skip"],
      ["client", ["reply", "skip"]],
      ["client", new TextEncoder().encode("REPLY"), "off"],
      ["replconf", "ack", 0],
    ] as RedisCommand[]
  ) {
    match(brief(await ask(...command)) as string, /TypeError: Cannot send .* shared connection/);
    match(brief(await multi(command)) as string, /TypeError: Cannot send .* shared connection/);
  }
  deepEqual(server.commands, []);
  const stop = new Stop();
  const blocked = askUntil(stop, "xread", ["block", 0, "streams", "s", "$"]);
  await until("it waits", () => server.commands.length === 1);
  equal(brief(await ask("client", "id")), "id");
  equal(server.accepted, 2);
  stop.abort(new Error("enough"));
  equal((await blocked).status, 1);
});

Deno.test("DB-05 the members of a record are one value each, or it would be laid out wrong", async () => {
  await using under = bench(({ parts, send }) => send(bulk(parts.slice(1).join(" "))));
  const { ask, server } = under;
  equal(
    brief(await ask("HSET", "h", { a: 1, b: true, c: new Uint8Array([65]) })),
    "h a 1 b true c A",
  );
  for (const member of [{ b: 1 }, [1, 2, 3], null, new Date(0)] as never[]) {
    match(
      brief(await ask("hset", "h", { x: member, y: { c: 2 } as never })) as string,
      /Cannot send hset: "x" of value 2 is (an object|a list|null)/,
    );
  }
  equal(server.commands.length, 1);
});

Deno.test("DB-05 bytes may be used for something else as soon as the call is back", async () => {
  const kept = new Map<string, string>();
  await using under = bench(async ({ parts, send }) => {
    if (parts[0] === "set") kept.set(parts[1]!, parts[2]!);
    await send(parts[0] === "get" ? bulk(kept.get(parts[1]!)!) : "+OK\r\n");
  });
  const { ask, multi } = under;
  // a connection has to be opened first; it is there; its server is asked whether it is
  for (const before of [() => {}, () => {}, () => block(ASK_AFTER_MS + 5)]) {
    before();
    const moved = new TextEncoder().encode("moved");
    const changed = new TextEncoder().encode("right");
    const all = [
      ask("set", "a", moved),
      ask("set", "b", changed),
      ask("get", "a"),
      ask("get", "b"),
    ];
    const together = multi(["set", "c", changed]);
    const alone = ask("xread", "block", 0, "streams", "s", changed);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    changed.set(new TextEncoder().encode("wrong"));
    deepEqual((await Promise.all(all)).map(brief), ["OK", "OK", "moved", "right"]);
    await Promise.all([together, alone]);
    equal(kept.get("c"), "right");
    equal(under.server.commands.filter((command) => command.includes("wrong")).length, 0);
  }
});

Deno.test("DB-05 a connection that is there when nobody waits for it any more serves the next", async () => {
  const { push } = RespParser.prototype;
  let stop = new Stop();
  let turns = 0;
  // gives up so many microtasks after the greeting
  RespParser.prototype.push = function (chunk, reply): void {
    push.call(this, chunk, reply);
    if (new TextDecoder().decode(chunk) !== "+PONG\r\n") return;
    const wait = (left: number): void => {
      if (left === 0) stop.abort();
      else queueMicrotask(() => wait(left - 1));
    };
    wait(turns);
  };
  try {
    for (turns = 0; turns < 25; turns++) {
      await using under = bench(({ send }) => send("+OK\r\n"));
      const { ask, askUntil, client } = under;
      const first = stop = new Stop();
      await askUntil(first, "get", "a");
      stop = new Stop();
      equal((await ask("get", "b")).status, 3);
      await until("there is no other", () => client.stats().open === 1);
    }
  } finally {
    RespParser.prototype.push = push;
  }
});
