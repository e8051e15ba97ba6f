/**
 * A connection to the Redis that machines share state through: it is lost and found again by itself,
 * and says so once each time.
 *
 * @module
 */

import type { Redis, RedisOptions } from "ioredis";
import { packageExport } from "../core/package_export.ts";

/** Options of a {@link RedisLink}. */
export interface RedisLinkOptions {
  /** `redis://[user:password@]host[:port][/number]`, or `rediss://` for TLS. */
  readonly url: string;
  /** Leads the names of all keys and channels. */
  readonly prefix: string;
  /** Called each time it is connected and subscribed. */
  readonly found: () => Promise<void>;
  /** Called each time it is lost, and at first when it cannot be reached. */
  readonly lost: (error: Error | undefined) => void;
  /** Called with every message. */
  readonly message: (channel: string, text: string) => void;
  /** Errors of what it calls. */
  readonly failed: (error: unknown) => void;
}

/** Most milliseconds between two attempts to connect. */
const MAX_RETRY_MS = 1000;
/** A server that does not answer for that long counts as lost. */
const SILENT_MS = 3000;
const PING_MS = 2000;

/** A link to a Redis. */
export class RedisLink implements AsyncDisposable {
  readonly #options: RedisLinkOptions;
  readonly #channels = new Set<string>();
  #commands: Redis | undefined;
  #messages: Redis | undefined;
  #ready = new Set<Redis>();
  #state: "new" | "up" | "down" | "closed" = "new";
  #lastError: Error | undefined;
  #ping: ReturnType<typeof setInterval> | undefined;

  /** Nothing is opened before {@link open}. */
  constructor(options: RedisLinkOptions) {
    this.#options = options;
  }

  /** True while it is connected. */
  get isUp(): boolean {
    return this.#state === "up";
  }

  /** Starts to connect; resolves when it is connected, or has failed once. Goes on trying by itself. */
  async open(): Promise<void> {
    const Redis = packageExport(await import("ioredis"), "Redis");
    const settings: RedisOptions = {
      lazyConnect: true,
      // commands of a moment ago must not run when the connection is back
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: true,
      connectTimeout: SILENT_MS,
      commandTimeout: SILENT_MS,
      retryStrategy: (times) => Math.min(MAX_RETRY_MS, 50 * times) * (0.5 + Math.random() / 2),
    };
    const both = [
      new Redis(this.#options.url, settings),
      new Redis(this.#options.url, settings),
    ] as const;
    [this.#commands, this.#messages] = both;
    const first = Promise.withResolvers<void>();
    for (const redis of both) {
      redis.on("ready", () => {
        this.#ready.add(redis);
        if (this.#ready.size === 2) this.#up().catch(this.#options.failed).finally(first.resolve);
      });
      redis.on("error", (error: Error) => {
        this.#lastError = error;
      });
      redis.on("close", () => {
        this.#ready.delete(redis);
        this.#down();
        first.resolve();
      });
      redis.connect().catch((error: Error) => {
        this.#lastError = error;
      });
    }
    const { prefix } = this.#options;
    this.#messages.on("message", (channel: string, text: string) => {
      try {
        this.#options.message(channel.slice(prefix.length), text);
      } catch (error) {
        this.#options.failed(error);
      }
    });
    // a server that stands still keeps its connections open
    this.#ping = setInterval(() => void this.#look(), PING_MS);
    Deno.unrefTimer(Number(this.#ping));
    await first.promise;
  }

  /** Listens to a channel, now and after every loss. */
  async subscribe(channel: string): Promise<void> {
    if (this.#channels.has(channel)) return;
    this.#channels.add(channel);
    if (this.isUp) await this.#messages!.subscribe(this.#options.prefix + channel);
  }

  /** Sends a message; false when the link is down. */
  async publish(channel: string, text: string): Promise<boolean> {
    return await this.run((redis, prefix) => redis.publish(prefix + channel, text)) !== undefined;
  }

  /** Runs commands; `undefined` when the link is down, or is lost meanwhile. */
  async run<R>(commands: (redis: Redis, prefix: string) => Promise<R>): Promise<R | undefined> {
    if (!this.isUp) return undefined;
    try {
      return await commands(this.#commands!, this.#options.prefix);
    } catch (error) {
      // errors of the server itself are defects of ours; all others mean that it is gone
      if ((error as Error).name === "ReplyError") this.#options.failed(error);
      return undefined;
    }
  }

  /** Ends it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    clearInterval(this.#ping);
    this.#commands?.disconnect();
    this.#messages?.disconnect();
    return Promise.resolve();
  }

  /** Whether it is up, or is not to be any more. */
  #isOver(): boolean {
    return this.#state === "up" || this.#state === "closed";
  }

  async #up(): Promise<void> {
    if (this.#isOver()) return;
    const { prefix } = this.#options;
    const names = [...this.#channels].map((channel) => prefix + channel);
    try {
      if (names.length > 0) await this.#messages!.subscribe(...names);
    } catch (error) {
      if ((error as Error).name === "ReplyError") throw error;
      this.#lastError = error as Error;
      // one that does not answer, or is gone: the next connection subscribes
      if (!this.#isOver()) this.#messages!.disconnect(true);
      return;
    }
    // the other one may be gone since, or this was done after another loss already
    if (this.#isOver() || this.#ready.size < 2) return;
    this.#state = "up";
    await this.#options.found();
  }

  #down(): void {
    if (this.#state === "down" || this.#state === "closed") return;
    this.#state = "down";
    this.#options.lost(this.#lastError);
  }

  async #look(): Promise<void> {
    if (!this.isUp) return;
    try {
      await this.#commands!.ping();
    } catch (error) {
      this.#lastError = error as Error;
      // reconnecting is how the connection finds out
      for (const redis of [this.#commands!, this.#messages!]) redis.disconnect(true);
    }
  }
}
