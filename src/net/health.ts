/**
 * Asks every member of a group now and then whether it is well.
 *
 * @module
 */

import type { Balancer, Upstream } from "./balancer.ts";

/** Options of health checks. */
export interface HealthOptions {
  /** Path to ask for, of web servers. Default `/`. Databases get a trivial statement. */
  readonly path?: string;
  /** Status code, or codes, of a member that is well. Default 200 to 399. */
  readonly status?: number | readonly number[];
  /** Milliseconds between two checks of a member. Default 5000. */
  readonly intervalMs?: number;
  /** Milliseconds a check may take. Default 2000. */
  readonly timeoutMs?: number;
  /** Failures in a row that take a member out of use. Default 3. */
  readonly fails?: number;
  /** Passes in a row that take it back. Default 2. */
  readonly passes?: number;
}

/** What a check has found: `slow` means that it took too long. */
export type Health = "well" | "slow" | "down";

/** Asks a member. Never rejects; `slow` when the signal aborts. */
export type Probe<M> = (member: M, signal: AbortSignal) => Promise<Health>;

const KNOWN = ["path", "status", "intervalMs", "timeoutMs", "fails", "passes"];

/** Checks options. @throws {TypeError} naming what cannot be used. */
export function checkHealthOptions(given: HealthOptions): void {
  if (typeof given !== "object" || given === null) throw new TypeError("health is an object");
  for (const [name, value] of Object.entries(given)) {
    if (!KNOWN.includes(name)) {
      throw new TypeError(`unknown option health.${name}; known are ${KNOWN.join(", ")}`);
    }
    if (value === undefined) continue;
    if (name === "status") {
      const codes = Array.isArray(value) ? value : [value];
      if (codes.length > 0 && codes.every((code) => Number.isInteger(code))) continue;
      throw new TypeError(
        `health.status is a code or a list of codes, not ${JSON.stringify(value)}`,
      );
    }
    if (name === "path") {
      if (typeof value !== "string" || !value.startsWith("/")) {
        throw new TypeError("health.path starts with /");
      }
    } else if (typeof value !== "number" || !(value > 0)) {
      throw new TypeError(`health.${name} is a number above 0, not ${String(value)}`);
    }
  }
}

/** Whether a status code counts as well. */
export function isWellStatus(code: number, status: HealthOptions["status"]): boolean {
  if (status === undefined) return code >= 200 && code < 400;
  return typeof status === "number" ? code === status : status.includes(code);
}

interface Count {
  fails: number;
  passes: number;
}

/**
 * The checks of one group, from {@link start} until it is disposed. The last member in use is never
 * taken out because it is slow.
 */
export class HealthChecks<M extends Upstream> implements AsyncDisposable {
  readonly #balancer: Balancer<M>;
  readonly #options: HealthOptions;
  readonly #probe: Probe<M>;
  readonly #changed: (member: M, healthy: boolean) => void;
  readonly #counts = new WeakMap<M, Count>();
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #round: Promise<void> | undefined;

  /** @param changed Told when a member is taken out of use or back. */
  constructor(
    balancer: Balancer<M>,
    options: HealthOptions,
    probe: Probe<M>,
    changed: (member: M, healthy: boolean) => void = () => {},
  ) {
    this.#balancer = balancer;
    this.#options = options;
    this.#probe = probe;
    this.#changed = changed;
  }

  /** Checks now and from now on. */
  start(): void {
    if (this.#timer !== undefined || this.#stop.signal.aborted) return;
    this.#schedule(0);
  }

  /** Checks every member once. */
  async check(): Promise<void> {
    await Promise.all(this.#balancer.members.map((member) => this.#checkOne(member)));
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort();
    await this.#round;
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#round = this.check().finally(() => {
        if (!this.#stop.signal.aborted) this.#schedule(this.#options.intervalMs ?? 5000);
      });
    }, ms);
    Deno.unrefTimer(Number(this.#timer));
  }

  async #checkOne(member: M): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#options.timeoutMs ?? 2000);
    let health: Health;
    try {
      health = await this.#probe(member, AbortSignal.any([late.signal, this.#stop.signal]));
    } finally {
      clearTimeout(timer);
    }
    if (!this.#stop.signal.aborted) this.#note(member, health);
  }

  #note(member: M, health: Health): void {
    let count = this.#counts.get(member);
    if (count === undefined) {
      count = { fails: 0, passes: 0 };
      this.#counts.set(member, count);
    }
    const isOut = !this.#balancer.isHealthy(member.node);
    if (health === "well") {
      count.fails = 0;
      count.passes++;
      if (!isOut || count.passes < (this.#options.passes ?? 2)) return;
    } else {
      count.passes = 0;
      count.fails++;
      if (isOut || count.fails < (this.#options.fails ?? 3)) return;
      if (health === "slow" && this.#balancer.inUse <= 1) return;
    }
    this.#balancer.setHealthy(member.node, isOut);
    this.#changed(member, isOut);
  }
}
