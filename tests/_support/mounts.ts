/**
 * Mount tables made of a few words, for tests.
 *
 * @module
 */

import { createContext } from "../../src/core/context.ts";
import type { LifecyclePhase, MountedApp, MountInfo } from "../../src/core/app.ts";
import { type BodyLimits, DEFAULT_BODY_LIMITS } from "../../src/core/app.ts";
import type { Handler } from "../../src/core/handler.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import { createMountTable, type MountDeps, type MountTable } from "../../src/server/mount_table.ts";
import type { MountOptions, MountSpec } from "../../src/server/service.ts";
import { type ListLog, listLog } from "./list_log.ts";

/** One mount: prefix, target, options. */
export type MountWords = readonly [point: string, target: unknown, options?: MountOptions];

/** A specification as `mount` records it. */
export function specOf([point, target, options = {}]: MountWords): MountSpec {
  return {
    point,
    target,
    export: options.export ?? "app",
    pref: options.pref,
    host: options.host ?? "default",
    stripPrefix: options.stripPrefix ?? false,
    path: [options.path ?? []].flat(),
  };
}

/** A table with its log, asked without a socket. */
export interface TestTable {
  /** The table. */
  readonly table: MountTable;
  /** What it and its apps logged. */
  readonly log: ListLog;
  /** Its handler, answering errors as in a server. */
  readonly handler: Handler;
  /** Asks an address such as `/x?q=1` or `http://host/x`. */
  ask(address: string, init?: RequestInit): Promise<Response>;
  /** The text that comes back. */
  text(address: string, init?: RequestInit): Promise<string>;
}

/** Makes a table. */
export async function tableOf(
  mounts: readonly MountWords[],
  deps: Partial<MountDeps> = {},
): Promise<TestTable> {
  const log = listLog();
  const table = await createMountTable(mounts.map(specOf), {
    log,
    maxAges: new Map(),
    isDevel: true,
    ...deps,
  });
  const handler = errorGuard({ log })(table.handler);
  const ask = async (address: string, init?: RequestInit): Promise<Response> => {
    const url = address.startsWith("/") ? `http://h.example${address}` : address;
    const req = new Request(url, init);
    return await handler(req, createContext({ url }));
  };
  return {
    table,
    log,
    handler,
    ask,
    text: async (address, init) => await (await ask(address, init)).text(),
  };
}

/** An app with a life that says where it was reached. */
export class PlaceApp implements MountedApp {
  /** What it was told. */
  info: MountInfo | undefined;
  /** How often it was told. */
  attached = 0;
  /** Phases it went through. */
  readonly phases: LifecyclePhase[] = [];
  limits: BodyLimits = DEFAULT_BODY_LIMITS;
  debug = false;
  useReloader = false;
  watched: readonly string[];

  /** Names it by its file. */
  constructor(file = "/srv/place.ts") {
    this.watched = [file];
  }

  /** Answers with its place. */
  readonly handle: Handler = (req, ctx) =>
    new Response(`${this.info?.name}@${ctx.mountPoint} ${req.method} ${ctx.path}`);

  /** Applies the preferences the way apps do. */
  attach(info: MountInfo): void {
    this.attached++;
    this.info = info;
    const { config: _config, ...properties } = info.pref;
    Object.assign(this, properties);
  }

  /** Remembers the phase. */
  lifecycle(phase: LifecyclePhase): Promise<void> {
    this.phases.push(phase);
    return Promise.resolve();
  }
}
