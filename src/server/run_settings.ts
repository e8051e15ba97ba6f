/**
 * Options of `run`, checked and completed.
 *
 * @module
 */

import { ConfigError } from "../core/errors.ts";
import type { FrontKind } from "./front.ts";
import { checkOptions, type RunOptions, type Service } from "./service.ts";

/** Environment variable that replaces `run({ port })` in test runs. */
export const TEST_PORT_ENV = "SKITAI_TEST_PORT";

/** Environment variable that replaces `run({ address })` in test runs. */
export const TEST_ADDRESS_ENV = "SKITAI_TEST_ADDRESS";

/** What `run` was told, with defaults for the rest. */
export interface RunSettings {
  /** Address to listen on. */
  readonly address: string;
  /** Port to listen on; 0 lets the system choose. */
  readonly port: number;
  /** Workers that share the port. */
  readonly workers: number;
  /** Auxiliary threads per worker; 0 for none. */
  readonly threads: number;
  /** Name given to the service, if any. */
  readonly name: string | undefined;
  /** Front to use. */
  readonly front: FrontKind;
  /** Networks of trusted proxies. */
  readonly trustProxies: readonly string[];
  /** True in all processes of a daemon, which logs to files only. */
  readonly daemon: boolean;
}

const KNOWN: Record<keyof RunOptions, true> = {
  address: true,
  port: true,
  workers: true,
  threads: true,
  name: true,
  front: true,
  trustProxies: true,
};

const FRONTS: readonly string[] = ["auto", "fast", "edge"];

/**
 * Checks the options of `run` and fills in the defaults.
 *
 * @throws {ConfigError} for an unknown option, or one whose text cannot be used.
 * @throws {TypeError} for a value of the wrong type. @throws {RangeError} for a number out of range.
 */
export function resolveRunOptions(options: RunOptions = {}): RunSettings {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("run: options are one object, such as { port: 5000 }");
  }
  checkOptions("run", options, Object.keys(KNOWN));
  const { address, name, trustProxies, front } = options;
  if (address !== undefined && (typeof address !== "string" || address === "")) {
    throw new TypeError(`run({ address }): expected an address, got ${show(address)}`);
  }
  if (name !== undefined) checkName(name);
  if (front !== undefined && !FRONTS.includes(front)) {
    throw new ConfigError("run({ front })", `${show(front)} is none of ${FRONTS.join(", ")}`);
  }
  if (
    trustProxies !== undefined &&
    !(Array.isArray(trustProxies) && trustProxies.every((network) => typeof network === "string"))
  ) {
    throw new TypeError("run({ trustProxies }): expected a list of addresses or networks");
  }
  return {
    address: Deno.env.get(TEST_ADDRESS_ENV) || stripBrackets(address ?? "127.0.0.1"),
    port: testPort() ?? whole("port", options.port ?? 5000, 0, 65535),
    workers: workerCount(options.workers ?? 1),
    threads: whole("threads", options.threads ?? 4, 0, 1024),
    name,
    front: front ?? "auto",
    trustProxies: trustProxies ?? [],
    daemon: false,
  };
}

/** Checks what only a start needs: something to serve, and a usable critical point. */
export function checkService(service: Service): void {
  if (service.mounts.length === 0) {
    throw new ConfigError("run", "No mount point; call mount() before run()");
  }
  const point = service.criticalPoint;
  if (point === undefined) return;
  number("setWorkerCriticalPoint({ cpuPercent })", point.cpuPercent, 1, 100);
  whole("continuous", point.continuous, 1, 1_000_000, "setWorkerCriticalPoint");
  number("setWorkerCriticalPoint({ interval })", point.interval, 0, 86_400);
}

/** Windows does not share ports, so there is always one worker. */
function workerCount(workers: unknown): number {
  const count = whole("workers", workers, 1, 1024);
  return Deno.build.os === "windows" ? 1 : count;
}

function testPort(): number | undefined {
  const text = Deno.env.get(TEST_PORT_ENV);
  if (!text) return undefined;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) {
    throw new ConfigError(`environment ${TEST_PORT_ENV}`, `${show(text)} is not a port`);
  }
  return Number(text);
}

function checkName(name: unknown): void {
  if (typeof name !== "string") {
    throw new TypeError(`run({ name }): expected a text, got ${show(name)}`);
  }
  // The name becomes a directory and a process title.
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (name.trim() === "" || name === "." || name === ".." || /[/\\\u0000-\u001f]/.test(name)) {
    throw new ConfigError("run({ name })", `${show(name)} cannot be the name of a directory`);
  }
}

function stripBrackets(address: string): string {
  return address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
}

function whole(option: string, value: unknown, least: number, most: number, of = "run"): number {
  const where = `${of}({ ${option} })`;
  const checked = number(where, value, least, most);
  if (!Number.isInteger(checked)) {
    throw new RangeError(`${where}: expected a whole number, got ${checked}`);
  }
  return checked;
}

function number(where: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`${where}: expected a number, got ${show(value)}`);
  }
  if (!(value >= least && value <= most)) {
    throw new RangeError(`${where}: expected ${least} to ${most}, got ${value}`);
  }
  return value;
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
