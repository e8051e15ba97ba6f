/**
 * What a start script says about its service before `run`: mounts, aliases, limits, logs, TLS. The
 * functions here only record; the engine reads.
 *
 * @module
 */

import { ConfigError } from "../core/errors.ts";
import { SOFTWARE } from "../core/version.ts";
import type { FetchFunction, Preferences } from "../core/app.ts";
import { checkSecureHeaders, type SecureHeadersOptions } from "../middleware/secure_headers.ts";
import type { FrontKind, FrontLimits } from "./front.ts";

/**
 * What can be mounted: the path of a directory or script, the address of a module, a function, an Atila
 * app, an app of another framework, or a module that was imported.
 */
export type MountTarget = string | URL | FetchFunction | object;

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
  /**
   * Directories of a project: a relative target is looked for there, in this order, before it is in the
   * directory of the start script, where relative ones start. With the reloader on, all scripts below
   * them are watched. Default: none.
   */
  path?: string | URL | readonly (string | URL)[];
}

/** One call of `mount`, as recorded. */
export interface MountSpec extends Required<Omit<MountOptions, "pref" | "path">> {
  /** Prefix as given. */
  readonly point: string;
  /** Directory, file, `@alias`, app object or function. */
  readonly target: unknown;
  /** Preferences, if given. */
  readonly pref: Preferences | undefined;
  /** Directories of the project, as given. Default: none. */
  readonly path?: readonly (string | URL)[];
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
  /**
   * Addresses or networks of proxies in front of this server: `auto` chooses `fast` for them. Default
   * none. Nothing else depends on it; who really gets through is a matter of the firewall.
   */
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
  /** Limits of the front that are not the default ones. */
  frontLimits: Partial<FrontLimits>;
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
  /** Value of the `Server` header; `""` for none. */
  serverHeader: string;
  /** Security headers for all responses, if they were asked for. */
  secureHeaders: SecureHeadersOptions | undefined;
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
  frontLimits: {},
  ssl: undefined,
  forward: undefined,
  maxAges: new Map(),
  logOff: [],
  logDirectory: undefined,
  criticalPoint: undefined,
  serverHeader: "Skitai",
  secureHeaders: undefined,
};

/** Rejects option names nobody knows, naming the known ones. */
export function checkOptions(where: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      throw new ConfigError(where, `unknown option "${name}"; known are ${known.join(", ")}`);
    }
  }
}

/**
 * Attaches a target to a URL prefix.
 *
 * A directory is served as static files; a script is imported and its export answers; an Atila app, an
 * object with `fetch` or a function answers itself. The order of calls does not matter between different
 * prefixes: the longest one that fits decides, and on one prefix files come before apps. Relative paths
 * start at the directory of the start script.
 *
 * @throws {ConfigError} for a prefix that does not start with `/`, an unknown option, or no target.
 *
 * @example
 * ```ts
 * import * as skitai from "@skitai/skitai";
 *
 * skitai.mount("/", () => new Response("hello"));
 * ```
 */
export function mount(point: string, target: MountTarget, options: MountOptions = {}): void {
  const where = `mount(${JSON.stringify(point)})`;
  if (typeof point !== "string" || !point.startsWith("/")) {
    throw new ConfigError(where, "a mount point starts with /");
  }
  if (target === undefined || target === null || target === "") {
    throw new ConfigError(where, "there is nothing to mount: the target is empty");
  }
  if (typeof options !== "object" || options === null) {
    throw new ConfigError(where, "options are one object, such as { host, pref, export }");
  }
  checkOptions(where, options, ["export", "pref", "host", "stripPrefix", "path"]);
  for (const name of ["export", "host"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "string") {
      throw new ConfigError(where, `${name} is a text, got ${Deno.inspect(options[name])}`);
    }
  }
  if (options.pref !== undefined && (typeof options.pref !== "object" || options.pref === null)) {
    throw new ConfigError(where, `pref is what pref() gives, got ${Deno.inspect(options.pref)}`);
  }
  const path = options.path === undefined ? [] : [options.path].flat();
  if (path.some((one) => !(one instanceof URL) && (typeof one !== "string" || one === ""))) {
    throw new ConfigError(where, "path is a directory or a list of directories");
  }
  service.mounts.push({
    point,
    target,
    export: options.export ?? "app",
    pref: options.pref,
    host: options.host ?? "default",
    stripPrefix: options.stripPrefix ?? false,
    path,
  });
}

/**
 * Preferences for {@link mount}: an object whose properties override those of the app, and a `config`
 * that is merged over the app's own. With `preset` the debug page and the reloader are on, as one wants
 * them while developing; in production both are forced off whatever stands here.
 *
 * @example
 * ```ts
 * import * as skitai from "@skitai/skitai";
 *
 * const pref = skitai.pref();
 * pref.debug = true;
 * pref.config.uploadDir = "/var/tmp/uploads";
 * ```
 */
export function pref(preset = false): Preferences {
  return preset ? { debug: true, useReloader: true, config: {} } : { config: {} };
}

function seconds(where: string, value: number, least: number): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < least) {
    throw new RangeError(
      `${where}: expected a number of at least ${least} seconds, got ${Deno.inspect(value)}`,
    );
  }
  return value;
}

/** Sets how many seconds a connection may stay open between two requests. Default 30. @throws {RangeError} below 1. */
export function setKeepAlive(value: number): void {
  service.keepAliveSeconds = seconds("setKeepAlive", value, 1);
}

/**
 * Sets how many seconds may pass without a byte sent or received while a request or response is in
 * transfer; then the connection is dropped and logged. Default 30. @throws {RangeError} below 1.
 */
export function setRequestTimeout(value: number): void {
  service.requestTimeoutSeconds = seconds("setRequestTimeout", value, 1);
}

/** @deprecated Use {@link setRequestTimeout}. */
export function setNetworkTimeout(value: number): void {
  setRequestTimeout(value);
}

/**
 * Sets for how many seconds clients may keep static files below a path: `Cache-Control: max-age` and
 * `Expires`. The longest path wins, `/` covers all, 0 sends neither header.
 *
 * @throws {ConfigError} for a path that does not start with `/`. @throws {RangeError} below 0.
 */
export function setMaxAge(path: string, value: number): void {
  if (typeof path !== "string" || !path.startsWith("/")) {
    throw new ConfigError(`setMaxAge(${JSON.stringify(path)})`, "a path starts with /");
  }
  service.maxAges.set(path, seconds("setMaxAge", value, 0));
}

/**
 * Speaks TLS only, HTTP/2 and HTTP/1.1 by ALPN. Without a key file the key stands in the certificate
 * file; the passphrase is for an encrypted key. The files are read when the service starts; relative
 * paths start at the directory of the start script.
 */
export function enableSsl(certFile: string, keyFile?: string, passphrase?: string): void {
  if (typeof certFile !== "string" || certFile === "") {
    throw new ConfigError("enableSsl", "the certificate file is missing");
  }
  for (const [name, value] of Object.entries({ keyFile, passphrase })) {
    // What a script reads from the environment may be missing, or null where it comes from JSON.
    if (value !== undefined && value !== null && typeof value !== "string") {
      throw new ConfigError("enableSsl", `${name} is a text, not ${typeof value}`);
    }
  }
  service.ssl = { certFile, keyFile: keyFile || undefined, passphrase: passphrase ?? undefined };
}

/**
 * Answers every request on a second, plain port with a redirect to HTTPS. Defaults: 80, 443, all addresses.
 *
 * @throws {RangeError} for what is no port. @throws {TypeError} for an address that is no text.
 */
export function enableForward(fromPort = 80, toPort = 443, ip = ""): void {
  for (const port of [fromPort, toPort]) {
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
      throw new RangeError(`enableForward: ${String(port)} is not a port`);
    }
  }
  if (typeof ip !== "string") {
    throw new TypeError(`enableForward: expected an address, got ${Deno.inspect(ip)}`);
  }
  service.forward = { fromPort, toPort, ip };
}

/**
 * What the `Server` header of responses says: `"name"` (default) `Skitai`, `"version"` also the version,
 * `Skitai/<major>.<minor>`, `"off"` leaves the header out.
 *
 * @throws {ConfigError} for anything else.
 */
export function setServerHeader(content: "name" | "version" | "off"): void {
  switch (content) {
    case "name":
      service.serverHeader = "Skitai";
      break;
    case "version":
      service.serverHeader = SOFTWARE;
      break;
    case "off":
      service.serverHeader = "";
      break;
    default:
      throw new ConfigError(
        "setServerHeader",
        `${JSON.stringify(content)} is none of "name", "version", "off"`,
      );
  }
}

/**
 * Sends security headers with every response: no sniffing of types, no framing by other sites, short
 * referrers, isolation from other origins, TLS only for a year where it came over TLS. A response that
 * sets such a header itself keeps its own. Not on unless called.
 *
 * @throws {ConfigError} for unknown options and values that cannot be sent.
 *
 * @example
 * ```ts
 * import * as skitai from "@skitai/skitai";
 *
 * skitai.secureHeaders({ contentSecurityPolicy: "default-src 'self'", frameOptions: "DENY" });
 * ```
 */
export function secureHeaders(options: SecureHeadersOptions = {}): void {
  checkSecureHeaders(options);
  service.secureHeaders = { ...options };
}

/**
 * Writes all logs to files, by default in `/var/log/skitai/<name>`; a foreground run keeps the console too.
 *
 * @throws {TypeError} for a directory that is no text.
 */
export function enableFileLogging(directory = ""): void {
  if (typeof directory !== "string") {
    throw new TypeError(`enableFileLogging: expected a directory, got ${Deno.inspect(directory)}`);
  }
  service.logDirectory = directory;
}

/**
 * Keeps requests out of the request log. `"/static/"` means a path that starts with it, `"*.css"` one
 * that ends with it. Calls add up; `/` itself is always logged.
 */
export function logOff(...patterns: string[]): void {
  for (const pattern of patterns) {
    if (typeof pattern !== "string" || pattern === "") {
      throw new ConfigError("logOff", `${JSON.stringify(pattern)} is not a pattern`);
    }
  }
  service.logOff.push(...patterns);
}

/** Restarts a worker whose CPU share stays at or above a limit. Off until this is called, or with `interval: 0`. */
export function setWorkerCriticalPoint(point: Partial<CriticalPoint> = {}): void {
  checkOptions("setWorkerCriticalPoint", point, ["cpuPercent", "continuous", "interval"]);
  service.criticalPoint = {
    cpuPercent: point.cpuPercent ?? 90,
    continuous: point.continuous ?? 3,
    interval: point.interval ?? 20,
  };
}
