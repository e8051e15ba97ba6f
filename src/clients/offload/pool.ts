/**
 * The auxiliary threads of a worker: blocking jobs run there instead of on the event loop.
 *
 * @module
 */

import type { StopSignal } from "../../core/stop.ts";
import { BackendError, PoolExhaustedError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Client, ClientStats } from "../contract.ts";
import { closeIdle, type Job, perform } from "./jobs.ts";
import { type Answer, errorFromFields, type PoolMessage, type ThreadMessage } from "./protocol.ts";
import { THREAD_NAME, THREAD_URL } from "./thread.ts";

/** Options of {@link OffloadPool}. */
export interface OffloadPoolOptions {
  /** Most threads at work at once. Default 4; 0: no threads, jobs run on the event loop. */
  readonly threads?: number;
  /** Most jobs waiting for a thread. Default 1000; a job beyond that fails at once. */
  readonly maxQueue?: number;
  /** Longest wait for a thread in milliseconds. Default 10 000; a job that waited longer fails. */
  readonly queueTimeoutMs?: number;
  /** A thread without work for this many milliseconds is ended by `maintain()`. Default 30 000. */
  readonly idleMs?: number;
  /** How long disposing waits for running jobs, in milliseconds. Default 5000. */
  readonly closeMs?: number;
  /**
   * Where crashes of threads without a job are written; without it they only count in `crashes`.
   */
  readonly log?: Log;
}

/** Options of {@link OffloadPool.run}. */
export interface OffloadOptions {
  /**
   * Gives the job up. A waiting job is taken from the queue. A running one cannot be stopped: its
   * result is dropped, and until it ends another thread may be started in its place, up to twice
   * `threads`.
   */
  readonly signal?: StopSignal;
}

/** Options of {@link OffloadPool.perform}. */
export interface PerformOptions extends OffloadOptions {
  /** Jobs of one lane run one at a time, in order. */
  readonly lane?: string;
  /** A thread that worked on this before is preferred. */
  readonly affinity?: string;
  /** Jobs with this name run on a thread of their own, kept until the pool is disposed. */
  readonly pin?: string;
}

/** A thread that ended although it had a job, or could not start. The job may have had effects. */
export class ThreadCrashError extends BackendError {
  /** Makes the error; `cause` is what the thread did not catch. */
  constructor(message: string, cause: Error) {
    super(message, 701, { code: "THREAD_CRASH", cause });
  }
}

interface Task extends PerformOptions {
  readonly job: Job;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  onAbort: (() => void) | undefined;
  deadline: ReturnType<typeof setTimeout> | undefined;
}

/** What a job is called in messages. */
function nameOf(job: Job): string {
  return job.kind === "call" ? `${job.name} of ${job.module}` : `a statement on ${job.script.file}`;
}

/** One thread, from the side of the pool. */
class Thread {
  readonly worker: Worker;
  readonly pin: string | undefined;
  readonly seen = new Set<string>();
  readonly ended: Promise<void>;
  idleSince = performance.now();
  task: Task | undefined;
  /** Its job was given up and still runs. */
  overtime = false;
  #jobId = 0;
  #markEnded!: () => void;

  constructor(
    pin: string | undefined,
    onDone: (thread: Thread, message: Answer) => void,
    onCrash: (thread: Thread, error: Error) => void,
  ) {
    this.pin = pin;
    this.ended = new Promise((resolve) => this.#markEnded = resolve);
    this.worker = new Worker(THREAD_URL, { type: "module", name: THREAD_NAME });
    this.worker.onmessage = (event: MessageEvent<ThreadMessage>) => {
      const message = event.data;
      if ("ended" in message) return this.kill();
      if ("crashed" in message) return onCrash(this, errorFromFields(message.crashed));
      if (message.id === this.#jobId) onDone(this, message);
    };
    this.worker.onerror = (event) => {
      // An error event that is not cancelled is thrown again here and would end the process.
      event.preventDefault();
      onCrash(this, new Error(event.message));
    };
    this.worker.onmessageerror = () => onCrash(this, new Error("a message could not be read"));
  }

  /** @throws {DataCloneError} when the job cannot be sent; the thread is unchanged then. */
  start(task: Task): void {
    this.#send({ id: this.#jobId + 1, job: task.job });
    this.#jobId++;
    this.task = task;
    if (task.affinity !== undefined) this.seen.add(task.affinity);
  }

  /** Asks the thread to close what it holds; it is ended when it has. */
  retire(): void {
    this.#send({ end: true });
  }

  #send(message: PoolMessage): void {
    this.worker.postMessage(message);
  }

  kill(): void {
    this.worker.terminate();
    this.#markEnded();
  }
}

/**
 * A pool of threads. They start on first use, one when no other is free, and end when they have
 * been idle. A thread that crashes fails its job and is replaced by the next one that is needed.
 *
 * @example
 * ```ts ignore
 * await using pool = new OffloadPool({ threads: 4 });
 * const hash = await pool.run(new URL("./hash.ts", import.meta.url), "scrypt", [password]);
 * ```
 */
export class OffloadPool implements Client {
  /** Most threads at work at once; 0 when jobs run on the event loop. */
  readonly threads: number;
  /** Threads that crashed so far. */
  crashes = 0;

  readonly #maxQueue: number;
  readonly #queueTimeoutMs: number;
  readonly #idleMs: number;
  readonly #closeMs: number;
  readonly #log: Log | undefined;
  readonly #queue: Task[] = [];
  readonly #all = new Set<Thread>();
  /** Free threads without a pin; the one used last is at the end. */
  readonly #free: Thread[] = [];
  readonly #pinned = new Map<string, Thread>();
  readonly #lanes = new Set<string>();
  readonly #retiring = new Set<Thread>();
  #inline = 0;
  #closing: Promise<void> | undefined;
  #whenQuiet: (() => void) | undefined;

  /** Makes a pool; nothing is started yet. @throws {RangeError} for options that are not counts. */
  constructor(options: OffloadPoolOptions = {}) {
    this.threads = count("threads", options.threads ?? 4);
    this.#maxQueue = count("maxQueue", options.maxQueue ?? 1000);
    this.#queueTimeoutMs = count("queueTimeoutMs", options.queueTimeoutMs ?? 10_000);
    this.#idleMs = count("idleMs", options.idleMs ?? 30_000);
    this.#closeMs = count("closeMs", options.closeMs ?? 5000);
    this.#log = options.log;
  }

  /**
   * Runs an exported function of a module in a thread and resolves to what it returns or resolves
   * to. Arguments and result are cloned (structured clone); with `threads: 0` they are handed over
   * as they are.
   *
   * Rejects with what the function throws, `PoolExhaustedError` when no thread became free in time,
   * {@link ThreadCrashError}, the reason of `signal`, or `TypeError` for what cannot be cloned.
   *
   * @throws {TypeError} for a module that is not an absolute URL.
   */
  run(
    moduleUrl: string | URL,
    fn: string,
    args: readonly unknown[] = [],
    options: OffloadOptions = {},
  ): Promise<unknown> {
    if (!URL.canParse(String(moduleUrl))) {
      throw new TypeError(
        `Cannot offload to ${JSON.stringify(moduleUrl)}: expected the absolute URL of a module, ` +
          `such as new URL("./jobs.ts", import.meta.url)`,
      );
    }
    if (typeof fn !== "string" || fn === "") {
      throw new TypeError(
        `Cannot offload ${String(fn)}: expected the name of an exported function`,
      );
    }
    return this.perform({ kind: "call", module: String(moduleUrl), name: fn, args }, options);
  }

  /** Performs any job; see {@link OffloadPool.run} for how it fails. */
  perform(job: Job, options: PerformOptions = {}): Promise<unknown> {
    if (this.#closing) return Promise.reject(new Error(`Cannot run ${nameOf(job)}: pool closed`));
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    if (this.threads === 0) return this.#performInline(job, options.signal);
    return new Promise((resolve, reject) => {
      const task: Task = {
        ...options,
        job,
        resolve,
        reject,
        onAbort: undefined,
        deadline: undefined,
      };
      if (options.signal) {
        task.onAbort = () => this.#giveUp(task);
        options.signal.addEventListener("abort", task.onAbort, { once: true });
      }
      if (this.#canStart(task)) this.#start(task);
      else this.#enqueue(task);
    });
  }

  /** Threads alive, and threads with a job. */
  stats(): ClientStats {
    if (this.threads === 0) return { open: 0, busy: this.#inline };
    let busy = 0;
    for (const thread of this.#all) if (thread.task || thread.overtime) busy++;
    return { open: this.#all.size, busy };
  }

  /** Jobs waiting for a thread. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Ends threads that have been idle for `idleMs`; without threads, closes idle database files. */
  maintain(): void {
    const before = performance.now() - this.#idleMs;
    while (this.#free[0] && this.#free[0].idleSince <= before) this.#retire(this.#free.shift()!);
    if (this.threads === 0) closeIdle(this.#idleMs);
  }

  /**
   * Refuses new jobs, fails the waiting ones, waits for the running ones up to `closeMs`, ends all
   * threads.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #performInline(job: Job, signal: StopSignal | undefined): Promise<unknown> {
    this.#inline++;
    try {
      if (!signal) return await perform(job);
      let stop!: () => void;
      const aborted = new Promise<never>((_, reject) => stop = () => reject(signal.reason));
      signal.addEventListener("abort", stop, { once: true });
      try {
        return await Promise.race([perform(job), aborted]);
      } finally {
        signal.removeEventListener("abort", stop);
      }
    } finally {
      this.#inline--;
    }
  }

  #canStart(task: Task): boolean {
    if (task.lane !== undefined && this.#lanes.has(task.lane)) return false;
    if (task.pin !== undefined) {
      const thread = this.#pinned.get(task.pin);
      return !thread || !thread.task && !thread.overtime;
    }
    return this.#free.length > 0 || this.#mayGrow();
  }

  /**
   * Jobs that were given up do not count against `threads`, but never more than `threads` of them.
   */
  #mayGrow(): boolean {
    let regular = 0;
    let overtime = 0;
    for (const thread of this.#all) {
      if (thread.pin !== undefined) continue;
      if (thread.overtime) overtime++;
      else regular++;
    }
    return regular < this.threads && regular + overtime < this.threads * 2;
  }

  #enqueue(task: Task): void {
    if (this.#queue.length >= this.#maxQueue) {
      this.#settle(task);
      task.reject(
        this.#exhausted(task, `${this.#queue.length} jobs are waiting already`),
      );
      return;
    }
    this.#queue.push(task);
    task.deadline = setTimeout(() => {
      this.#queue.splice(this.#queue.indexOf(task), 1);
      this.#settle(task);
      task.reject(this.#exhausted(task, `it waited ${this.#queueTimeoutMs} ms`));
    }, this.#queueTimeoutMs);
  }

  #exhausted(task: Task, why: string): PoolExhaustedError {
    const { busy } = this.stats();
    return new PoolExhaustedError(
      `Cannot run ${nameOf(task.job)}: ${why}, ${busy} of ${this.threads} threads busy`,
      730,
      { code: "POOL_EXHAUSTED" },
    );
  }

  #start(task: Task): void {
    const thread = this.#threadFor(task);
    clearTimeout(task.deadline);
    try {
      thread.start(task);
    } catch (cause) {
      this.#settle(task);
      task.reject(
        new TypeError(`Cannot run ${nameOf(task.job)}: an argument cannot be cloned`, { cause }),
      );
      if (thread.pin === undefined) this.#free.push(thread);
      return;
    }
    if (task.lane !== undefined) this.#lanes.add(task.lane);
  }

  #threadFor(task: Task): Thread {
    if (task.pin !== undefined) {
      let thread = this.#pinned.get(task.pin);
      if (!thread) this.#pinned.set(task.pin, thread = this.#newThread(task.pin));
      return thread;
    }
    const { affinity } = task;
    const known = affinity === undefined
      ? -1
      : this.#free.findLastIndex((thread) => thread.seen.has(affinity));
    if (known !== -1) return this.#free.splice(known, 1)[0]!;
    return this.#free.pop() ?? this.#newThread(undefined);
  }

  #newThread(pin: string | undefined): Thread {
    const thread = new Thread(
      pin,
      (thread, message) => this.#done(thread, message),
      (thread, error) => this.#crashed(thread, error),
    );
    this.#all.add(thread);
    return thread;
  }

  #done(thread: Thread, message: Answer): void {
    const task = this.#release(thread);
    if (task) {
      if (message.ok) task.resolve(message.value);
      else task.reject(errorFromFields(message.error));
    }
    thread.idleSince = performance.now();
    if (thread.pin === undefined) {
      if (this.#surplus()) this.#retire(thread);
      else this.#free.push(thread);
    }
    this.#pump();
  }

  /** More threads than `threads`: one that worked overtime came back. */
  #surplus(): boolean {
    let regular = 0;
    for (const thread of this.#all) if (thread.pin === undefined && !thread.overtime) regular++;
    return regular > this.threads;
  }

  #crashed(thread: Thread, error: Error): void {
    // one that was asked to end has done so in its own way, and will not say that it has
    if (this.#retiring.has(thread)) thread.kill();
    if (!this.#all.delete(thread)) return;
    this.crashes++;
    thread.kill();
    const free = this.#free.indexOf(thread);
    if (free !== -1) this.#free.splice(free, 1);
    if (thread.pin !== undefined) this.#pinned.delete(thread.pin);
    const task = this.#release(thread);
    if (task) {
      const lost = thread.pin === undefined ? "" : `; what ${thread.pin} held is lost`;
      task.reject(
        new ThreadCrashError(
          `The auxiliary thread ended while it ran ${nameOf(task.job)}: ${error.message}${lost}`,
          error,
        ),
      );
    } else {
      this.#log?.trace(new ThreadCrashError(`An auxiliary thread ended: ${error.message}`, error));
    }
    this.#pump();
  }

  /** Takes the job off a thread; gives the task unless it was given up before. */
  #release(thread: Thread): Task | undefined {
    const task = thread.task;
    const overtime = thread.overtime;
    thread.task = undefined;
    thread.overtime = false;
    if (!task) return undefined;
    if (task.lane !== undefined) this.#lanes.delete(task.lane);
    if (overtime) return undefined;
    this.#settle(task);
    return task;
  }

  #giveUp(task: Task): void {
    const queued = this.#queue.indexOf(task);
    if (queued !== -1) this.#queue.splice(queued, 1);
    else for (const thread of this.#all) if (thread.task === task) thread.overtime = true;
    this.#settle(task);
    task.reject(task.signal!.reason);
    this.#pump();
  }

  #settle(task: Task): void {
    clearTimeout(task.deadline);
    if (task.onAbort) task.signal!.removeEventListener("abort", task.onAbort);
  }

  /** Starts every waiting job that can start now. */
  #pump(): void {
    for (let i = 0; i < this.#queue.length;) {
      const task = this.#queue[i]!;
      if (this.#canStart(task)) {
        this.#queue.splice(i, 1);
        this.#start(task);
      } else i++;
    }
    if (this.#whenQuiet && this.stats().busy === 0) this.#whenQuiet();
  }

  #retire(thread: Thread): void {
    this.#all.delete(thread);
    this.#retiring.add(thread);
    thread.retire();
    thread.ended.then(() => this.#retiring.delete(thread));
  }

  async #close(): Promise<void> {
    for (const task of this.#queue.splice(0)) {
      this.#settle(task);
      task.reject(new Error(`Cannot run ${nameOf(task.job)}: pool closed`));
    }
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, this.#closeMs);
    if (this.threads > 0 && this.stats().busy > 0) {
      const quiet = new Promise<void>((resolve) => this.#whenQuiet = resolve);
      await Promise.race([quiet, limit.promise]);
    }
    for (const thread of [...this.#all]) {
      if (thread.task) {
        const { job } = thread.task;
        this.#all.delete(thread);
        thread.kill();
        this.#release(thread)?.reject(
          new Error(`Cannot wait longer for ${nameOf(job)}: pool closed after ${this.#closeMs} ms`),
        );
      } else this.#retire(thread);
    }
    this.#free.length = 0;
    this.#pinned.clear();
    await Promise.race([Promise.all([...this.#retiring].map((t) => t.ended)), limit.promise]);
    for (const thread of this.#retiring) thread.kill();
    clearTimeout(timer);
    if (this.threads === 0) closeIdle(0);
  }
}

/** Checks an option that counts something. */
function count(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0) return value;
  throw new RangeError(`Cannot use ${value} as ${name} of a thread pool: expected 0 or more`);
}
