/**
 * What has to be known about the commands of Redis.
 *
 * @module
 */

import { isPlainObject } from "../../core/plain_object.ts";
import type { RespPart, RespReply } from "../../wire/resp.ts";

/** A command and its values. */
export type RedisCommand = readonly [name: string, ...args: RedisValue[]];

/** What a command takes as a value; lists and records are laid out in turn. */
export type RedisValue =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | readonly RedisValue[]
  | Readonly<Record<string, string | number | bigint | boolean | Uint8Array>>;

/** Commands that only read, and may be sent again when a connection was lost. */
const READS = new Set(
  ("get mget getrange substr strlen exists type ttl pttl expiretime pexpiretime keys scan randomkey " +
    "dbsize hget hmget hgetall hkeys hvals hlen hexists hstrlen hscan hrandfield lrange lindex llen " +
    "lpos smembers sismember smismember scard srandmember sinter sintercard sunion sdiff sscan " +
    "zrange zrangebyscore zrevrange zrevrangebyscore zrangebylex zrevrangebylex zrank zrevrank zscore " +
    "zmscore zcard zcount zlexcount zscan zrandmember zinter zunion zdiff zintercard getbit bitcount " +
    "bitpos pfcount xrange xrevrange xlen xinfo xpending geopos geodist geohash geosearch " +
    "georadius_ro georadiusbymember_ro bitfield_ro sort_ro eval_ro evalsha_ro fcall_ro dump object " +
    "memory ping echo time info lastsave role lolwut").split(" "),
);

/** Commands that wait at the server and would hold up all others on their connection. */
const BLOCKING = new Set(
  ("blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop wait waitaof").split(" "),
);

/** Commands that change the connection, which others share. */
const REFUSED: Readonly<Record<string, string>> = {
  multi: "give the list of commands to multi([...])",
  exec: "give the list of commands to multi([...])",
  discard: "give the list of commands to multi([...])",
  watch: "use a script",
  unwatch: "use a script",
  subscribe: "subscriptions are not requests",
  psubscribe: "subscriptions are not requests",
  ssubscribe: "subscriptions are not requests",
  unsubscribe: "subscriptions are not requests",
  punsubscribe: "subscriptions are not requests",
  sunsubscribe: "subscriptions are not requests",
  monitor: "it never ends",
  sync: "it never ends",
  psync: "it never ends",
  select: "give the number of the database with the server",
  auth: "give user and password with the server",
  hello: "give user and password with the server",
  replconf: "it is not answered",
  quit: "connections are kept by the pool",
  reset: "connections are kept by the pool",
};

/** True for a command that may be sent twice. */
export function readsOnly(command: RedisCommand): boolean {
  return factsOf(command[0]).reads;
}

/** True for a command that waits at the server. */
export function blocks(command: RedisCommand): boolean {
  const name = command[0];
  if (factsOf(name).blocks) return true;
  const lower = name.length > 10 || !/^xread/i.test(name) ? "" : name.toLowerCase();
  return (lower === "xread" || lower === "xreadgroup") &&
    partsOf(command).some((part) => typeof part === "string" && part.toLowerCase() === "block");
}

/** A command as it is sent: lists stand for their members, records for names and values in turn. */
export function partsOf(command: RedisCommand): RespPart[] {
  const parts: RespPart[] = [];
  for (const value of command) append(parts, value);
  return parts;
}

function append(parts: RespPart[], value: RedisValue): void {
  if (typeof value === "string" || value instanceof Uint8Array) parts.push(value);
  else if (Array.isArray(value)) { for (const member of value) append(parts, member); }
  else if (typeof value === "object") {
    for (const [name, member] of Object.entries(value)) {
      parts.push(name);
      append(parts, member);
    }
  } else parts.push(String(value));
}

/** A reply as callers get it: names and values in turn become a record. */
export function readReply([name]: RedisCommand, reply: RespReply): unknown {
  if (!Array.isArray(reply)) return reply;
  if (name.length !== 7 || name.toLowerCase() !== "hgetall") return reply;
  const record: Record<string, RespReply> = {};
  for (let i = 0; i + 1 < reply.length; i += 2) {
    const name = reply[i];
    const field = name instanceof Uint8Array ? new TextDecoder().decode(name) : String(name);
    if (field === "__proto__") {
      Object.defineProperty(record, field, {
        value: reply[i + 1],
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } else record[field] = reply[i + 1]!;
  }
  return record;
}

/** What is known of a name. */
interface CommandFacts {
  /** Why it cannot be sent. */
  readonly problem: string | undefined;
  /** Whether it may be sent twice. */
  readonly reads: boolean;
  /** Whether it waits at the server, whatever its values. */
  readonly blocks: boolean;
}

const facts = new Map<unknown, CommandFacts>();
const MAX_FACTS = 1000;

/** Looks a name up; programs repeat their commands. */
function factsOf(name: unknown): CommandFacts {
  let known = facts.get(name);
  if (known === undefined) {
    known = readFacts(name);
    if (facts.size < MAX_FACTS) facts.set(name, known);
  }
  return known;
}

function readFacts(name: unknown): CommandFacts {
  if (typeof name !== "string" || !/^[A-Za-z][\w.]*$/.test(name)) {
    const problem = `Cannot send ${JSON.stringify(name)}: it is not a command of Redis`;
    return { problem, reads: false, blocks: false };
  }
  const lower = name.toLowerCase();
  const refusal = Object.hasOwn(REFUSED, lower) ? REFUSED[lower] : undefined;
  return {
    problem: refusal && `Cannot send ${name} on a shared connection: ${refusal}`,
    reads: READS.has(lower),
    blocks: BLOCKING.has(lower),
  };
}

/**
 * Checks a command. @throws {TypeError} for one that cannot be sent, and for values that cannot.
 */
export function checkCommand(command: RedisCommand): void {
  const name = command[0];
  const { problem } = factsOf(name);
  if (problem !== undefined) throw new TypeError(problem);
  for (let i = 1; i < command.length; i++) {
    if (typeof command[i] !== "string") checkValue(name, command[i], i);
  }
  if (name.length === 6 && name.toLowerCase() === "client") checkClient(command);
}

/** Without answers those who come next would get each other's. */
function checkClient(command: RedisCommand): void {
  const word = partsOf(command)[1];
  const text = word instanceof Uint8Array ? new TextDecoder().decode(word) : word;
  if (text?.toLowerCase() !== "reply") return;
  throw new TypeError("Cannot send client reply on a shared connection: others need their replies");
}

function checkValue(name: string, value: unknown, which: number): void {
  if (Array.isArray(value)) return value.forEach((member) => checkValue(name, member, which));
  if (isPlainObject(value) && TAKE_RECORDS.has(name.toLowerCase())) {
    for (const [key, member] of Object.entries(value)) {
      if (isScalar(member)) continue;
      throw new TypeError(
        `Cannot send ${name}: ${JSON.stringify(key)} of value ${which} is ${describe(member)}; ` +
          "give text, numbers or bytes",
      );
    }
    return;
  }
  if (isScalar(value)) return;
  throw new TypeError(
    `Cannot send ${name}: value ${which} is ${describe(value)}; give text, numbers or bytes`,
  );
}

/** Commands that take names and values in turn. */
const TAKE_RECORDS = new Set(["hset", "hmset", "mset"]);

function isScalar(value: unknown): boolean {
  switch (typeof value) {
    case "string":
    case "bigint":
    case "boolean":
      return true;
    case "number":
      return !Number.isNaN(value);
    default:
      return value instanceof Uint8Array;
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
