/**
 * What a start script says about its service before `run`: mounts, aliases, limits, logs, TLS. The
 * functions here only record; the engine reads.
 *
 * @module
 */

import { ConfigError } from "../core/errors.ts";
import type { Preferences } from "../core/app.ts";
import type { FrontKind } from "./front.ts";

/** Options of `mount`. */
export interface MountOptions {
  /** Name of the export that is the app, for file mounts. Default `"app"`. */
  export?: string;
  /** Preferences that override the app's own values. */
  pref?: Preferences;
  /** Virtual host rule: names separated by blanks, `.suffix`, `*.suffix`. Default `"default"`. */
  host?: string;
  /** Foreign apps only: cut the mount prefix off the request URL. Default false. */
  stripPrefix?: boolean;
}

/** One call of `mount`, as recorded. */
export interface MountSpec extends Required<Omit<MountOptions, "pref">> {
  /** Prefix as given. */
  readonly point: string;
  /** Directory, file, `@alias`, app object or function. */
  readonly target: unknown;
  /** Preferences, if given. */
  readonly pref: Preferences | undefined;
}

/** Options of `run`. */
export interface RunOptions {
  /** Address to listen on. Default `127.0.0.1`; a value with `:` is IPv6; `0.0.0.0` opens all interfaces. */
  address?: string;
  /** Port. Default 5000; 0 lets the system choose. */
  port?: number;
  /** Workers that share the port. Default 1. */
  workers?: number;
  /** Auxiliary threads per worker for blocking jobs. Default 4; 0 for none. */
  threads?: number;
  /** Name of the service: process title, pid, var and log directories. */
  name?: string;
  /** Which front accepts connections. Default `"auto"`. */
  front?: FrontKind;
  /** Networks of proxies in front of this server; their `X-Forwarded-For` is believed, and `auto` chooses `fast`. */
  trustProxies?: readonly string[];
}

/** TLS settings, as given to `enableSsl`. */
export interface SslSpec {
  /** Certificate file, PEM; may hold the key too. */
  readonly certFile: string;
  /** Key file, PEM. */
  readonly keyFile: string | undefined;
  /** Passphrase of an encrypted key. */
  readonly passphrase: string | undefined;
}

/** Everything recorded. */
export interface Service {
  /** Calls of `mount`, in order. */
  readonly mounts: MountSpec[];
  /** Seconds between requests on a connection. */
  keepAliveSeconds: number;
  /** Seconds without a byte while in transfer. */
  requestTimeoutSeconds: number;
  /** TLS, if enabled. */
  ssl: SslSpec | undefined;
  /** Plain listener that forwards to HTTPS, if enabled. */
  forward: { readonly fromPort: number; readonly toPort: number; readonly ip: string } | undefined;
  /** `Cache-Control` ages of static files, by path prefix, in seconds. */
  readonly maxAges: Map<string, number>;
  /** Patterns whose requests are not logged. */
  readonly logOff: string[];
  /** Directory of log files; `""` for the default one; `undefined` for console only. */
  logDirectory: string | undefined;
  /** When to replace an overloaded worker. */
  criticalPoint: CriticalPoint | undefined;
}

/** When a worker counts as overloaded. */
export interface CriticalPoint {
  /** CPU share in percent. Default 90. */
  readonly cpuPercent: number;
  /** Samples in a row. Default 3. */
  readonly continuous: number;
  /** Seconds between samples; 0 turns it off. Default 20. */
  readonly interval: number;
}

/** The service of this script. */
export const service: Service = {
  mounts: [],
  keepAliveSeconds: 30,
  requestTimeoutSeconds: 30,
  ssl: undefined,
  forward: undefined,
  maxAges: new Map(),
  logOff: [],
  logDirectory: undefined,
  criticalPoint: undefined,
};

/** Rejects option names nobody knows, naming the known ones. */
export function checkOptions(where: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      throw new ConfigError(where, `unknown option "${name}"; known are ${known.join(", ")}`);
    }
  }
}
