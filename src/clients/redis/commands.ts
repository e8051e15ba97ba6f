/**
 * What has to be known about the commands of Redis.
 *
 * @module
 */

import { isPlainObject } from "../../core/plain_object.ts";

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
  | Readonly<Record<string, string | number | bigint | Uint8Array>>;

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
  quit: "connections are kept by the pool",
  reset: "connections are kept by the pool",
};

/** True for a command that may be sent twice. */
export function readsOnly([name]: RedisCommand): boolean {
  return READS.has(name.toLowerCase());
}

/** True for a command that waits at the server. */
export function blocks([name, ...args]: RedisCommand): boolean {
  const lower = name.toLowerCase();
  return BLOCKING.has(lower) ||
    (lower === "xread" || lower === "xreadgroup") &&
      args.some((arg) => typeof arg === "string" && arg.toLowerCase() === "block");
}

/**
 * Checks a command. @throws {TypeError} for one that cannot be sent, and for values that cannot.
 */
export function checkCommand(command: RedisCommand): void {
  const [name, ...args] = command;
  if (typeof name !== "string" || !/^[A-Za-z][\w.]*$/.test(name)) {
    throw new TypeError(`Cannot send ${JSON.stringify(name)}: it is not a command of Redis`);
  }
  const lower = name.toLowerCase();
  if (Object.hasOwn(REFUSED, lower)) {
    throw new TypeError(`Cannot send ${name} on a shared connection: ${REFUSED[lower]}`);
  }
  args.forEach((arg, i) => checkValue(name, arg, i + 1));
}

function checkValue(name: string, value: unknown, which: number): void {
  if (Array.isArray(value)) return value.forEach((member) => checkValue(name, member, which));
  switch (typeof value) {
    case "string":
    case "bigint":
    case "boolean":
      return;
    case "number":
      if (!Number.isNaN(value)) return;
      break;
    case "object":
      if (value instanceof Uint8Array) return;
      if (
        value !== null && isPlainObject(value) &&
        (name === "hset" || name === "mset" || name === "hmset")
      ) {
        return Object.values(value).forEach((member) => checkValue(name, member, which));
      }
  }
  // the driver would send the text "undefined", nothing, or "[object Object]"
  throw new TypeError(
    `Cannot send ${name}: value ${which} is ${describe(value)}; give text, numbers or bytes`,
  );
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
