/**
 * Several machines as one service: last-update keys, global state, locks, revocations and messages
 * through Redis.
 *
 * @module
 */

import { ConfigError } from "../core/errors.ts";
import { nodeOs } from "../core/node_builtins.ts";
import type { LockOptions } from "../store/shared_state.ts";
import type { RedisLink } from "../store/redis_link.ts";
import { revocations } from "./revocations.ts";
import {
  declaredKeys,
  linkSharedState,
  type SharedLink,
  sharedState,
  stateName,
  updateName,
} from "./shared.ts";
import { wac } from "./wac.ts";

/** Options of {@link cluster}. */
export interface ClusterOptions {
  /** Leads all names in Redis, so that several services can share one. Default `skitai`. */
  readonly prefix?: string;
}

let settings: { readonly url: string; readonly prefix: string } | undefined;

/**
 * Shares last-update keys, global state, locks, ended sessions and tokens, and messages with all machines
 * that name the same Redis.
 * While Redis is lost, everything goes on within each machine; the log says so once, and when it is
 * back the machines agree again by themselves.
 *
 * @param url `redis://[user:password@]host[:port][/number]`, or `rediss://` for TLS.
 * @throws {ConfigError} for another kind of address, or an unknown option.
 */
export function cluster(url: string, options: ClusterOptions = {}): void {
  const parsed = typeof url === "string" ? URL.parse(url) : null;
  if (parsed === null || (parsed.protocol !== "redis:" && parsed.protocol !== "rediss:")) {
    throw new ConfigError("cluster", "expected an address such as redis://10.0.0.1:6379");
  }
  for (const name of Object.keys(options)) {
    if (name !== "prefix") {
      throw new ConfigError("cluster", `unknown option "${name}"; known is prefix`);
    }
  }
  settings = { url, prefix: `${options.prefix ?? "skitai"}:` };
}

/** Whether there is to be a cluster. */
export function hasCluster(): boolean {
  return settings !== undefined;
}

const MESSAGES = "events";
/** Name of the mark in shared memory that some worker has lost Redis. */
const DOWN = "c:down";
const LOCK_MS = 15_000;
const RENEW_MS = 5000;
const UPDATES = "updates";
const STATES = "states";
const REVOKED = "revoked";
/** Most revocations in one message. */
const MAX_MARKS = 1000;

/** Keeps a field of a hash at its largest. */
const RAISE = `local was = tonumber(redis.call("hget", KEYS[1], ARGV[1]) or "0")
if tonumber(ARGV[2]) > was then redis.call("hset", KEYS[1], ARGV[1], ARGV[2]) end
return redis.call("hget", KEYS[1], ARGV[1])`;
/** Sets a state \`value@time\` unless a later one is there. */
const ASSIGN = `local was = redis.call("hget", KEYS[1], ARGV[1])
if was and tonumber(string.match(was, "@(%d+)$")) > tonumber(ARGV[3]) then return was end
redis.call("hset", KEYS[1], ARGV[1], ARGV[2] .. "@" .. ARGV[3])
return ARGV[2] .. "@" .. ARGV[3]`;
/** Keeps each end at its latest, and forgets those that are over. */
const REVOKE = `for i = 2, #ARGV, 2 do
local was = tonumber(redis.call("zscore", KEYS[1], ARGV[i]) or "0")
if tonumber(ARGV[i + 1]) > was then redis.call("zadd", KEYS[1], ARGV[i + 1], ARGV[i]) end
end
return redis.call("zremrangebyscore", KEYS[1], "-inf", ARGV[1])`;
const RELEASE = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end
return 0`;
const EXTEND = `if redis.call("get", KEYS[1]) == ARGV[1] then
return redis.call("pexpire", KEYS[1], ARGV[2]) end
return 0`;
const COUNT = `local n = redis.call("incr", KEYS[1])
if n == 1 then redis.call("pexpire", KEYS[1], ARGV[1]) end
return n`;

/** What machines tell each other. */
type Message =
  | { readonly type: "updated"; readonly key: string; readonly engine: string }
  | {
    readonly type: "assigned";
    readonly key: string;
    readonly value: number;
    readonly engine: string;
    readonly worker: string;
  }
  | {
    readonly type: "event";
    readonly event: string;
    readonly args: readonly unknown[];
    readonly worker: string;
  }
  | { readonly type: "revoked"; readonly marks: readonly Revoked[] }
  | { readonly type: "data"; readonly channel: string; readonly data: unknown };

/** The mark of something that was revoked, and when it ends anyway, seconds since 1970. */
type Revoked = readonly [mark: string, until: number];

/** The cluster as one worker sees it; also reached as `wac.cluster`. */
export class ClusterMember implements SharedLink, AsyncDisposable {
  readonly #engine: string;
  readonly #worker = crypto.randomUUID();
  readonly #listeners = new Map<string, Set<(data: unknown) => void>>();
  /** Last values seen in Redis, so that what has changed meanwhile is noticed. */
  readonly #seen = new Map<string, string>();
  /** Last values of states this worker has heard of or set, while others may have heard more. */
  readonly #states = new Map<string, number>();
  /** Assignments of this worker that have not come back from Redis yet. */
  readonly #pending = new Map<string, number>();
  readonly #counts = new Map<string, { count: number; until: number }>();
  #link!: RedisLink;
  #unlisten: (() => void) | undefined;
  #wasLost = false;

  private constructor() {
    this.#engine = `${nodeOs().hostname()} ${Deno.pid} ${sharedState().startedAt}`;
  }

  /** Joins the cluster; resolves when it has, or when Redis could not be reached at once. */
  static async join(): Promise<ClusterMember> {
    const { url, prefix } = settings!;
    const { RedisLink } = await import("../store/redis_link.ts");
    const member = new ClusterMember();
    const log = wac.logger.get("server");
    const where = URL.parse(url)!.host;
    member.#link = new RedisLink({
      url,
      prefix,
      found: () => member.#found(where),
      lost: (error) => member.#lost(where, error),
      message: (_channel, text) => member.#receive(JSON.parse(text)),
      failed: (error) => log.trace(error, "cluster"),
    });
    const state = sharedState();
    for (const key of declaredKeys().states) state.declare(pendingName(key));
    for (const key of declaredKeys().updates) state.declare(unsentName(updateName(key)));
    for (const key of declaredKeys().states) state.declare(unsentName(stateName(key)));
    state.declare(DOWN);
    linkSharedState(member);
    member.#unlisten = revocations().onRevoked((...one) => void member.#tellRevoked([one]));
    await member.#link.subscribe(MESSAGES);
    await member.#link.open();
    return member;
  }

  /** False while Redis is lost: then everything stays within this machine. */
  get isUp(): boolean {
    return this.#link.isUp;
  }

  /** Leaves the cluster. */
  async [Symbol.asyncDispose](): Promise<void> {
    linkSharedState(undefined);
    this.#unlisten?.();
    this.#expectNothing();
    await this.#link[Symbol.asyncDispose]();
  }

  /** A last-update key was set here. @internal */
  updated(key: string, time: number): void {
    void (async () => {
      const sent = await this.#link.run(async (redis, prefix) => {
        this.#seen.set(key, String(await redis.eval(RAISE, 1, prefix + UPDATES, key, time)));
        return await this.#send({ type: "updated", key, engine: this.#engine });
      });
      if (sent !== true) sharedState().raise(unsentName(updateName(key)), time);
    })();
  }

  /** A global state was set here. @internal */
  assigned(key: string, value: number): void {
    const time = Date.now();
    this.#states.set(key, value);
    if (!this.isUp) {
      sharedState().raise(unsentName(stateName(key)), time);
      return;
    }
    this.#expect(key, 1);
    void (async () => {
      const sent = await this.#link.run(async (redis, prefix) => {
        await redis.eval(ASSIGN, 1, prefix + STATES, key, value, time);
        return await this.#sendState(key, value);
      });
      if (sent === true) return;
      sharedState().raise(unsentName(stateName(key)), time);
      this.#expect(key, -1);
    })();
  }

  /** Takes a lock of all machines; without Redis the one of this machine has to do. @internal */
  async lock(name: string, options: LockOptions): Promise<() => void> {
    const token = crypto.randomUUID();
    const deadline = performance.now() + (options.timeoutMs ?? Infinity);
    for (let wait = 5;; wait = Math.min(100, wait * 1.5)) {
      const taken = await this.#link.run((redis, prefix) =>
        redis.set(`${prefix}lock:${name}`, token, "PX", LOCK_MS, "NX")
      );
      if (taken === "OK") break;
      if (!this.isUp) return () => {};
      options.signal?.throwIfAborted();
      if (performance.now() >= deadline) {
        throw new DOMException(`The lock ${name} did not become free in time`, "TimeoutError");
      }
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
    }
    const renewal = setInterval(() => {
      void this.#link.run((redis, prefix) =>
        redis.eval(EXTEND, 1, `${prefix}lock:${name}`, token, LOCK_MS)
      );
    }, RENEW_MS);
    Deno.unrefTimer(Number(renewal));
    return () => {
      clearInterval(renewal);
      void this.#link.run((redis, prefix) =>
        redis.eval(RELEASE, 1, `${prefix}lock:${name}`, token)
      );
    };
  }

  /**
   * Broadcasts an event to the apps of this worker and of all other workers of all machines.
   *
   * @param args Have to be values of JSON.
   */
  async broadcast(event: string, ...args: unknown[]): Promise<void> {
    const message: Message = { type: "event", event, args, worker: this.#worker };
    const text = JSON.stringify(message);
    wac.broadcast?.(undefined, event, args);
    await this.#link.publish(MESSAGES, text);
  }

  /**
   * Sends data to whoever has subscribed, in all workers of all machines, this one included: group
   * chats, for instance.
   *
   * @param data Has to be a value of JSON.
   */
  async publish(channel: string, data: unknown): Promise<void> {
    const message: Message = { type: "data", channel, data };
    const text = JSON.stringify(message);
    if (!await this.#link.publish(MESSAGES, text)) this.#receive(JSON.parse(text));
  }

  /** Listens to a channel until the returned function is called. Errors of listeners are logged. */
  subscribe(channel: string, listener: (data: unknown) => void): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /**
   * Counts one more of something, across all machines, in windows of so many milliseconds that begin
   * with the first; gives the count: for rate limits. Without Redis this worker counts for itself.
   */
  async count(key: string, windowMs: number): Promise<number> {
    const shared = await this.#link.run((redis, prefix) =>
      redis.eval(COUNT, 1, `${prefix}count:${key}`, windowMs)
    );
    if (shared !== undefined) return Number(shared);
    const now = Date.now();
    const own = this.#counts.get(key);
    if (own !== undefined && own.until > now) return ++own.count;
    if (this.#counts.size >= 100_000) this.#counts.clear();
    this.#counts.set(key, { count: 1, until: now + windowMs });
    return 1;
  }

  /**
   * Whether this engine is the one machine that does something, such as a scheduled job: the first to
   * ask owns it for so many milliseconds, and keeps it by asking again. Without Redis each machine
   * does it.
   */
  async owns(name: string, ms: number): Promise<boolean> {
    const owner = await this.#link.run(async (redis, prefix) => {
      const key = `${prefix}owner:${name}`;
      if (await redis.set(key, this.#engine, "PX", ms, "NX") === "OK") return this.#engine;
      await redis.eval(EXTEND, 1, key, this.#engine, ms);
      return await redis.get(key);
    });
    return owner === undefined || owner === this.#engine;
  }

  /** Redis is there, at first or again: agrees with it. */
  async #found(where: string): Promise<void> {
    const state = sharedState();
    if (state.exchange(DOWN, 0) !== 0) {
      const log = wac.logger.get("server");
      log.log(`The cluster at ${where} is back; the machines agree again`);
    }
    const wasLost = this.#wasLost;
    this.#wasLost = false;
    await this.#link.run(async (redis, prefix) => {
      const updates = await redis.hgetall(prefix + UPDATES);
      for (const key of declaredKeys().updates) {
        await this.#agreeOnUpdate(key, updates[key], wasLost);
      }
      const states = await redis.hgetall(prefix + STATES);
      for (const key of declaredKeys().states) await this.#agreeOnState(key, states[key]);
      await this.#agreeOnRevocations(
        await redis.zrangebyscore(prefix + REVOKED, Date.now() / 1000, "+inf", "WITHSCORES"),
      );
    });
  }

  /** Takes over what others have revoked, and tells them what they do not know. */
  async #agreeOnRevocations(remote: readonly string[]): Promise<void> {
    const known = new Map<string, number>();
    for (let i = 0; i < remote.length; i += 2) known.set(remote[i]!, Number(remote[i + 1]));
    for (const [mark, until] of known) revocations().accept(mark, until);
    let marks: Revoked[] = [];
    for (const one of revocations().inForce()) {
      if (known.get(one[0])! >= one[1]) continue;
      if (marks.push(one) < MAX_MARKS) continue;
      await this.#tellRevoked(marks);
      marks = [];
    }
    if (marks.length > 0) await this.#tellRevoked(marks);
  }

  /** What does not arrive is told when Redis is back. */
  async #tellRevoked(marks: readonly Revoked[]): Promise<void> {
    await this.#link.run(async (redis, prefix) => {
      await redis.eval(REVOKE, 1, prefix + REVOKED, Date.now() / 1000, ...marks.flat());
      await this.#send({ type: "revoked", marks });
    });
  }

  async #agreeOnUpdate(key: string, remote: string | undefined, wasLost: boolean): Promise<void> {
    const state = sharedState();
    if (remote !== undefined && remote !== this.#seen.get(key)) {
      // what was missed happened at some time until now
      state.raise(updateName(key), wasLost ? Date.now() : Number(remote));
      this.#seen.set(key, remote);
      if (wasLost) this.#tellUpdate(key);
    }
    const time = state.get(updateName(key))!;
    if (state.exchange(unsentName(updateName(key)), 0) !== 0) this.updated(key, time);
    else if (remote === undefined && time > 0) {
      await this.#link.run((redis, prefix) => redis.eval(RAISE, 1, prefix + UPDATES, key, time));
    }
  }

  async #agreeOnState(key: string, remote: string | undefined): Promise<void> {
    const state = sharedState();
    // whichever worker comes first speaks for the whole engine
    const unsentAt = state.exchange(unsentName(stateName(key)), 0);
    const setAt = unsentAt === 0 ? undefined : unsentAt;
    const own = state.get(stateName(key))!;
    let agreed = remote;
    // a Redis that has forgotten is told what everybody knew, which any real change overrules
    if (setAt !== undefined || (remote === undefined && own !== 0)) {
      agreed = await this.#link.run(async (redis, prefix) => {
        const time = setAt ?? 1;
        return String(await redis.eval(ASSIGN, 1, prefix + STATES, key, own, time));
      });
    }
    if (agreed === undefined) {
      // lost again: the next time, then
      if (setAt !== undefined) state.raise(unsentName(stateName(key)), setAt);
      if (!this.#states.has(key)) this.#states.set(key, own);
      return;
    }
    const value = Number(agreed.slice(0, agreed.indexOf("@")));
    if (value !== own) state.set(stateName(key), value);
    else if (setAt !== undefined) await this.#sendState(key, value);
    const heard = this.#states.get(key);
    this.#states.set(key, value);
    // another worker of this engine may have agreed first
    if (value !== own || heard !== undefined && value !== heard) {
      wac.broadcast?.(undefined, key, [value]);
    }
  }

  /** Redis is lost: says so once for all workers of the engine. */
  #lost(where: string, error: Error | undefined): void {
    this.#wasLost = true;
    const state = sharedState();
    this.#expectNothing();
    if (state.exchange(DOWN, 1) !== 0) return;
    const why = error?.message ? ` (${error.message})` : "";
    wac.logger.get("server").log(
      `The cluster at ${where} is lost${why}; everything stays within this machine until it is back`,
      "warn",
    );
  }

  /** Notes assignments that are to come back, or have. */
  #expect(key: string, change: number): void {
    const count = (this.#pending.get(key) ?? 0) + change;
    if (count < 0) return;
    if (count === 0) this.#pending.delete(key);
    else this.#pending.set(key, count);
    sharedState().add(pendingName(key), change);
  }

  /** None of them will come back; the other workers of the engine go by the counts. */
  #expectNothing(): void {
    for (const [key, count] of [...this.#pending]) this.#expect(key, -count);
  }

  #tellUpdate(key: string): void {
    for (const event of [key, `model-changed:${key}`, "model-changed"]) {
      wac.broadcast?.(undefined, event, []);
    }
  }

  async #sendState(key: string, value: number): Promise<boolean> {
    const from = { engine: this.#engine, worker: this.#worker };
    return await this.#send({ type: "assigned", key, value, ...from });
  }

  async #send(message: Message): Promise<boolean> {
    return await this.#link.publish(MESSAGES, JSON.stringify(message));
  }

  #receive(message: Message): void {
    const state = sharedState();
    switch (message.type) {
      case "updated": {
        const { key, engine } = message;
        if (engine === this.#engine || state.get(updateName(key)) === undefined) return;
        // by the clock of this machine: what it has cached so far is older than this moment
        state.raise(updateName(key), Date.now());
        this.#tellUpdate(key);
        return;
      }
      case "assigned": {
        const { key, value, engine, worker } = message;
        const pending = state.get(pendingName(key));
        if (pending === undefined) return;
        this.#states.set(key, value);
        // all machines see messages in the same order; those before one's own do not count any more
        if (pending > 0) {
          if (worker === this.#worker) this.#expect(key, -1);
          return;
        }
        const isNews = state.get(stateName(key)) !== value;
        if (isNews) state.set(stateName(key), value);
        // another worker of this engine may have heard of it first; each has listeners of its own
        if (isNews || engine !== this.#engine) wac.broadcast?.(undefined, key, [value]);
        return;
      }
      case "event":
        if (message.worker === this.#worker) return;
        wac.broadcast?.(undefined, message.event, message.args);
        return;
      case "revoked":
        for (const [mark, until] of message.marks) revocations().accept(mark, until);
        return;
      case "data":
        for (const listener of this.#listeners.get(message.channel) ?? []) {
          try {
            listener(message.data);
          } catch (error) {
            wac.logger.get("app").trace(error, "cluster");
          }
        }
    }
  }
}

/** Name of the time a key was set at without telling Redis, 0 when there is nothing to tell. */
function unsentName(name: string): string {
  return `n:${name}`;
}

/** Name of the count of assignments of a state that have not come back from Redis yet. */
function pendingName(key: string): string {
  return `p:${key}`;
}
