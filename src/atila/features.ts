/**
 * What an app can do besides routing: events, services, authentication, origins, templates.
 *
 * The members of this class are those of `Atila`; they are kept apart from the way of a request, which
 * none of them is on until it is used.
 *
 * @module
 */

import type { MountedApp } from "../core/app.ts";
import { type RequestContext, runningContext } from "../core/context.ts";
import { ConfigError, HttpError } from "../core/errors.ts";
import { isThenable } from "../core/handler.ts";
import { type Wac, wac } from "../was/wac.ts";
import type { Atila } from "./atila.ts";
import type { Authenticator, AuthSettings } from "./auth/authenticator.ts";
import type { DigestAlgorithm } from "./auth/digest.ts";
import {
  type Authenticate,
  type AuthScheme,
  checkAuthenticate,
  checkScheme,
} from "./auth/scheme.ts";
import type { UserCollection } from "./auth/user_records.ts";
import type { AppConfig } from "./config.ts";
import { DataFeatures } from "./data_features.ts";
import {
  allowOrigin,
  answerPreflight,
  checkMaxAge,
  checkOrigins,
  foreignOrigin,
  isPreflight,
  originAllowed,
  type OriginRule,
} from "./cors.ts";
import { EventBus, type EventHandler, events } from "./events.ts";
import { Hooks, isAnswer, transparent, type TransparentGuard } from "./hooks.ts";
import { type OpenApiOptions, openApiRoutes } from "./openapi/routes.ts";
import { fromFileUrl, resolve } from "./path.ts";
import { authenticateBy, type Guard, type Route, type RouteFacts } from "./route.ts";
import { scopeOf } from "./scope.ts";
import { type ServiceOptions, Services, type ServiceTarget } from "./services.ts";
import { type Atilary, checkPart, trimmed } from "./sub_app.ts";
import {
  createTemplates,
  type EngineFactory,
  type TemplateEngine,
  type TemplateFilter,
  type TemplateOptions,
} from "./templates/engine.ts";
import { type GlobalFunction, supplyWas } from "./templates/globals.ts";
import { checkOverlay, type JinjaOverlay } from "./templates/overlay.ts";
import { type ChangeHook, modified, whenNewer } from "./watched.ts";
import { AtilaWas } from "./was.ts";

/** Finds a user; see `UserRecord` for what it may return. */
export type AuthorizationHandler = (was: AtilaWas, username: string) => unknown;

/** Judges a bearer token: nothing accepts it, a text refuses it and says why. */
export type BearerHandler = (
  was: AtilaWas,
  token: string,
) => string | null | undefined | void | Promise<string | null | undefined | void>;

/** Decides on a request: nothing lets it pass, anything else is the response. */
export type CheckHandler = (was: AtilaWas) => unknown;

/** Decides on a request by what it needs: nothing lets it pass, anything else is the response. */
export type PermissionHandler = (was: AtilaWas, permissions: readonly string[]) => unknown;

/** Runs every so many seconds; gets a `was` without a request and the time in ms since 1970. */
export type MaintenanceHook = (was: AtilaWas, now: number) => unknown;

/** What every Jinja template can use, by name. */
export interface JinjaEnvironment {
  /** Values and functions. */
  readonly globals: Record<string, unknown>;
  /** Filters. */
  readonly filters: Record<string, TemplateFilter>;
  /** Tests: `{% if x is even %}`. */
  // deno-lint-ignore no-explicit-any -- templates pass anything
  readonly tests: Record<string, (value: any, ...args: any[]) => boolean>;
}

/** The part of an app that is not its routing. */
export abstract class AppFeatures extends DataFeatures {
  /** Settings, by key or property. */
  abstract readonly config: AppConfig;
  /** Directory of the file the app is defined in. */
  abstract override readonly home: string;
  /** Name the app is known by. */
  abstract name: string;
  /** Directories templates are looked for in, in order. */
  abstract readonly templateDirs: string[];
  /** Whether errors are shown to the client. */
  abstract get debug(): boolean;
  /** Whether the app is reloaded when its files change. */
  abstract override get useReloader(): boolean;
  /** Other apps of the same host by name, this one included. */
  abstract get others(): ReadonlyMap<string, MountedApp>;

  /** Text in the challenge of HTTP authentication. Default `"App"`. */
  realm = "App";
  /** Users by name, for basic and digest; a `Map` will do. Default none. */
  users: UserCollection | undefined = undefined;
  /** @deprecated Use {@link users}. */
  user: string | undefined = undefined;
  /** @deprecated Use {@link users}. */
  password: string | undefined = undefined;
  /**
   * Algorithms offered for digest, the preferred one first. Where the stored passwords are MD5 hashes,
   * set it to `["MD5"]`. Read at the first request that authenticates.
   */
  digestAlgorithms: readonly DigestAlgorithm[] = ["SHA-256", "MD5"];
  /** How long a nonce of digest authentication is good, in seconds. Default 300. */
  digestNonceSeconds = 300;

  /** Hooks around requests. @internal */
  protected readonly requestHooks: Hooks = new Hooks();
  /** Whether any request has something to pass before its handler. @internal */
  protected gated = false;

  #bus = new EventBus();
  #broadcasts = new EventBus();
  #services: Services | undefined;
  #requestEvents = new Set<string>();
  #maintenance: MaintenanceHook[] = [];
  #authenticate: Authenticate = null;
  #authorization: AuthScheme = "digest";
  #authenticator: Promise<Authenticator> | undefined;
  #findUser: AuthorizationHandler | undefined;
  #judgeToken: BearerHandler | undefined;
  #checkLogin: CheckHandler | undefined;
  #checkPermission: PermissionHandler | undefined;
  #checkStaff: CheckHandler | undefined;
  #saidNoLogin = false;
  #origins: readonly string[] | undefined;
  #maxAge = 0;
  #templates: TemplateEngine | undefined;
  #jinja: JinjaEnvironment | undefined;
  #overlay: Required<JinjaOverlay> | undefined;
  #engines = new Map<string, EngineFactory>();

  /** This object as what it is. */
  get #self(): Atila {
    return this as unknown as Atila;
  }

  // -- events ------------------------------------------------------------------------------------

  /**
   * Subscribes to events of this app: names, then the handler. It gets `was` (or `wac`, for some
   * life-cycle events) and the arguments of the event. What a service subscribes is replaced with it.
   *
   * @throws {TypeError} without a name or a handler.
   */
  on<H extends EventHandler>(...args: [...names: string[], handler: H]): H {
    const handler = args.at(-1) as H;
    const names = args.slice(0, -1) as string[];
    this.#bus.on(names, handler, scopeOf(this));
    for (const name of names) this.#followRequests(name);
    return handler;
  }

  /**
   * Calls the handlers of an event in order. Errors are logged and the others run; it never fails.
   * What it returns can be waited for, when handlers take time.
   */
  emit(event: string, ...args: unknown[]): void | Promise<void> {
    return this.emitWith(this.#was(), event, args);
  }

  /** The same with the `was` that is handed on. @internal */
  emitWith(was: unknown, event: string, args: readonly unknown[]): void | Promise<void> {
    return attached(was, this.#bus.emit(event, was, args, this.#report));
  }

  /** Guard that emits an event, without arguments, after what it wraps has succeeded. */
  emitAfter(event: string): TransparentGuard {
    return after((was) => void this.emitWith(was, event, []));
  }

  /** Subscribes to events that any app of the same host broadcasts: names, then the handler. */
  onBroadcast<H extends EventHandler>(...args: [...names: string[], handler: H]): H {
    const handler = args.at(-1) as H;
    if (typeof handler === "function" && this.#self.isRouted(handler)) {
      throw new TypeError("A handler of a route cannot listen to broadcasts too: wrap one of them");
    }
    this.#broadcasts.on(args.slice(0, -1) as string[], handler, scopeOf(this));
    return handler;
  }

  /** Subscribes to signals of models, such as `"models.Photo"`; the same as {@link onBroadcast}. */
  onSignal<H extends EventHandler>(...args: [...names: string[], handler: H]): H {
    return this.onBroadcast(...args);
  }

  /** @deprecated Use {@link onBroadcast}. */
  listen<H extends EventHandler>(...args: [...names: string[], handler: H]): H {
    return this.onBroadcast(...args);
  }

  /** @deprecated Use {@link onBroadcast}. */
  listento<H extends EventHandler>(...args: [...names: string[], handler: H]): H {
    return this.onBroadcast(...args);
  }

  /** Calls the handlers of all apps of this host, in this worker. Errors are logged; it never fails. */
  broadcast(event: string, ...args: unknown[]): void | Promise<void> {
    return this.broadcastWith(this.#was(), event, args);
  }

  /** The same with the `was` that is handed on. @internal */
  broadcastWith(was: unknown, event: string, args: readonly unknown[]): void | Promise<void> {
    const apps = new Set<unknown>([this, ...this.others.values()]);
    const running: PromiseLike<void>[] = [];
    for (const app of apps) {
      if (!(app instanceof AppFeatures)) continue;
      const result = app.#broadcasts.emit(event, was, args, app.#report);
      if (result !== undefined) running.push(result);
    }
    return running.length === 0 ? undefined : attached(was, Promise.all(running).then(() => {}));
  }

  /** Guard that broadcasts an event, without arguments, after what it wraps has succeeded. */
  broadcastAfter(event: string): TransparentGuard {
    return after((was) => void this.broadcastWith(was, event, []));
  }

  /** Whether anybody in this app listens to an event. @internal */
  listensTo(event: string): boolean {
    return this.#bus.has(event);
  }

  /** Whether a function listens to broadcasts. @internal */
  protected isListener(handler: EventHandler): boolean {
    return this.#broadcasts.knows(handler);
  }

  #report = (error: unknown, event: string): void => {
    wac.logger.get("app").trace(error, `${this.name}:${event}`);
  };

  /** The service object of the running request, or one without a request. */
  #was(): AtilaWas {
    const service = runningContext()?.service;
    return service instanceof AtilaWas ? service : new AtilaWas(this.#self);
  }

  /** See `DataFeatures`. @internal */
  protected override announcer(): AtilaWas {
    return this.#was();
  }

  /** Requests pass by the events of their life only when somebody listens. */
  #followRequests(name: string): void {
    if (!name.startsWith("request:") || this.#requestEvents.has(name)) return;
    this.#requestEvents.add(name);
    const hooks = this.requestHooks;
    const told = (was: AtilaWas) => this.#bus.emit(name, was, [], this.#report);
    switch (name) {
      case events.requestStarting:
        hooks.before.unshift(told);
        break;
      case events.requestSuccess:
        hooks.finish.unshift(told);
        break;
      case events.requestFailed:
        hooks.failed.unshift((was, error) => this.#bus.emit(name, was, [error], this.#report));
        break;
      case events.requestTearingDown:
        hooks.teardown.unshift(told);
        break;
      case events.requestFinished:
        hooks.pin(told);
    }
  }

  // -- parts -------------------------------------------------------------------------------------

  /**
   * Mounts a service module: an object with a function `mount(app, options)`, or where to import it
   * from. `point` is put before its rules, `ns` before its handler names.
   *
   * @returns a promise when something has to be waited for; the start of the server waits for it.
   * @throws {TypeError} for a module without `mount`, and for options that cannot be used.
   *
   * @example
   * ```ts ignore
   * import * as account from "./services/account.ts";
   *
   * app.mountWith(account, { point: "/account", ns: "account", authenticate: "digest" });
   * ```
   */
  mountWith(module: ServiceTarget, options: ServiceOptions = {}): void | Promise<void> {
    return (this.#services ??= new Services(this.#self)).mount(module, options);
  }

  /**
   * Imports a service module again that was mounted by its path, and puts it in the place of the old
   * one: what that had registered is gone, everything else stays. When the new one cannot be mounted,
   * the old one is mounted again.
   *
   * @throws {ReferenceError} when nothing was mounted from there.
   */
  async reloadService(module: string | URL): Promise<void> {
    await (this.#services ??= new Services(this.#self)).reload(module);
  }

  /** Takes a service module away with everything it registered. Resolves to whether it was mounted. */
  async umountService(module: ServiceTarget): Promise<boolean> {
    return await (this.#services?.umount(module) ?? false);
  }

  /**
   * Resolves when no service module is being mounted any more. The server waits for it before it
   * mounts the app, and does not mount an app that lacks a service.
   *
   * @throws the reason why one could not be mounted, unless the promise of its `mountWith` was waited for.
   */
  async ready(): Promise<void> {
    await this.#services?.complete();
  }

  /** Mounts a sub-app below a prefix. @throws {TypeError} for anything else. */
  mount(part: Atilary, point: string): void {
    checkPart(part, point);
    const app = this.#self;
    const prefix = trimmed(point);
    part.place({ app, prefix, chain: [part] });
    scopeOf(this)?.onEnd(() => part.leave(app, prefix));
  }

  /** Services that had to wait for the preferences of the mount. @internal */
  protected recheckServices(): void {
    this.#services?.recheck();
  }

  /** Runs what has to be done around the hooks of a phase. @internal */
  protected async beforePhase(phase: string): Promise<void> {
    if (phase === "beforeMount") {
      await this.#services?.settled();
      await this.emitWith(wac, events.appStarting, []);
    }
  }

  /** The same, after the hooks. @internal */
  protected async afterPhase(phase: string): Promise<void> {
    const toWac = (event: string): void | Promise<void> => this.emitWith(wac, event, []);
    const toWas = (event: string): void | Promise<void> =>
      this.listensTo(event) ? this.emitWith(new AtilaWas(this.#self), event, []) : undefined;
    switch (phase) {
      case "mounted":
        return await toWac(events.appStarted);
      case "reloaded":
        return await toWac(events.appRestarted);
      case "mountedOrReloaded":
        return await toWas(events.appMounted);
      case "beforeReload":
        return await toWac(events.appRestarting);
      case "beforeUmount":
        return await toWas(events.appUnmounting);
      case "umounted":
        return await this.#services?.release((error) => this.#report(error, "umount"));
    }
  }

  // -- looking after things ------------------------------------------------------------------------

  /**
   * Guard: before the handler, at most every `interval` seconds, looks whether a file is newer than
   * when it was seen last (the first time, it is), and then runs a function with its path. What that
   * returns, unless null, is the response. A relative path starts at the directory of the app.
   *
   * @throws {TypeError} for what is neither a path nor a `file:` URL, and a hook that is no function.
   */
  ifFileModified(path: string, hook: ChangeHook, interval = 1): Guard {
    if (typeof path !== "string" || path === "") {
      throw new TypeError(`ifFileModified takes the path of a file, not ${JSON.stringify(path)}`);
    }
    const full = path.startsWith("file:") ? fromFileUrl(path) : resolve(this.home, path);
    return whenNewer(full, () => modified(full), hook, interval);
  }

  /** Guard: the same for a key of `setlu`, so that each worker refreshes what it keeps by itself. */
  ifUpdated(key: string, hook: ChangeHook, interval = 1): Guard {
    return whenNewer(key, (was) => was.getlu(key), hook, interval);
  }

  /**
   * Runs a function every `config.maintainInterval` seconds in each worker. Errors are logged, and it
   * runs again. It needs the server: under bare `deno serve` nothing runs by itself.
   */
  maintain(hook: MaintenanceHook): MaintenanceHook {
    this.requestHooks.add(this.#maintenance, hook, scopeOf(this));
    return hook;
  }

  /**
   * Whether there is anything to run, and how often, in seconds.
   *
   * @throws {ConfigError} for an interval that is none.
   * @internal
   */
  get maintainSeconds(): number | undefined {
    if (this.#maintenance.length === 0) return undefined;
    const { maintainInterval } = this.config;
    if (Number.isFinite(maintainInterval) && maintainInterval > 0) return maintainInterval;
    throw new ConfigError(
      `app ${this.name}: config.maintainInterval`,
      `expected seconds above 0, not ${JSON.stringify(maintainInterval)}`,
    );
  }

  /** Runs the maintenance hooks, one after the other. Their errors are logged. @internal */
  async runMaintenance(now: number): Promise<void> {
    const was = new AtilaWas(this.#self);
    for (const hook of [...this.#maintenance]) {
      try {
        await hook(was, now);
      } catch (error) {
        this.#report(error, "maintain");
      }
    }
  }

  // -- templates ---------------------------------------------------------------------------------

  /** Templates of the app, loaded on first use. */
  get templates(): TemplateEngine {
    return this.#templates ??= createTemplates(this.templateOptions);
  }

  /** How the templates are made. @internal */
  get templateOptions(): TemplateOptions {
    return {
      directories: this.templateDirs,
      autoReload: this.useReloader || this.debug,
      ...this.jinjaEnv,
      overlay: this.#overlay,
      engines: this.#engines,
    };
  }

  /** Globals, filters and tests of Jinja templates; globals and filters are those of Vento, too. */
  get jinjaEnv(): JinjaEnvironment {
    return this.#jinja ??= { globals: {}, filters: {}, tests: {} };
  }

  /**
   * Changes the delimiters of Jinja templates, and lets lines that start with `%` be statements and
   * those that start with `%%` be comments. What is not given is as in Jinja.
   *
   * @throws {Error} once a template has been rendered. @throws {TypeError} for delimiters that cannot
   * be told apart.
   */
  jinjaOverlay(overlay: JinjaOverlay = {}): void {
    if (this.#templates !== undefined) {
      throw new Error("Cannot change the delimiters: templates are in use already");
    }
    this.#overlay = checkOverlay(overlay);
  }

  /** Registers a function for templates. It gets `was` first, then what the template gives it. */
  templateGlobal<F extends GlobalFunction>(name: string, fn: F): F {
    this.#extend(this.jinjaEnv.globals, "global", name, supplyWas(name, fn));
    return fn;
  }

  /** Registers a filter: `{{ "Hello" | reverse }}` calls it with the text. */
  templateFilter<F extends TemplateFilter>(name: string, fn: F): F {
    this.#extend(this.jinjaEnv.filters, "filter", name, fn);
    return fn;
  }

  /**
   * Lets an engine of your own render templates with these endings: an object with
   * `render(name, values)`, or a function that makes one of the settings, when it is needed first.
   */
  registerEngine(endings: readonly string[], engine: TemplateEngine | EngineFactory): void {
    const make: EngineFactory = typeof engine === "function" ? engine : () => engine;
    if (typeof engine !== "function" && typeof engine?.render !== "function") {
      throw new TypeError("registerEngine: an engine has a function render(name, values)");
    }
    for (const ending of endings) {
      if (!/^\.\w+$/.test(ending)) {
        throw new TypeError(`registerEngine: ${JSON.stringify(ending)} is no ending; write ".pt"`);
      }
      this.#engines.set(ending.toLowerCase(), make);
    }
  }

  #extend<T>(record: Record<string, T>, what: string, name: string, fn: T): void {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot register template ${what} ${JSON.stringify(name)}: no function`);
    }
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      throw new TypeError(
        `Cannot register template ${what} ${JSON.stringify(name)}: no identifier`,
      );
    }
    const present = Object.getOwnPropertyDescriptor(record, name);
    record[name] = fn;
    scopeOf(this)?.onEnd(() => {
      if (record[name] !== fn) return;
      if (present === undefined) delete record[name];
      else record[name] = present.value;
    });
  }

  // -- who may --------------------------------------------------------------------------------------

  /** How requests authenticate that no route option says otherwise of. Default `null`: not at all. */
  get authenticate(): Authenticate {
    return this.#authenticate;
  }
  set authenticate(scheme: Authenticate) {
    checkAuthenticate("app.authenticate", scheme);
    this.#authenticate = scheme ?? null;
    this.gated = true;
  }

  /** Scheme that `authenticate: true` stands for. Default `"digest"`. @throws {TypeError} for no scheme. */
  get authorization(): AuthScheme {
    return this.#authorization;
  }
  set authorization(scheme: AuthScheme) {
    checkScheme("app.authorization", scheme);
    this.#authorization = scheme;
  }

  /** Supplies the records of users for basic and digest; it comes before `users`. */
  authorizationHandler(handler: AuthorizationHandler): AuthorizationHandler {
    this.#findUser = this.#replace(handler, this.#findUser, (old) => this.#findUser = old);
    return handler;
  }

  /** Judges bearer tokens. */
  bearerHandler(handler: BearerHandler): BearerHandler {
    this.#judgeToken = this.#replace(handler, this.#judgeToken, (old) => this.#judgeToken = old);
    return handler;
  }

  /** Guard: the route authenticates in this way, or in the one `app.authorization` names. */
  authorizationRequired(scheme: AuthScheme | true = true): Guard {
    return authenticateBy(scheme);
  }

  /** @deprecated Use {@link authorizationRequired}. */
  get authRequired(): Guard {
    return authenticateBy(true);
  }

  /** @deprecated Use the route option `authenticate: null`. */
  get authNotRequired(): Guard {
    return authenticateBy(null);
  }

  /** Decides whether somebody is logged in: nothing, or the response, such as a login page. */
  loginHandler(handler: CheckHandler): CheckHandler {
    this.#checkLogin = this.#replace(handler, this.#checkLogin, (old) => this.#checkLogin = old);
    return handler;
  }

  /** Guard: asks the login handler. Without one, everybody passes, and the log says so once. */
  get loginRequired(): TransparentGuard {
    return this.#checked((was) => {
      if (this.#checkLogin !== undefined) return this.#checkLogin(was);
      if (!this.#saidNoLogin) {
        this.#saidNoLogin = true;
        was.log("A route requires a login, but no loginHandler is set: everybody passes", "warn");
      }
      return undefined;
    });
  }

  /** Decides on permissions: nothing allows, anything else is the response. */
  permissionCheckHandler(handler: PermissionHandler): PermissionHandler {
    this.#checkPermission = this.#replace(
      handler,
      this.#checkPermission,
      (old) => this.#checkPermission = old,
    );
    return handler;
  }

  /** Guard: asks the permission handler. Without one, the request fails: nobody is let in by mistake. */
  permissionRequired(...permissions: string[]): TransparentGuard {
    return this.#checked((was) => {
      if (this.#checkPermission !== undefined) return this.#checkPermission(was, permissions);
      throw new Error("Cannot check permissions: set app.permissionCheckHandler(…) first");
    });
  }

  /** Decides whether somebody belongs to the staff: nothing allows, anything else is the response. */
  staffMemberCheckHandler(handler: CheckHandler): CheckHandler {
    this.#checkStaff = this.#replace(handler, this.#checkStaff, (old) => this.#checkStaff = old);
    return handler;
  }

  /** Guard: asks the staff handler. Without one, the request fails: nobody is let in by mistake. */
  get staffMemberRequired(): TransparentGuard {
    return this.#checked((was) => {
      if (this.#checkStaff !== undefined) return this.#checkStaff(was);
      throw new Error("Cannot check for staff: set app.staffMemberCheckHandler(…) first");
    });
  }

  /** Guard: `true` or nothing passes, `false` is refused with 403, anything else is the response. */
  testpassRequired(test: CheckHandler): TransparentGuard {
    return this.#checked(async (was) => {
      const verdict = await test(was);
      if (verdict === true) return undefined;
      if (verdict === false) throw new HttpError(403);
      return verdict;
    });
  }

  /** Origins whose pages may ask, `["*"]` for all. Default: only those of the same origin. */
  get accessControlAllowOrigin(): readonly string[] | undefined {
    return this.#origins;
  }
  set accessControlAllowOrigin(origins: readonly string[] | null | undefined) {
    this.#origins = checkOrigins("app.accessControlAllowOrigin", origins);
    this.gated = true;
  }

  /** Seconds a browser may keep the answer to a preflight. Default 0: nothing is said. */
  get accessControlMaxAge(): number {
    return this.#maxAge;
  }
  set accessControlMaxAge(seconds: number) {
    this.#maxAge = checkMaxAge("app.accessControlMaxAge", seconds) ?? 0;
  }

  /**
   * Serves a page to browse the routes of the app at a path, and their OpenAPI 3.1 description at
   * `<path>/openapi.json`. Nothing of it is loaded from elsewhere.
   *
   * @throws {TypeError} for a path that is none.
   */
  openapi(path: string, options: OpenApiOptions = {}): void {
    openApiRoutes(this.#self, path, options);
  }

  /**
   * Lets a request pass, or answers it. Called before its body is read and its hooks run, when it
   * comes from a page (`origin`) or something authenticates.
   *
   * @internal
   */
  protected async admit(
    was: AtilaWas,
    route: Route,
    origin: string | null,
    methods: () => readonly string[],
  ): Promise<Response | undefined> {
    const { req } = was.parts!;
    const { facts } = route;
    if (origin !== null) {
      const rule = this.originRule(facts);
      if (!originAllowed(req, origin, rule.origins)) throw foreignOrigin(origin);
      // A list must be there for the app to answer in its place; without one, nobody else may ask.
      if (isPreflight(req)) return answerPreflight(req, methods(), rule);
    }
    const scheme = this.#schemeOf(facts);
    if (scheme === undefined) return undefined;
    const refused = await (await this.#authentication()).check(was, scheme);
    if (refused !== undefined) throw refused;
    return undefined;
  }

  /** What holds for pages of other origins. @internal */
  protected originRule(facts: RouteFacts | undefined): OriginRule {
    return {
      origins: facts?.origins ?? this.#origins,
      maxAge: facts?.maxAge ?? this.#maxAge,
      credentials: facts !== undefined && this.#schemeOf(facts) !== undefined,
    };
  }

  /** Whether requests to a route are looked at before it runs, also those of no page. @internal */
  protected isGated(facts: RouteFacts): boolean {
    return this.#schemeOf(facts) !== undefined || (facts.origins ?? this.#origins) !== undefined;
  }

  /** Marks a response for pages of other origins. @internal */
  protected markOrigin(
    res: Response,
    origin: string | null,
    facts: RouteFacts | undefined,
  ): Response {
    return allowOrigin(res, origin, this.originRule(facts));
  }

  /** Scheme a route authenticates by, if it does. @internal */
  schemeOf(facts: RouteFacts): AuthScheme | undefined {
    return this.#schemeOf(facts);
  }

  #schemeOf({ authenticate }: RouteFacts): AuthScheme | undefined {
    const scheme = authenticate === undefined ? this.#authenticate : authenticate;
    if (scheme === null || scheme === false) return undefined;
    return scheme === true ? this.authorization : scheme;
  }

  #authentication(): Promise<Authenticator> {
    return this.#authenticator ??= import("./auth/authenticator.ts").then(({ Authenticator }) =>
      new Authenticator(() => this.#authSettings())
    );
  }

  #authSettings(): AuthSettings {
    return {
      realm: this.realm,
      users: this.users,
      user: this.user,
      password: this.password,
      findUser: this.#findUser,
      judgeToken: this.#judgeToken,
      digestAlgorithms: this.digestAlgorithms,
      nonceSeconds: this.digestNonceSeconds,
    };
  }

  /** A guard that runs a check before the handler. */
  #checked(check: CheckHandler): TransparentGuard {
    return transparent((next) => (was, args) => {
      const verdict = check(was);
      if (isThenable(verdict)) {
        return Promise.resolve(verdict).then((answer) =>
          isAnswer(answer) ? answer : next(was, args)
        );
      }
      return isAnswer(verdict) ? verdict : next(was, args);
    });
  }

  /** Takes a handler in the place of another; with a service, until that goes. */
  #replace<H>(handler: H, before: H | undefined, restore: (before: H | undefined) => void): H {
    if (typeof handler !== "function") throw new TypeError("A handler is a function");
    scopeOf(this)?.onEnd(() => restore(before));
    return handler;
  }
}

/** Runs something after what is wrapped has succeeded. */
function after(run: (was: unknown) => void): TransparentGuard {
  return (next) => {
    const wrapper = (was: unknown, ...args: unknown[]): unknown => {
      const result = next(was, ...args);
      if (!isThenable(result)) {
        run(was);
        return result;
      }
      return Promise.resolve(result).then((value) => {
        run(was);
        return value;
      });
    };
    Object.defineProperty(wrapper, "name", { value: next.name });
    return wrapper as unknown as typeof next;
  };
}

/** Keeps the worker until the handlers of an event of a request are through. */
function attached(was: unknown, running: undefined | Promise<void>): undefined | Promise<void> {
  if (running === undefined) return undefined;
  const ctx: RequestContext | undefined = (was as AtilaWas | Wac) instanceof AtilaWas
    ? (was as AtilaWas).ctx
    : undefined;
  ctx?.waitUntil(running);
  return running;
}
