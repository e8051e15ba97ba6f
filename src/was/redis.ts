/**
 * Redis as handlers use it: every command is a method, every reply a future.
 *
 * @module
 */

import { keptValues } from "../core/kept_values.ts";
import type { StopSignal } from "../core/stop.ts";
import type { Outcome } from "../clients/contract.ts";
import type { DatabaseTarget } from "../clients/database.ts";
import type { RedisClient } from "../clients/redis/client.ts";
import { readsOnly, type RedisCommand, type RedisValue } from "../clients/redis/commands.ts";
import type { AliasMember } from "./aliases.ts";
import { backendKeepAlive, backends } from "./backend_clients.ts";
import {
  type DatabaseOptions,
  type DatabaseOwner,
  DatabaseRequest,
  findPlace,
  needAlias,
  needNoCallback,
  needServer,
  type Place,
  type ServerOptions,
  startOnAll,
  startOnOne,
  targetOf,
} from "./database_call.ts";
import type { Future } from "./future.ts";
import type { MapFuture } from "./map_future.ts";
import { serverMember } from "./server_member.ts";

/** What a command gives: text, numbers, lists or a record, as Redis says for each. */
// deno-lint-ignore no-explicit-any -- each command has replies of its own
export type RedisReply = any;

/** Commands that have a method; `call` sends all others. */
export type RedisMethodName =
  | "append"
  | "bitcount"
  | "bitfield"
  | "bitop"
  | "bitpos"
  | "blmove"
  | "blmpop"
  | "blpop"
  | "brpop"
  | "brpoplpush"
  | "bzmpop"
  | "bzpopmax"
  | "bzpopmin"
  | "copy"
  | "dbsize"
  | "decr"
  | "decrby"
  | "del"
  | "dump"
  | "echo"
  | "eval"
  | "eval_ro"
  | "evalsha"
  | "evalsha_ro"
  | "exists"
  | "expire"
  | "expireat"
  | "expiretime"
  | "fcall"
  | "fcall_ro"
  | "flushall"
  | "flushdb"
  | "geoadd"
  | "geodist"
  | "geohash"
  | "geopos"
  | "geosearch"
  | "geosearchstore"
  | "get"
  | "getbit"
  | "getdel"
  | "getex"
  | "getrange"
  | "getset"
  | "hdel"
  | "hexists"
  | "hget"
  | "hgetall"
  | "hincrby"
  | "hincrbyfloat"
  | "hkeys"
  | "hlen"
  | "hmget"
  | "hmset"
  | "hrandfield"
  | "hscan"
  | "hset"
  | "hsetnx"
  | "hstrlen"
  | "hvals"
  | "incr"
  | "incrby"
  | "incrbyfloat"
  | "info"
  | "keys"
  | "lastsave"
  | "lindex"
  | "linsert"
  | "llen"
  | "lmove"
  | "lmpop"
  | "lpop"
  | "lpos"
  | "lpush"
  | "lpushx"
  | "lrange"
  | "lrem"
  | "lset"
  | "ltrim"
  | "mget"
  | "mset"
  | "msetnx"
  | "persist"
  | "pexpire"
  | "pexpireat"
  | "pexpiretime"
  | "pfadd"
  | "pfcount"
  | "pfmerge"
  | "ping"
  | "psetex"
  | "pttl"
  | "publish"
  | "randomkey"
  | "rename"
  | "renamenx"
  | "restore"
  | "role"
  | "rpop"
  | "rpoplpush"
  | "rpush"
  | "rpushx"
  | "sadd"
  | "scan"
  | "scard"
  | "sdiff"
  | "sdiffstore"
  | "set"
  | "setbit"
  | "setex"
  | "setnx"
  | "setrange"
  | "sinter"
  | "sintercard"
  | "sinterstore"
  | "sismember"
  | "smembers"
  | "smismember"
  | "smove"
  | "sort"
  | "sort_ro"
  | "spop"
  | "spublish"
  | "srandmember"
  | "srem"
  | "sscan"
  | "strlen"
  | "sunion"
  | "sunionstore"
  | "time"
  | "touch"
  | "ttl"
  | "type"
  | "unlink"
  | "wait"
  | "waitaof"
  | "xack"
  | "xadd"
  | "xautoclaim"
  | "xclaim"
  | "xdel"
  | "xgroup"
  | "xinfo"
  | "xlen"
  | "xpending"
  | "xrange"
  | "xread"
  | "xreadgroup"
  | "xrevrange"
  | "xtrim"
  | "zadd"
  | "zcard"
  | "zcount"
  | "zdiff"
  | "zdiffstore"
  | "zincrby"
  | "zinter"
  | "zintercard"
  | "zinterstore"
  | "zlexcount"
  | "zmpop"
  | "zmscore"
  | "zpopmax"
  | "zpopmin"
  | "zrandmember"
  | "zrange"
  | "zrangebylex"
  | "zrangebyscore"
  | "zrangestore"
  | "zrank"
  | "zrem"
  | "zremrangebylex"
  | "zremrangebyrank"
  | "zremrangebyscore"
  | "zrevrange"
  | "zrevrangebylex"
  | "zrevrangebyscore"
  | "zrevrank"
  | "zscan"
  | "zscore"
  | "zunion"
  | "zunionstore";

/** A database of Redis. Any command is a method: `redis.lrange("names", 0, -1)`. */
export interface RedisDatabase extends RedisCommands {
  /** Sends a command by name, also one of two words: `call("client", "list")`. */
  call<R = unknown>(command: string, ...args: RedisValue[]): Future<R>;
  /**
   * Runs commands as a transaction; the data are their replies: `multi([["incr", "a"], ["get",
   * "b"]])`.
   */
  multi<R = unknown[]>(commands: readonly RedisCommand[]): Future<R>;
}

/** The commands as methods. */
export type RedisCommands = {
  readonly [K in RedisMethodName]: (...args: RedisValue[]) => Future<RedisReply>;
};

/** A group of databases that all get each command. */
export interface RedisGroup extends RedisGroupCommands {
  /** As `call` of a single one; gives a result for each member. */
  call<R = unknown>(command: string, ...args: RedisValue[]): MapFuture<R>;
  /** As `multi` of a single one. */
  multi<R = unknown[]>(commands: readonly RedisCommand[]): MapFuture<R>;
}

/** The commands as methods, to all members. */
export type RedisGroupCommands = {
  readonly [K in RedisMethodName]: (...args: RedisValue[]) => MapFuture<RedisReply>;
};

/** Options of Redis. */
// deno-lint-ignore no-explicit-any -- each command has replies of its own
export type RedisOptions = ServerOptions<any>;

/** `was.redis`. */
export interface RedisMethod {
  /**
   * A database by `@alias`, where the member with the least load gets each command, or by the
   * address of a server: `"user:password@host:6379/3"`.
   *
   * @throws {TypeError} without a target, with an unknown alias or option, or an alias of another
   * type.
   */
  (target: string, options?: RedisOptions): RedisDatabase;
  /** A database by server and number. */
  (server: string, dbno: number, options?: RedisOptions): RedisDatabase;
  /** As a plain call, but only to an alias. */
  lb(target: string, options?: RedisOptions): RedisDatabase;
  /** Every member of an alias at once. A callback is not possible. */
  map(target: string, options?: Omit<RedisOptions, "callback">): RedisGroup;
}

/** Makes `was.redis` of an owner. */
export function redisMethod(owner: DatabaseOwner): RedisMethod {
  const method = (target: string, ...rest: unknown[]): RedisDatabase => {
    const numbered = typeof rest[0] === "number" || typeof rest[0] === "string";
    const dbno = numbered ? databaseNumber(rest[0]) : undefined;
    const options = (numbered ? rest[1] : rest[0]) as RedisOptions | undefined ?? {};
    needServer("Redis", target, [dbno]);
    const place = findPlace(
      owner,
      "redis",
      "Redis",
      target,
      options as Record<string, unknown>,
      (text) => serverMember(text, "redis", { dbname: dbno, ssl: options.ssl, ca: options.ca }),
    );
    return new RedisHandle(
      (request) => startOnOne(owner, request, options),
      place,
      options,
    ) as unknown as RedisDatabase;
  };
  method.lb = (target: string, options: RedisOptions = {}) => {
    needAlias("balance", target);
    return method(target, options);
  };
  method.map = (target: string, options: DatabaseOptions = {}): RedisGroup => {
    needAlias("map", target);
    needNoCallback(target, options);
    const place = findPlace(owner, "redis", "Redis", target, { ...options });
    return new RedisHandle(
      (request) => startOnAll(owner, request, options),
      place,
      {},
    ) as unknown as RedisGroup;
  };
  return method as unknown as RedisMethod;
}

function databaseNumber(value: unknown): string {
  const text = String(value);
  if (/^\d{1,5}$/.test(text)) return text;
  throw new TypeError(`Cannot use ${JSON.stringify(value)} as the number of a Redis database`);
}

class RedisRequest extends DatabaseRequest {
  #command: RedisCommand;
  readonly #options: RedisOptions;

  constructor(place: Place, command: RedisCommand, options: RedisOptions) {
    super(place, String(command[0]).toUpperCase(), command.slice(1));
    this.#command = command;
    this.#options = options;
  }

  ask(member: AliasMember, signal: StopSignal): Promise<Outcome> {
    const client = backends.get("redis", loadClient);
    if (!(client instanceof Promise)) return this.sendBy(client, this.#target(member), signal);
    // the client takes the values of the call, but it is not there yet
    this.keepValues();
    return client.then((ready) => this.sendBy(ready, this.#target(member), signal));
  }

  load(member: AliasMember): number {
    return backends.peek<RedisClient>("redis")?.load(this.#target(member)) ?? 0;
  }

  protected keepValues(): void {
    this.#command = keptValues(this.#command);
  }

  protected asked(): unknown {
    const command = this.#command;
    return typeof command[0] === "string" && readsOnly(command) ? command : undefined;
  }

  protected sendBy(
    client: RedisClient,
    target: DatabaseTarget,
    signal: StopSignal,
  ): Promise<Outcome> {
    return client.send(target, this.#command, signal);
  }

  #target(member: AliasMember): DatabaseTarget {
    return targetOf(this.place, member, this.#options);
  }
}

class RedisTransaction extends RedisRequest {
  #commands: readonly RedisCommand[];

  constructor(place: Place, commands: readonly RedisCommand[], options: RedisOptions) {
    super(place, ["multi", commands as never], options);
    this.#commands = commands;
  }

  protected override keepValues(): void {
    this.#commands = keptValues(this.#commands);
  }

  protected override asked(): undefined {
    return undefined;
  }

  protected override sendBy(
    client: RedisClient,
    target: DatabaseTarget,
    signal: StopSignal,
  ): Promise<Outcome> {
    return client.transaction(target, this.#commands, signal);
  }
}

/** The object whose methods are commands. */
class RedisHandle {
  readonly #start: (request: DatabaseRequest) => unknown;
  readonly #place: Place;
  readonly #options: RedisOptions;

  constructor(
    start: (request: DatabaseRequest) => unknown,
    place: Place,
    options: RedisOptions,
  ) {
    this.#start = start;
    this.#place = place;
    this.#options = options;
  }

  call(...command: RedisCommand): unknown {
    return this.#start(new RedisRequest(this.#place, command, this.#options));
  }

  multi(commands: readonly RedisCommand[]): unknown {
    return this.#start(new RedisTransaction(this.#place, commands, this.#options));
  }
}

/** Names kept as methods; those beyond work as well. */
const MAX_METHODS = 1000;
let methods = 0;

/** A name that is used for the first time becomes a method of all handles. */
Object.setPrototypeOf(
  RedisHandle.prototype,
  new Proxy(Object.prototype, {
    get(target, name) {
      // a promise would be waited for, and tools look at these
      if (typeof name === "symbol" || name === "then" || name === "toJSON" || name in target) {
        return Reflect.get(target, name);
      }
      const method = function (this: RedisHandle, ...args: RedisValue[]) {
        return this.call(name, ...args);
      };
      if (methods++ < MAX_METHODS) {
        Object.defineProperty(RedisHandle.prototype, name, { value: method, configurable: true });
      }
      return method;
    },
  }),
);

async function loadClient(): Promise<RedisClient> {
  const { RedisClient } = await import("../clients/redis/client.ts");
  return new RedisClient({ idleSeconds: backendKeepAlive });
}
