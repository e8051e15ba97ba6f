/**
 * Service modules: parts of an app in files of their own, mounted with options, replaced and taken away
 * without touching the others.
 *
 * @module
 */

import { pathToFileURL } from "../core/file_path.ts";
import { isThenable } from "../core/handler.ts";
import { wac } from "../was/wac.ts";
import { checkAuthenticate } from "./auth/scheme.ts";
import type { Authenticate } from "./auth/scheme.ts";
import type { Atila } from "./atila.ts";
import { resolve } from "./path.ts";
import { Scope } from "./scope.ts";

/** Options of `app.mountWith`. Further ones are for the module. */
export interface ServiceOptions {
  /** Prefix of its rules, such as `/account`. Default none. */
  point?: string;
  /** Namespace of its handlers: `signin` becomes `account.signin`. Default none. */
  ns?: string;
  /** Authentication of its routes that name none themselves. Default: that of the app. */
  authenticate?: Authenticate;
  /** Mount it only while `app.debug` is on. Default false. */
  debugOnly?: boolean;
  /** Anything the module wants to know. */
  // deno-lint-ignore no-explicit-any -- options of the module
  [custom: string]: any;
}

/** A service module: a file that exports these functions. */
export interface ServiceModule {
  /** Registers routes, hooks, handlers and listeners. May return a promise. */
  // deno-lint-ignore no-explicit-any -- modules declare the options they know
  mount(app: Atila, options: any): unknown;
  /** Frees what `mount` took. Registrations need not be taken back. May return a promise. */
  umount?(app: Atila): unknown;
  /** Same as `umount`. */
  unmount?(app: Atila): unknown;
}

/** A module, or where it is: a path from the directory of the app, or a URL. */
export type ServiceTarget = ServiceModule | string | URL;

interface Mounted {
  module: ServiceModule;
  readonly specifier: string | undefined;
  readonly options: ServiceOptions;
  readonly scope: Scope;
  /** While its `mount` is under way: resolves when that is over, to whether it succeeded. */
  mounting: Promise<boolean> | undefined;
  /** Once it is being taken away. */
  ended: Promise<void> | undefined;
}

/** A mount that takes time, which knows whether anybody waits for it. */
class Mounting extends Promise<void> {
  /** Whether its failure is told to somebody. */
  isWaitedFor = false;

  /** What follows from it is a promise like any other. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  override then<A = void, B = never>(
    onMounted?: ((value: void) => A | PromiseLike<A>) | null,
    onFailed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isWaitedFor = true;
    return super.then(onMounted, onFailed);
  }
}

/** The service modules of one app. */
export class Services {
  readonly #app: Atila;
  #mounted: Mounted[] = [];
  /** Modules that wait for debug. */
  #waiting: { target: ServiceTarget; options: ServiceOptions }[] = [];
  readonly #pending = new Set<Promise<void>>();
  /** Mounts that failed, for what reason. */
  readonly #failed = new Map<Mounting, unknown>();
  #loads = 0;

  /** Services of an app. */
  constructor(app: Atila) {
    this.#app = app;
  }

  /** See `Atila.mountWith`. */
  mount(target: ServiceTarget, options: ServiceOptions): void | Promise<void> {
    const where = `mountWith(${typeof target === "object" ? "…" : JSON.stringify(target)})`;
    const { point, ns } = options;
    if (point !== undefined && (!/^(\/[^/<>?#]+)*\/?$/.test(point) || point === "")) {
      throw new TypeError(
        `${where}: ${JSON.stringify(point)} is no prefix; write it like /account`,
      );
    }
    if (ns !== undefined && !/^[A-Za-z_]\w*$/.test(ns)) {
      throw new TypeError(`${where}: ${JSON.stringify(ns)} is no namespace; it is one word`);
    }
    checkAuthenticate(where, options.authenticate);
    if (options.debugOnly && !this.#app.debug) {
      this.#waiting.push({ target, options });
      return;
    }
    if (typeof target === "object" && !(target instanceof URL)) {
      return this.#track(this.#begin({ module: checkModule(where, target), options }));
    }
    const specifier = this.#resolve(target);
    return this.#track((async () => {
      const module = checkModule(where, await import(specifier));
      await this.#begin({ module, specifier, options });
    })());
  }

  /** Mounts what waited for debug, if it is on now. */
  recheck(): void {
    if (!this.#app.debug) return;
    for (const { target, options } of this.#waiting.splice(0)) this.mount(target, options);
  }

  /** Waits until nothing is being mounted any more. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** The same. @throws the reason why one could not be mounted, unless somebody waited for it. */
  async complete(): Promise<void> {
    await this.settled();
    for (const [mounting, error] of this.#failed) if (!mounting.isWaitedFor) throw error;
  }

  /** See `Atila.reloadService`. */
  async reload(target: string | URL): Promise<void> {
    const specifier = this.#resolve(target);
    const present = this.#mounted.filter((entry) => entry.specifier === specifier);
    if (present.length === 0) {
      throw new ReferenceError(`Cannot reload ${specifier}: no service was mounted from there`);
    }
    // A module is never forgotten, so the new text needs another address.
    const fresh = checkModule(
      `reloadService(${JSON.stringify(String(target))})`,
      await import(`${specifier}?loaded=${Date.now()}.${++this.#loads}`),
    );
    for (const entry of present) {
      const { module, options } = entry;
      await this.#afterEnd(entry, async () => {
        try {
          await this.#begin({ module: fresh, specifier, options });
        } catch (error) {
          await this.#begin({ module, specifier, options });
          throw error;
        }
      });
    }
  }

  /** See `Atila.umountService`. */
  async umount(target: ServiceTarget): Promise<boolean> {
    const isModule = typeof target === "object" && !(target instanceof URL);
    const specifier = isModule ? undefined : this.#resolve(target);
    const found = this.#mounted.filter((entry) =>
      isModule ? entry.module === target : entry.specifier === specifier
    );
    const results = await Promise.allSettled(found.map((entry) => this.#end(entry)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return found.length > 0;
  }

  /** Tells all modules, the last one first, that the app ends. What they registered stays. */
  async release(report: (error: unknown) => void): Promise<void> {
    for (const { module, mounting } of this.#mounted.splice(0).reverse()) {
      try {
        if (await mounting === false) continue;
        await (module.umount ?? module.unmount)?.call(module, this.#app);
      } catch (error) {
        report(error);
      }
    }
  }

  #resolve(target: string | URL): string {
    const text = String(target);
    if (/^(?:file|https?|npm|jsr|data|node):/.test(text)) return text;
    // A bare name is found by the import map of the app, which only the app's own imports know.
    return pathToFileURL(resolve(this.#app.home, text)).href;
  }

  /** Mounts a module; one that was mounted in the same place is taken away first. */
  #begin(
    { module, specifier, options }: {
      module: ServiceModule;
      specifier?: string;
      options: ServiceOptions;
    },
  ): void | Promise<void> {
    const before = this.#mounted.find((entry) =>
      (specifier === undefined ? entry.module === module : entry.specifier === specifier) &&
      entry.options.point === options.point && entry.options.ns === options.ns
    );
    if (before !== undefined) {
      return this.#afterEnd(before, () => this.#begin({ module, specifier, options }));
    }
    const point = options.point?.replace(/\/$/, "");
    const scope = new Scope(this.#app, {
      point,
      ns: options.ns,
      authenticate: options.authenticate,
    });
    const entry: Mounted = {
      module,
      specifier,
      options,
      scope,
      mounting: undefined,
      ended: undefined,
    };
    // From now on, so that whoever takes it away or mounts it again meanwhile finds it.
    this.#mounted.push(entry);
    const failed = (error: unknown): never => {
      this.#mounted = this.#mounted.filter((other) => other !== entry);
      scope.end();
      throw error;
    };
    try {
      const result = scope.run(() => module.mount(this.#app, options));
      if (!isThenable(result)) return;
      const mounted = Promise.resolve(result).then(() => {}, failed);
      entry.mounting = mounted.then(() => true, () => false);
      return mounted;
    } catch (error) {
      failed(error);
    }
  }

  /** Takes a service away and puts something in its place, also when its `umount` fails. */
  async #afterEnd(entry: Mounted, next: () => void | Promise<void>): Promise<void> {
    const [ended] = await Promise.allSettled([this.#end(entry)]);
    await next();
    if (ended.status === "rejected") throw ended.reason;
  }

  /** Takes a service away, once; resolves when it is gone. */
  #end(entry: Mounted): Promise<void> {
    return entry.ended ??= this.#endOnce(entry);
  }

  async #endOnce(entry: Mounted): Promise<void> {
    const { module, scope, mounting } = entry;
    this.#mounted = this.#mounted.filter((other) => other !== entry);
    try {
      if (await mounting === false) return;
      await (module.umount ?? module.unmount)?.call(module, this.#app);
    } finally {
      scope.end();
    }
  }

  /**
   * Remembers a mount that takes time. Its failure belongs to who waits for it, or else to the start; the
   * log has it as well.
   */
  #track(result: void | Promise<void>): void | Promise<void> {
    if (result === undefined) return;
    const mounting = new Mounting((resolve) => resolve(result));
    const pending = this.#pending;
    const done: Promise<void> = result
      .catch((error) => {
        this.#failed.set(mounting, error);
        wac.logger.get("app").trace(error, "mountWith");
      })
      .then(() => void pending.delete(done));
    pending.add(done);
    // The failure has been taken note of. Its own `then` is for those who wait for it.
    Promise.prototype.then.call(mounting, undefined, () => {});
    return mounting;
  }
}

function checkModule(where: string, module: unknown): ServiceModule {
  if (typeof (module as Partial<ServiceModule> | null)?.mount !== "function") {
    throw new TypeError(`${where}: the module exports no function "mount"`);
  }
  return module as ServiceModule;
}
