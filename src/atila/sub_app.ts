/**
 * Sub-apps: routes and hooks without a server of their own, mounted in an app below a prefix.
 *
 * @module
 */

import { HttpError } from "../core/errors.ts";
import type { ArgumentDefaults, ArgumentsOf, StandardSchema } from "./arguments.ts";
import type { Atila, RouteHandler } from "./atila.ts";
import type { AppConfig } from "./config.ts";
import {
  type BeforeHook,
  checkHook,
  checkReturned,
  type FailedHook,
  isAnswer,
  type RequestHook,
} from "./hooks.ts";
import { dirname, fromFileUrl, resolve } from "./path.ts";
import { type DataObject, discardReturned } from "./response.ts";
import type { AnyHandler, Guard, RouteOptions } from "./route.ts";
import { createTemplates, type TemplateEngine } from "./templates/engine.ts";
import type { AtilaWas } from "./was.ts";

interface PartRoute {
  readonly rule: string;
  readonly options: RouteOptions;
  readonly handler: AnyHandler;
}

/** Where a sub-app is mounted. */
export interface SubAppPlace {
  /** The app. */
  readonly app: Atila;
  /** Prefix, without a final slash. */
  readonly prefix: string;
  /** Sub-apps around it and itself, the outermost first. */
  readonly chain: readonly Atilary[];
}

/** Guards that were made for a sub-app, with the sub-app. */
const parts = new WeakMap<Guard, Atilary>();

/** The innermost sub-app a route belongs to, as found among its guards. */
export function partOf(guards: readonly Guard[] | undefined): Atilary | undefined {
  let found: Atilary | undefined;
  for (const guard of guards ?? []) found = parts.get(guard) ?? found;
  return found;
}

/**
 * A sub-app. Its hooks run inside those of the app; settings, debug and reloader are those of the app.
 * For new work prefer a service module or an app of its own.
 *
 * @example
 * ```ts ignore
 * const admin = new Atilary();
 * admin.route("/users", (was) => was.render("users.html"));
 * app.mount(admin, "/admin");
 * ```
 */
export class Atilary {
  /** Directory of its file, for templates of its own; `undefined` when it was made without. */
  readonly home: string | undefined;
  #routes: PartRoute[] = [];
  #places: SubAppPlace[] = [];
  #children: { part: Atilary; point: string }[] = [];
  #before: BeforeHook[] = [];
  #finish: RequestHook[] = [];
  #failed: FailedHook[] = [];
  #teardown: RequestHook[] = [];
  #templates: TemplateEngine | undefined;
  #guard: Guard | undefined;

  /** Makes a sub-app. With `import.meta.url` it may have `templates` of its own beside its file. */
  constructor(module?: string) {
    if (module === undefined) return;
    this.home = dirname(module.startsWith("file:") ? fromFileUrl(module) : resolve(module));
  }

  /** The app it is mounted in. @throws {Error} while it is not mounted. */
  get app(): Atila {
    const place = this.#places[0];
    if (place === undefined) throw new Error("Cannot use the sub-app: it is not mounted yet");
    return place.app;
  }

  /** Settings of the app. */
  get config(): AppConfig {
    return this.app.config;
  }

  /** Whether the app shows errors to the client. */
  get debug(): boolean {
    return this.app.debug;
  }

  /** Whether the app is reloaded when its files change. */
  get useReloader(): boolean {
    return this.app.useReloader;
  }

  /** Registers a handler, as `app.route` does; the prefix of the mount comes before the rule. */
  route<const R extends string>(
    rule: R,
    handler: RouteHandler<ArgumentsOf<R, undefined>>,
  ): RouteHandler<ArgumentsOf<R, undefined>>;
  /** The same with options. */
  route<
    const R extends string,
    const A extends ArgumentDefaults | StandardSchema | undefined = undefined,
    const Rest extends boolean = false,
  >(
    rule: R,
    options: RouteOptions<A, Rest>,
    handler: RouteHandler<ArgumentsOf<R, A, Rest>>,
  ): RouteHandler<ArgumentsOf<R, A, Rest>>;
  route(rule: string, first: RouteOptions | AnyHandler, second?: AnyHandler): AnyHandler {
    const options = typeof first === "function" ? {} : first;
    const handler = typeof first === "function" ? first : second!;
    const route = { rule, options, handler };
    this.#routes.push(route);
    for (const place of this.#places) register(place, route);
    return handler;
  }

  /**
   * Mounts another sub-app in this one; prefixes add up.
   *
   * @throws {TypeError} when it would contain itself, or for a prefix that is none.
   */
  mount(part: Atilary, point: string): void {
    checkPart(part, point);
    if (part.#contains(this)) throw new TypeError("Cannot mount a sub-app inside itself");
    this.#children.push({ part, point });
    for (const { app, prefix, chain } of this.#places) {
      part.place({ app, prefix: prefix + trimmed(point), chain: [...chain, part] });
    }
  }

  /** Runs before the handlers of this part. What it returns, unless null, is the response. */
  beforeRequest(hook: BeforeHook): BeforeHook {
    checkHook(hook);
    this.#before.push(hook);
    return hook;
  }

  /** Runs after a handler of this part succeeded. */
  finishRequest(hook: RequestHook): RequestHook {
    checkHook(hook);
    this.#finish.push(hook);
    return hook;
  }

  /** Runs after an error in this part. What it returns, unless null, becomes the response. */
  failedRequest(hook: FailedHook): FailedHook {
    checkHook(hook);
    this.#failed.push(hook);
    return hook;
  }

  /** Runs last in this part, after success and failure. */
  teardownRequest(hook: RequestHook): RequestHook {
    checkHook(hook);
    this.#teardown.push(hook);
    return hook;
  }

  /**
   * Renders a template of its own directory. Templates of the app are rendered by `was.render`.
   *
   * @throws {Error} for a sub-app that was made without `import.meta.url`.
   * @throws {TypeError} when the values are not one object.
   */
  render2(was: AtilaWas, name: string, values: DataObject = {}): Promise<string> {
    if (arguments.length > 3) throw new TypeError(`Cannot render ${name}: values are one object`);
    if (this.home === undefined) {
      throw new Error(
        `Cannot render ${name}: the sub-app has no directory; make it with new Atilary(import.meta.url)`,
      );
    }
    this.#templates ??= createTemplates({
      ...was.app.templateOptions,
      directories: [`${this.home}/templates`],
    });
    return was.renderWith(this.#templates, name, values);
  }

  /** Registers everything in a place. @internal */
  place(place: SubAppPlace): void {
    this.#places.push(place);
    for (const route of this.#routes) register(place, route);
    for (const { part, point } of this.#children) {
      part.place({
        app: place.app,
        prefix: place.prefix + trimmed(point),
        chain: [...place.chain, part],
      });
    }
  }

  /** Takes a place back. @internal */
  leave(app: Atila, prefix: string): void {
    this.#places = this.#places.filter((place) => place.app !== app || place.prefix !== prefix);
    for (const { part, point } of this.#children) part.leave(app, prefix + trimmed(point));
  }

  /** The guard that runs its hooks around a handler. @internal */
  get guard(): Guard {
    if (this.#guard === undefined) {
      this.#guard = (next) => (was, args) => this.#around(next, was, args);
      parts.set(this.#guard, this);
    }
    return this.#guard;
  }

  #contains(other: Atilary): boolean {
    return this === other || this.#children.some(({ part }) => part.#contains(other));
  }

  #around(next: AnyHandler, was: AtilaWas, args: unknown): unknown {
    const hooks = this.#before.length + this.#finish.length + this.#failed.length +
      this.#teardown.length;
    return hooks === 0 ? next(was, args) : this.#withHooks(next, was, args);
  }

  async #withHooks(next: AnyHandler, was: AtilaWas, args: unknown): Promise<unknown> {
    try {
      for (const hook of this.#before) {
        const answer = await hook(was);
        if (isAnswer(answer)) return answer;
      }
      const body = await next(was, args);
      checkReturned(body);
      try {
        for (const hook of this.#finish) await hook(was);
      } catch (error) {
        discardReturned(body).catch((inner) => was.traceback(inner));
        throw error;
      }
      return body;
    } catch (error) {
      if (this.#failed.length > 0) {
        // As in the app: what was set belongs to a response that will not be sent.
        was.discardVisit();
        was.resetResponse();
      }
      for (const hook of this.#failed) {
        try {
          const answer = await hook(was, error);
          if (!isAnswer(answer)) continue;
          if (!(error instanceof HttpError) || error.status >= 500) was.traceback(error);
          return answer;
        } catch (inner) {
          was.traceback(inner);
        }
      }
      throw error;
    } finally {
      for (const hook of this.#teardown) {
        try {
          await hook(was);
        } catch (error) {
          was.traceback(error);
        }
      }
    }
  }
}

/** Checks what `mount` is given. @throws {TypeError} when it cannot be mounted. */
export function checkPart(part: Atilary, point: string): void {
  if (!(part instanceof Atilary)) {
    throw new TypeError(
      "app.mount(part, prefix) takes a sub-app; apps are mounted by skitai.mount",
    );
  }
  if (typeof point !== "string" || !/^\/[^<>?#]*$/.test(point) || point.includes("//")) {
    throw new TypeError(`Cannot mount a sub-app at ${JSON.stringify(point)}: write it like /admin`);
  }
}

/** A prefix without its final slash. */
export function trimmed(point: string): string {
  return point.replace(/\/$/, "");
}

function register(
  { app, prefix, chain }: SubAppPlace,
  { rule, options, handler }: PartRoute,
): void {
  if (!rule.startsWith("/")) {
    throw new TypeError(`Cannot use ${JSON.stringify(rule)} as a rule: a rule starts with /`);
  }
  const guards = chain.map((part) => part.guard);
  const use = [...guards, ...(options.use ?? [])];
  (app.route as (rule: string, options: RouteOptions, handler: AnyHandler) => AnyHandler).call(
    app,
    prefix + rule,
    { ...options, use },
    handler,
  );
}
