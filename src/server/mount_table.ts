/**
 * Everything that is mounted, as one handler.
 *
 * @module
 */

import type { MountedApp, Preferences } from "../core/app.ts";
import { asError, ConfigError, HttpError } from "../core/errors.ts";
import { compose, type Handler } from "../core/handler.ts";
import type { Log } from "../core/log.ts";
import { bodyLimit } from "../middleware/body_limit.ts";
import { errorGuard } from "../middleware/error_guard.ts";
import { StaticDirectory } from "../mounts/static.ts";
import { type LoadedTarget, loadTarget, resolveTarget, whereOf } from "./app_loader.ts";
import { getswd } from "./paths.ts";
import { projectRoots, projectScripts } from "./project.ts";
import type { MountSpec } from "./service.ts";
import { type HostEntry, type HostName, parseHostRule, virtualHosts } from "./virtual_hosts.ts";

/** What {@link createMountTable} needs from its surroundings. */
export interface MountDeps {
  /** App log: errors thrown by apps, at start and while they answer. */
  readonly log: Log;
  /** Server log: mounts that failed or collided. Default: the app log. */
  readonly serverLog?: Log;
  /** `Cache-Control` ages of static files in seconds, by path prefix. */
  readonly maxAges: ReadonlyMap<string, number>;
  /** Value of the `Server` header, where the server adds it to all responses. Default: nobody adds it. */
  readonly serverHeader?: string;
  /** False in production, where `debug` and `useReloader` are off for every app. */
  readonly isDevel: boolean;
  /** Directory that relative targets start from. Default: that of the start script. */
  readonly directory?: string;
  /** The mounts that may fail, as {@link MountTable.missing} names them. Default: all of them. */
  readonly mayMiss?: readonly string[];
}

/** A mounted app and where it is. */
export interface AppMount {
  /** The app, attached. */
  readonly app: MountedApp;
  /** Its name, by which the other apps of the host know it; `""` when it has none. */
  readonly name: string;
  /** Host rule as given. */
  readonly host: string;
  /** Prefix with its final slash. */
  readonly mountPoint: string;
}

/** The mounts of a service. */
export interface MountTable {
  /** Answers every request, or throws an `HttpError` where nothing does. */
  readonly handler: Handler;
  /** Apps in the order of their mounts; the engine tells them the phases of their life. */
  readonly apps: readonly MountedApp[];
  /** The same apps with their names and places. */
  readonly mounts: readonly AppMount[];
  /** Files and directories whose change calls for a reload, of the apps that want one. */
  readonly watched: readonly string[];
  /** The mounts that could not be loaded. */
  readonly missing: readonly string[];
}

/** A prefix of one host with what answers below it. */
interface Place {
  readonly mountPoint: string;
  statics?: StaticDirectory;
  app?: Handler;
}

/**
 * Loads, attaches and arranges all mounts. An app that cannot be loaded is logged with its stack,
 * and the others start without it, unless `mayMiss` says that it was there before.
 *
 * @throws {ConfigError} for targets that do not exist or are of an unknown kind, wrong host rules
 * and mount points, and when not a single mount could be loaded, or one that must not be missing.
 */
export async function createMountTable(
  specs: readonly MountSpec[],
  deps: MountDeps,
): Promise<MountTable> {
  const directory = deps.directory ?? getswd();
  // All of the configuration is looked at before the code of any app runs.
  const planned = specs.map((spec) => ({
    spec,
    mountPoint: normalizePoint(spec),
    hosts: parseHostRule(whereOf(spec), spec.host),
    target: resolveTarget(spec, directory),
  }));
  const builder = new Builder(deps);
  let failure: { spec: MountSpec; error: unknown } | undefined;
  let loaded = 0;
  const missing: string[] = [];
  for (const { spec, mountPoint, hosts, target } of planned) {
    try {
      if (target.kind === "directory") {
        builder.addStatic(spec, mountPoint, hosts, target.directory);
      } else {
        await builder.addApp(spec, mountPoint, hosts, await loadTarget(spec, target));
      }
      loaded++;
    } catch (error) {
      const name = `${spec.host ?? ""} ${spec.point}`;
      if (deps.mayMiss?.includes(name) === false) {
        deps.log.trace(error, "mount");
        throw mountError(spec, error, "could not be loaded again");
      }
      missing.push(name);
      failure ??= { spec, error };
      (deps.serverLog ?? deps.log).log(
        `${whereOf(spec)} failed, the others start without it: ${asError(error).message}`,
        "error",
      );
      deps.log.trace(error, "mount");
    }
  }
  if (loaded === 0 && failure !== undefined) {
    throw mountError(failure.spec, failure.error, "nothing could be mounted");
  }
  return { ...builder.finish(), missing };
}

/** The error of a mount, without its place twice. */
function mountError(spec: MountSpec, error: unknown, what: string): ConfigError {
  const where = whereOf(spec);
  const { message } = asError(error);
  const reason = message.startsWith(`${where}: `) ? message.slice(where.length + 2) : message;
  return new ConfigError(where, `${what}: ${reason}`, { cause: error });
}

/** A prefix as it is compared with request paths: percent-encoded, with its final slash. */
function normalizePoint(spec: MountSpec): string {
  const point = decoded(spec.point.endsWith("/") ? spec.point : `${spec.point}/`);
  if (
    point === undefined || /%2f/i.test(spec.point) || !point.startsWith("/") ||
    // deno-lint-ignore no-control-regex -- they are what is looked for
    /\/\/|[?#\\\x00-\x1f\x7f]|\/\.{1,2}\//.test(point)
  ) {
    throw new ConfigError(whereOf(spec), "a mount point is a plain path such as /shop");
  }
  return new URL(`http://host${point.replaceAll("%", "%25")}`).pathname;
}

/** Percent-decoded; `undefined` for what cannot be. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Preferences as they reach the app: production forces the developer's switches off. */
function effectivePreferences(pref: Preferences | undefined, isDevel: boolean): Preferences {
  const own: Preferences = { ...pref, config: pref?.config ?? {} };
  return isDevel ? own : { ...own, debug: false, useReloader: false };
}

/** Collects mounts by host name. */
class Builder {
  readonly #deps: MountDeps;
  readonly #mounts: AppMount[] = [];
  /** Where an app with a life is mounted, and its folded handler. It is attached only once. */
  readonly #attached = new Map<MountedApp, { mount: AppMount; handler: Handler }>();
  /** Directories of the projects that apps belong to. */
  readonly #projects = new Map<MountedApp, readonly string[]>();
  /** Apps by name, for each host rule. */
  readonly #names = new Map<string, Map<string, MountedApp>>();
  readonly #hosts = new Map<string, { host: HostName; places: Map<string, Place> }>();

  constructor(deps: MountDeps) {
    this.#deps = deps;
  }

  addStatic(
    spec: MountSpec,
    mountPoint: string,
    hosts: readonly HostName[],
    directory: string,
  ): void {
    const { maxAges, log, serverLog = log, serverHeader: server } = this.#deps;
    const statics = new StaticDirectory(directory, { mountPoint, maxAges, log: serverLog, server });
    for (const host of hosts) {
      const place = this.#place(host, mountPoint);
      if (place.statics !== undefined) this.#warnReplaced(spec, "directory");
      place.statics = statics;
    }
  }

  async addApp(
    spec: MountSpec,
    mountPoint: string,
    hosts: readonly HostName[],
    { app, name }: LoadedTarget,
  ): Promise<void> {
    const rule = ruleKey(hosts);
    let names = this.#names.get(rule);
    if (names === undefined) this.#names.set(rule, names = new Map());

    const earlier = this.#attached.get(app);
    if (earlier !== undefined && earlier.mount.mountPoint !== mountPoint) {
      this.#skip(spec, `the same app is mounted at ${earlier.mount.mountPoint} already`);
      return;
    }
    const replaces = hosts.some((host) => this.#place(host, mountPoint).app !== undefined);
    const namesake = names.get(name);
    const fromFile = typeof spec.target === "string" || spec.target instanceof URL;
    if (namesake !== undefined && namesake !== app && !replaces && fromFile) {
      this.#skip(spec, `an app named ${JSON.stringify(name)} is mounted on this host already`);
      return;
    }
    if (replaces) this.#warnReplaced(spec, "app");

    let handler: Handler;
    if (earlier === undefined) {
      const { isDevel } = this.#deps;
      app.attach({
        mountPoint,
        host: spec.host,
        name,
        pref: effectivePreferences(spec.pref, isDevel),
        apps: names,
      });
      await app.ready?.();
      const mount = { app, name, host: spec.host, mountPoint };
      handler = this.#fold(app);
      this.#attached.set(app, { mount, handler });
      if (spec.path !== undefined && spec.path.length > 0) {
        const { directory = getswd() } = this.#deps;
        this.#projects.set(app, projectRoots(whereOf(spec), spec.path, directory));
      }
      this.#mounts.push(mount);
    } else {
      handler = earlier.handler;
    }
    if (name !== "" && (namesake === undefined || replaces)) names.set(name, app);
    for (const host of hosts) this.#place(host, mountPoint).app = handler;
  }

  finish(): Omit<MountTable, "missing"> {
    const entries: HostEntry[] = [];
    const used = new Set<Handler | undefined>();
    for (const { host, places } of this.#hosts.values()) {
      const filled = [...places.values()].filter(({ statics, app }) => statics ?? app);
      for (const { app } of filled) used.add(app);
      entries.push({ host, handler: hostHandler(filled) });
    }
    // An app whose every place was taken by a later mount has no life to lead.
    for (const [app, { mount, handler }] of this.#attached) {
      if (used.has(handler)) continue;
      this.#mounts.splice(this.#mounts.indexOf(mount), 1);
      for (const names of this.#names.values()) {
        if (names.get(mount.name) === app) names.delete(mount.name);
      }
    }
    const { isDevel } = this.#deps;
    const watched = new Set<string>();
    for (const { app } of this.#mounts) {
      if (!isDevel || !app.useReloader) continue;
      for (const path of app.watched) watched.add(path);
      for (const path of projectScripts(this.#projects.get(app) ?? [])) watched.add(path);
    }
    return {
      handler: virtualHosts(entries),
      apps: this.#mounts.map(({ app }) => app),
      mounts: this.#mounts,
      watched: [...watched],
    };
  }

  #fold(app: MountedApp): Handler {
    const { log, isDevel } = this.#deps;
    const guard = errorGuard({ log, debug: isDevel && app.debug });
    return compose([guard, bodyLimit(app.limits)], app.handle);
  }

  #place(host: HostName, mountPoint: string): Place {
    const key = hostKey(host);
    let entry = this.#hosts.get(key);
    if (entry === undefined) this.#hosts.set(key, entry = { host, places: new Map() });
    let place = entry.places.get(mountPoint);
    if (place === undefined) entry.places.set(mountPoint, place = { mountPoint });
    return place;
  }

  #skip(spec: MountSpec, reason: string): void {
    const { log, serverLog = log } = this.#deps;
    serverLog.log(`${whereOf(spec)} is skipped: ${reason}`, "error");
  }

  #warnReplaced(spec: MountSpec, what: string): void {
    const { log, serverLog = log } = this.#deps;
    serverLog.log(
      `${whereOf(spec)} replaces the ${what} that was mounted there before`,
      "warn",
    );
  }
}

function hostKey(host: HostName): string {
  if (host.kind === "default") return "default";
  return host.kind === "exact" ? host.name : `${host.own ? "" : "*"}${host.name}`;
}

function ruleKey(hosts: readonly HostName[]): string {
  return hosts.map(hostKey).sort().join(" ");
}

/** One host: the longest prefix decides, and on one prefix files come before the app. */
function hostHandler(places: readonly Place[]): Handler {
  const sorted = [...places].sort((a, b) => b.mountPoint.length - a.mountPoint.length);
  const statics = sorted.flatMap((place) => place.statics ?? []);
  const apps = sorted.flatMap(({ mountPoint, app }) =>
    app === undefined ? [] : [{ mountPoint, handle: app }]
  );
  // By far the most frequent service is one app, and it should cost nothing to find.
  const only = apps[0];
  if (statics.length === 0 && apps.length === 1 && only?.mountPoint === "/") {
    const { handle } = only;
    return function onlyApp(req, ctx) {
      ctx.mountPoint = "/";
      return ctx.path.startsWith("/") ? handle(req, ctx) : notFound();
    };
  }
  const prefixes = sorted.map(({ mountPoint }) => mountPoint).filter((point) => point !== "/");
  const slashless = new Set(prefixes.map((mountPoint) => mountPoint.slice(0, -1)));
  return function mountTable(req, ctx) {
    const { path } = ctx;
    if (slashless.has(path)) return redirectTo(`${path}/`, ctx.query);
    if (path.includes("%")) {
      const usual = respelled(path, prefixes);
      if (usual !== path) return redirectTo(usual, ctx.query);
    }
    const app = apps.find((app) => path.startsWith(app.mountPoint));
    const files = statics.find((files) => path.startsWith(files.mountPoint));
    if (files !== undefined && (!app || files.mountPoint.length >= app.mountPoint.length)) {
      ctx.mountPoint = files.mountPoint;
      if (app === undefined) return files.handle(req, ctx);
      const found = files.tryServe(req, ctx);
      if (found instanceof Promise) {
        return found.then((res) => res ?? enter(app, req, ctx));
      }
      if (found !== undefined) return found;
    }
    return app === undefined ? notFound() : enter(app, req, ctx);
  };
}

function enter(
  app: { readonly mountPoint: string; readonly handle: Handler },
  ...[req, ctx]: Parameters<Handler>
): ReturnType<Handler> {
  ctx.mountPoint = app.mountPoint;
  return app.handle(req, ctx);
}

/**
 * The path with its prefix spelled as the mount point is: `/%73hop/a%20b` is `/shop/a%20b`. Otherwise a
 * shorter mount would answer for what the longer one keeps from it.
 */
function respelled(path: string, prefixes: readonly string[]): string {
  const segments = path.split("/");
  const prefix = prefixes.find((mountPoint) =>
    mountPoint.split("/").slice(0, -1).every((segment, i) =>
      segment === segments[i] || decoded(segment) === decoded(segments[i] ?? "")
    )
  );
  if (prefix === undefined || path.startsWith(prefix)) return path;
  return prefix + segments.slice(prefix.split("/").length - 1).join("/");
}

/** 308 keeps method and body. */
function redirectTo(path: string, query: string): Response {
  const location = query === "" ? path : `${path}?${query}`;
  return new Response(null, { status: 308, headers: { location } });
}

function notFound(): never {
  throw new HttpError(404);
}
