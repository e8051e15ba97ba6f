/**
 * The app container: routes, hooks, templates and error pages of one app. It is itself a handler, so it
 * runs in this server as well as under bare `deno serve`.
 *
 * @module
 */

import { dirname, fromFileUrl, resolve } from "./path.ts";
import type { BodyLimits, FetchInfo, LifecyclePhase, MountedApp, MountInfo } from "../core/app.ts";
import { bodyLimitsOf } from "../core/body_limits.ts";
import { jsonText } from "../core/json_text.ts";
import { declareBodySize, jsonResponse, knownResponse } from "../core/body_size.ts";
import { separateChallenges } from "../core/challenges.ts";
import {
  type Completion,
  createContext,
  headerOf,
  type RequestContext,
  runInContext,
} from "../core/context.ts";
import { isDevel } from "../core/environment.ts";
import { type ErrorInfo, errorInfo, errorResponse, pageHeaders } from "../core/error_page.ts";
import { asError, HttpError } from "../core/errors.ts";
import { isThenable } from "../core/handler.ts";
import type { LogType } from "../core/log.ts";
import { checkHeaders } from "../core/response_headers.ts";
import { isBodyless, parseStatus, type StatusLike } from "../core/status.ts";
import { markLive } from "../middleware/compression.ts";
import { type Wac, wac } from "../was/wac.ts";
import { encodeResponse } from "../wire/xmlrpc.ts";
import type { ArgumentDefaults, ArgumentsOf, StandardSchema, Values } from "./arguments.ts";
import { type BodyContent, isLive, isStatic, streamOf } from "./body.ts";
import { AppClient } from "./client.ts";
import { Answers, type FuturesResponse } from "./futures_response.ts";
import { type AppConfig, createConfig } from "./config.ts";
import type { EventHandler } from "./events.ts";
import { AppFeatures } from "./features.ts";
import {
  type BeforeHook,
  checkHook,
  checkReturned,
  type FailedHook,
  isAnswer,
  type RequestHook,
  runAfter,
  runBefore,
  type TransparentGuard,
  type WacHook,
  type WasHook,
} from "./hooks.ts";
import { checkKey, type SecureKey } from "./key_ring.ts";
import { readBody, releaseLater } from "./read_body.ts";
import { mediaTypeOf } from "./request.ts";
import {
  ApiContainer,
  discardReturned,
  Reply,
  type ResponseState,
  wantsFault,
} from "./response.ts";
import {
  type AnyHandler,
  createRoute,
  isAuthenticatedByGuard,
  METHODS,
  type Route,
  type RouteFacts,
  type RouteOptions,
  shortPathOf,
} from "./route.ts";
import { Router } from "./router.ts";
import { scopeOf } from "./scope.ts";
import { checkSeconds } from "./session.ts";
import { runSteps, type Steps } from "./steps.ts";
import { AppStore } from "./store.ts";
import { basePath, buildUrl, encodeFixed, type HandlerReference, joinMount } from "./url.ts";
import { AtilaWas } from "./was.ts";

/** What a handler may return. */
export type Body =
  | BodyContent
  | Reply
  | ApiContainer
  | Response
  | Answers
  | FuturesResponse<readonly PromiseLike<unknown>[]>;

/** A handler of a route with known arguments. */
export type RouteHandler<Args> = (was: AtilaWas, args: Args) => Body | Promise<Body>;

/** Makes the body of an error page. */
export type ErrorHandler = (was: AtilaWas, error: ErrorInfo) => Body | Promise<Body>;

const HTML = { "content-type": "text/html; charset=utf-8" };
const HTML_INIT = { headers: HTML };
const JSON_HEADERS = { "content-type": "application/json" };

/**
 * An app. Made with `import.meta.url`, so that it knows its directory: `templates`, `resources`,
 * `services` are looked for beside the file.
 *
 * @example
 * ```ts
 * import { Atila } from "@skitai/skitai/atila";
 *
 * const app = new Atila(import.meta.url);
 * app.route("/episode/<int:id>", (was, { id }) => was.response.API({ id }));
 *
 * const client = app.makeClient();
 * console.assert((await client.get("/episode/4")).data.id === 4);
 * ```
 */
export class Atila extends AppFeatures implements MountedApp {
  /** Directory of the file the app is defined in. */
  readonly home: string;
  /** The file the app is defined in. */
  readonly file: string;
  /** Settings, by key or property. */
  readonly config: AppConfig = createConfig();
  /** Values that live as long as the app. */
  readonly store: AppStore = new AppStore();
  /** Directories templates are looked for in, in order. */
  readonly templateDirs: string[];
  /** Name the app is known by: its file name without extension. */
  name: string;
  /** Prefix of the (first) mount, with its final slash. */
  mountPoint = "/";
  // Private, so that an app that is printed does not show it.
  #securekey: SecureKey | undefined;
  #sessionTimeout = 1200;
  #sessionLifetime = 30 * 86_400;
  #debug = false;
  #useReloader = false;
  #routes: Route[] = [];
  #router = new Router<Route>();
  #byName = new Map<string, Route>();
  #byHandler = new Map<AnyHandler, Route>();
  #hooks = this.requestHooks;
  #errorHandlers = new Map<number, ErrorHandler>();
  #defaultErrorHandler: ErrorHandler | undefined;
  #packages: string[] = [];
  #others: ReadonlyMap<string, MountedApp> = new Map();
  #attached = false;
  #run = (was: AtilaWas, route: Route, values: Values | undefined) =>
    this.#answer(was, route, values);
  #refusal = (was: AtilaWas, error: HttpError) => this.#page(was, error);

  /**
   * Makes an app.
   *
   * @throws {TypeError} when the argument is neither a `file:` URL nor a path.
   */
  constructor(module: string) {
    super();
    if (
      typeof module !== "string" || module === "" || /^(?!file:)[a-z][a-z\d+.-]+:/i.test(module)
    ) {
      throw new TypeError("new Atila(…) takes import.meta.url or the path of a file");
    }
    this.file = module.startsWith("file:") ? fromFileUrl(module) : resolve(module);
    this.home = dirname(this.file);
    this.name = (this.file.split(/[/\\]/).at(-1) ?? "app").replace(/\.[^.]*$/, "");
    this.templateDirs = [`${this.home}/templates`];
    // Bound, so that the app can be handed around as a plain handler.
    this.handle = this.handle.bind(this);
    this.fetch = this.fetch.bind(this);
  }

  /**
   * Key that protects sessions, messages and tokens, 32 characters or more; or several with the newest
   * first, so that what an older one has protected stays valid.
   *
   * @throws {ConfigError} when it is set to a key that is too short or given twice.
   */
  get securekey(): SecureKey | undefined {
    return this.#securekey;
  }
  set securekey(key: SecureKey | undefined) {
    checkKey(key);
    this.#securekey = key;
  }

  /** Seconds a session lives after its last change. Default 1200. @throws {RangeError} unless above 0. */
  get sessionTimeout(): number {
    return this.#sessionTimeout;
  }
  set sessionTimeout(seconds: number) {
    this.#sessionTimeout = checkSeconds("app.sessionTimeout", seconds);
  }

  /**
   * Seconds after which a session ends whatever happens. Default 30 days.
   *
   * @throws {RangeError} unless above 0.
   */
  get sessionLifetime(): number {
    return this.#sessionLifetime;
  }
  set sessionLifetime(seconds: number) {
    this.#sessionLifetime = checkSeconds("app.sessionLifetime", seconds);
  }

  /** Show errors with their stack to the client. Always false in production. */
  get debug(): boolean {
    return this.#debug && isDevel();
  }
  set debug(on: boolean) {
    this.#debug = on;
  }

  /** Reload the app when its files change. Always false in production. */
  get useReloader(): boolean {
    return this.#useReloader && isDevel();
  }
  set useReloader(on: boolean) {
    this.#useReloader = on;
  }

  /** Sets the post, multipart and upload-file limits together, in bytes. */
  set maxClientBodySize(bytes: number) {
    if (!Number.isInteger(bytes) || bytes < 0) {
      throw new RangeError(`maxClientBodySize: ${String(bytes)} is not a number of bytes`);
    }
    this.config.maxPostBodySize = bytes;
    this.config.maxMultipartBodySize = bytes;
    this.config.maxUploadFileSize = bytes;
  }
  get maxClientBodySize(): number {
    return this.config.maxPostBodySize;
  }

  /** Body limits in force. */
  get limits(): BodyLimits {
    return this.config;
  }

  /** What is watched while the reloader is on: the app's file, its `services`, added packages. */
  get watched(): readonly string[] {
    return [this.file, `${this.home}/services`, ...this.#packages];
  }

  /** Watches further directories, relative to the home directory. */
  addPackage(...names: string[]): void {
    this.#packages.push(...names.map((name) => resolve(this.home, name)));
  }

  /** Path of a file below `resources`. */
  getResource(...parts: string[]): string {
    return resolve(this.home, "resources", ...parts);
  }

  /** Writes to the app log outside requests. */
  log(message: string, type: LogType = "info"): void {
    wac.logger.get("app").log(message, type);
  }

  // -- routes ------------------------------------------------------------------------------------

  /**
   * Registers a handler for a rule. TypeScript reads the arguments off the rule and `args`. The same
   * rule may be registered once per method.
   *
   * @returns The handler, unchanged.
   * @throws {TypeError} for a bad rule or option.
   */
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
    let options = typeof first === "function" ? {} : first;
    const handler = typeof first === "function" ? first : second!;
    if (this.isListener(handler as EventHandler)) {
      throw new TypeError("A listener to broadcasts cannot be a route too: wrap one of them");
    }
    const scope = scopeOf(this);
    if (scope !== undefined) {
      const { point = "", ns, authenticate } = scope.options;
      const own = options.name ?? handler?.name;
      if (rule.startsWith("/")) rule = point + rule;
      options = {
        ...options,
        ...(ns !== undefined && own ? { name: `${ns}.${own}` } : {}),
        authenticate: options.authenticate === undefined && !isAuthenticatedByGuard(options)
          ? authenticate as RouteOptions["authenticate"]
          : options.authenticate,
      };
    }
    const route = createRoute(rule, options, handler, () => this.config.argErrorStatus);
    scope?.onEnd(() => this.#removeRoute(route));
    this.#routes.push(route);
    this.#addToRouter(route);
    const { facts } = route;
    const { name } = facts;
    if ((facts.authenticate ?? null) !== null || facts.origins !== undefined) this.gated = true;
    if (name !== undefined) {
      const present = this.#byName.get(name);
      // The same function on several rules, or one name per method of a rule, is no accident.
      if (
        present !== undefined && present.facts.handler !== handler && present.facts.rule !== rule
      ) {
        this.log(`Two handlers of ${this.name} are called "${name}": the last one wins`, "warn");
      }
      this.#byName.set(name, route);
    }
    if (!this.#byHandler.has(handler)) this.#byHandler.set(handler, route);
    return handler;
  }

  #addToRouter(route: Route): void {
    this.#router.add(route);
    const short = shortPathOf(route);
    if (short !== undefined) this.#router.addShort(short, route);
  }

  /** Forgets a route. A rare thing, so everything is arranged anew. */
  #removeRoute(route: Route): void {
    this.#routes = this.#routes.filter((other) => other !== route);
    this.#router = new Router<Route>();
    this.#byName.clear();
    this.#byHandler.clear();
    for (const left of this.#routes) {
      this.#addToRouter(left);
      const { name, handler } = left.facts;
      if (name !== undefined) this.#byName.set(name, left);
      if (!this.#byHandler.has(handler)) this.#byHandler.set(handler, left);
    }
  }

  /** Whether a function is the handler of a route. @internal */
  isRouted(handler: unknown): boolean {
    return this.#byHandler.has(handler as AnyHandler);
  }

  /** Routes in the order they were registered. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Guard: functions that run before one handler; the first non-null return is the response. */
  runBefore(...hooks: BeforeHook[]): TransparentGuard {
    return runBefore(...hooks);
  }

  /** Guard: functions that run after one handler. */
  runAfter(...hooks: RequestHook[]): TransparentGuard {
    return runAfter(...hooks);
  }

  /** URL of a handler below the mount. See `was.ab`. */
  buildUrl(handler: HandlerReference, ...args: unknown[]): string {
    return this.buildUrlAt(this.mountPoint, handler, args);
  }

  /** The same for another prefix, with the values as a list. @internal */
  buildUrlAt(mountPoint: string, handler: HandlerReference, args: readonly unknown[]): string {
    if (typeof handler === "string" && handler.startsWith("/")) {
      return joinMount(mountPoint, handler);
    }
    const route = this.findRoute(handler);
    if (route !== undefined) return buildUrl(route, mountPoint, args);
    const [app, name] = this.#elsewhere(handler);
    return app.buildUrlAt(app.mountPoint, name, args);
  }

  /** Path of a handler below the mount, up to its first parameter. See `was.basepath`. @internal */
  basePathAt(mountPoint: string, handler: HandlerReference): string {
    const route = this.findRoute(handler);
    if (route !== undefined) return basePath(route, mountPoint);
    const [app, name] = this.#elsewhere(handler);
    return app.basePathAt(app.mountPoint, name);
  }

  /** Route of a handler of this app. In a name, a colon stands for a dot. @internal */
  findRoute(handler: HandlerReference): Route | undefined {
    return typeof handler === "function"
      ? this.#byHandler.get(handler)
      : this.#byName.get(handler) ?? this.#byName.get(handler.replace(":", "."));
  }

  /** App and handler of a name such as `search.query`. @throws {ReferenceError} when there is none. */
  #elsewhere(handler: HandlerReference): [app: Atila, name: string] {
    const label = typeof handler === "function" ? handler.name || "that function" : handler;
    const [, name = "", rest = ""] = typeof handler === "string"
      ? /^([^.:]+)[.:](.+)$/.exec(handler) ?? []
      : [];
    const app = this.#others.get(name);
    if (app instanceof Atila && app.findRoute(rest) !== undefined) return [app, rest];
    throw new ReferenceError(`Cannot build a URL: ${this.name} has no handler "${label}"`);
  }

  // -- hooks -------------------------------------------------------------------------------------

  /** Runs before each handler. What it returns, unless null, is the response. */
  beforeRequest(hook: BeforeHook): BeforeHook {
    this.#hooks.add(this.#hooks.before, hook, scopeOf(this));
    return hook;
  }

  /** Runs after a handler succeeded. */
  finishRequest(hook: RequestHook): RequestHook {
    this.#hooks.add(this.#hooks.finish, hook, scopeOf(this));
    return hook;
  }

  /** Runs after an error. What it returns, unless null, becomes the response. */
  failedRequest(hook: FailedHook): FailedHook {
    this.#hooks.add(this.#hooks.failed, hook, scopeOf(this));
    return hook;
  }

  /** Runs last, after success and failure. */
  teardownRequest(hook: RequestHook): RequestHook {
    this.#hooks.add(this.#hooks.teardown, hook, scopeOf(this));
    return hook;
  }

  /** Runs when the app has been loaded and nothing is served yet. */
  beforeMount(hook: WacHook): WacHook {
    this.#hooks.on("beforeMount", hook, scopeOf(this));
    return hook;
  }

  /** Runs once all apps are mounted. */
  mounted(hook: WasHook): WasHook {
    this.#hooks.on("mounted", hook, scopeOf(this));
    return hook;
  }

  /** Runs in an app that is about to be replaced. */
  beforeReload(hook: WasHook): WasHook {
    this.#hooks.on("beforeReload", hook, scopeOf(this));
    return hook;
  }

  /** Runs in an app that has replaced another. */
  reloaded(hook: WasHook): WasHook {
    this.#hooks.on("reloaded", hook, scopeOf(this));
    return hook;
  }

  /** Runs after `mounted` and after `reloaded`. */
  mountedOrReloaded(hook: WasHook): WasHook {
    this.#hooks.on("mountedOrReloaded", hook, scopeOf(this));
    return hook;
  }

  /** Runs when the server begins to stop. */
  beforeUmount(hook: WasHook): WasHook {
    this.#hooks.on("beforeUmount", hook, scopeOf(this));
    return hook;
  }

  /** Runs at the end, to take back what `beforeMount` registered. */
  umounted(hook: WacHook): WacHook {
    this.#hooks.on("umounted", hook, scopeOf(this));
    return hook;
  }

  /** Makes the page for a status. Clients that accept JSON get a fault instead. */
  errorHandler(status: StatusLike, handler: ErrorHandler): ErrorHandler {
    const { code } = parseStatus(status);
    checkHook(handler);
    const before = this.#errorHandlers.get(code);
    scopeOf(this)?.onEnd(() => {
      if (before === undefined) this.#errorHandlers.delete(code);
      else this.#errorHandlers.set(code, before);
    });
    this.#errorHandlers.set(code, handler);
    return handler;
  }

  /** Makes the page for every other status. */
  defaultErrorHandler(handler: ErrorHandler): ErrorHandler {
    checkHook(handler);
    const before = this.#defaultErrorHandler;
    scopeOf(this)?.onEnd(() => this.#defaultErrorHandler = before);
    this.#defaultErrorHandler = handler;
    return handler;
  }

  // -- life --------------------------------------------------------------------------------------

  /**
   * Told by the server where the app is mounted; preferences override the app's own values.
   *
   * @throws {ConfigError} for a limit on bodies that is no size: compared with one, it would not limit.
   */
  attach(info: MountInfo): void {
    if (!this.#attached) {
      this.#attached = true;
      this.mountPoint = info.mountPoint;
      this.name = info.name;
    }
    this.#others = info.apps;
    const { config, ...properties } = info.pref;
    // maxClientBodySize sets several limits, any of which the config may set again.
    Object.assign(this, properties);
    Object.assign(this.config, config);
    bodyLimitsOf(`mount(${JSON.stringify(info.mountPoint)})`, { config: this.config });
    this.recheckServices();
  }

  /** Other apps of the same host by name, this one included. */
  get others(): ReadonlyMap<string, MountedApp> {
    return this.#others;
  }

  /** Runs the hooks of a phase. Their errors are logged; the sequence goes on. */
  async lifecycle(phase: LifecyclePhase): Promise<void> {
    await this.beforePhase(phase);
    await this.#runPhase(phase);
    await this.afterPhase(phase);
  }

  async #runPhase(phase: LifecyclePhase): Promise<void> {
    const hooks = this.#hooks.lifecycle.get(phase) ?? [];
    if (hooks.length === 0) return;
    const argument: Wac | AtilaWas = phase === "beforeMount" || phase === "umounted"
      ? wac
      : new AtilaWas(this);
    for (const hook of hooks) {
      try {
        await hook(argument as never);
      } catch (error) {
        wac.logger.get("app").trace(error, `${this.name}:${phase}`);
      }
    }
  }

  /** Answers a request without this server: under `deno serve`, in tests, inside another framework. */
  fetch(
    req: Request,
    info?: Partial<Deno.ServeHandlerInfo> | FetchInfo,
  ): Response | Promise<Response> {
    const peer = info?.remoteAddr as Deno.NetAddr | undefined;
    const ctx = createContext({
      url: req.url,
      remoteAddr: peer?.hostname ?? "127.0.0.1",
      remotePort: peer?.port ?? 0,
      requestId: ++this.#requests,
      mountPoint: "/",
      // Only what a body brought has to be kept until the response is out.
      ...(info !== undefined && "completed" in info && hasBody(req)
        ? { completion: completionOf(info.completed) }
        : {}),
    });
    ctx.gtxnid = `GTID-C${ctx.connectionId}-R${ctx.requestId}`;
    return this.handle(req, ctx);
  }
  #requests = 0;

  /** A client that sends requests to this app without a network. */
  makeClient(point = "/"): AppClient {
    return new AppClient(this, point);
  }

  // -- requests ----------------------------------------------------------------------------------

  /** Answers a request. Never throws and never rejects. */
  handle(req: Request, ctx: RequestContext): Response | Promise<Response> {
    const { mountPoint } = ctx;
    const path = mountPoint.length <= 1 ? ctx.path : ctx.path.slice(mountPoint.length - 1);
    let match;
    try {
      match = this.#router.find(path, req.method);
    } catch (error) {
      return this.#refuse(
        req,
        ctx,
        new HttpError(400, "The path is not properly encoded", { cause: error }),
      );
    }
    if (match.kind !== "route") {
      switch (match.kind) {
        case "method":
          return this.#refuse(
            req,
            ctx,
            new HttpError(405, `${req.method} is not allowed here`, {
              headers: { allow: match.allowed.join(", ") },
            }),
          );
        case "redirect": {
          const query = ctx.query === "" ? "" : `?${ctx.query}`;
          const location = joinMount(mountPoint, encodeFixed(match.path)) + query;
          const response = new Response(null, { status: 301, headers: { location } });
          // A page of another origin is only taken along if it may see where it is sent to.
          const there = this.#router.find(match.path, req.method);
          const facts = there.kind === "route" ? there.route.facts : undefined;
          return this.markOrigin(response, headerOf(req, ctx, "origin"), facts);
        }
        default:
          return this.#refuse(req, ctx, new HttpError(404));
      }
    }
    const { route, values } = match;
    const { contentTypes } = route.facts;
    if (contentTypes !== undefined && !isOfType(req, contentTypes)) {
      return this.#refuse(
        req,
        ctx,
        new HttpError(415, `Expected a body of type ${contentTypes.join(" or ")}`),
        route.facts,
      );
    }
    const was = new AtilaWas(this, ctx, { req, route, values });
    ctx.service = was;
    if (
      headerOf(req, ctx, "origin") !== null || this.gated && this.isGated(route.facts)
    ) return runInContext(ctx, this.#pass, was, route, values);
    return runInContext(ctx, this.#run, was, route, values);
  }

  /** The way of a request that comes from a page, has to authenticate, or could come from a page. */
  #pass = async (
    was: AtilaWas,
    route: Route,
    values: Values | undefined,
  ): Promise<Response> => {
    const { req } = partsOf(was);
    const origin = req.headers.get("origin");
    let response: Response;
    try {
      const early = await this.admit(was, route, origin, () => this.#methodsAt(was.ctx!));
      response = early ?? await this.#answer(was, route, values);
    } catch (error) {
      response = await this.#failed(was, error);
      if (response.status === 401) separateChallenges(response.headers);
    }
    return this.markOrigin(response, origin, route.facts);
  };

  /** Methods that a path answers. */
  #methodsAt({ path, mountPoint }: RequestContext): string[] {
    const below = mountPoint.length <= 1 ? path : path.slice(mountPoint.length - 1);
    return METHODS.filter((method) => this.#router.find(below, method).kind === "route");
  }

  #refuse(
    req: Request,
    ctx: RequestContext,
    error: HttpError,
    facts?: RouteFacts,
  ): Response | Promise<Response> {
    const was = new AtilaWas(this, ctx, { req, route: undefined, values: undefined });
    ctx.service = was;
    const response = runInContext(ctx, this.#refusal, was, error, undefined);
    if ((facts?.origins ?? this.accessControlAllowOrigin) === undefined) return response;
    const origin = req.headers.get("origin");
    return isThenable(response)
      ? response.then((res) => this.markOrigin(res, origin, facts))
      : this.markOrigin(response, origin, facts);
  }

  /** The way of a request that needs no waiting: everything stays synchronous. */
  #answer(was: AtilaWas, route: Route, values: Values | undefined): Response | Promise<Response> {
    const { req } = partsOf(was);
    if (this.#hooks.any || (hasBody(req) && !route.facts.stream)) {
      return runSteps(this.#answerFully(was, route, values));
    }
    let body: unknown;
    try {
      const args = route.bind({ path: values, query: was.ctx!.query, body: undefined });
      body = isThenable(args) ? args.then((known) => route.run(was, known)) : route.run(was, args);
      if (isThenable(body)) return this.#settle(was, body);
      return this.#respond(was, body);
    } catch (error) {
      return this.#failed(was, error);
    }
  }

  #settle(was: AtilaWas, pending: PromiseLike<unknown>): Promise<Response> {
    const failed = (error: unknown) => {
      if (was.formBody !== undefined) releaseLater(was);
      return this.#failed(was, error);
    };
    const respond = (returned: unknown) => {
      if (was.formBody !== undefined) releaseLater(was);
      try {
        const response = this.#respond(was, returned);
        return isThenable(response)
          ? response.then(undefined, (error) => this.#failed(was, error))
          : response;
      } catch (error) {
        return this.#failed(was, error);
      }
    };
    // what handlers return may be any thenable
    return pending instanceof Promise
      ? pending.then(respond, failed)
      : Promise.resolve(pending).then(respond, failed);
  }

  /** The way of a request with a body or hooks. */
  *#answerFully(
    was: AtilaWas,
    route: Route,
    values: Values | undefined,
  ): Steps<Response> {
    const { req } = partsOf(was);
    let response: Response;
    try {
      if (hasBody(req) && !route.facts.stream) {
        yield readBody(was, req);
      }
      let answer: unknown;
      for (const hook of this.#hooks.before) {
        answer = yield hook(was);
        if (isAnswer(answer)) break;
      }
      if (isAnswer(answer)) {
        response = yield this.#respond(was, answer);
      } else {
        const args = yield route.bind({
          path: values,
          query: was.ctx!.query,
          body: was.bodyValues,
          isJson: was.isBodyJson,
        });
        const body = yield route.run(was, args);
        checkReturned(body);
        try {
          for (const hook of this.#hooks.finish) yield hook(was);
        } catch (error) {
          discard(was, body);
          throw error;
        }
        response = yield this.#respond(was, body);
      }
    } catch (error) {
      response = yield this.#failedWithHooks(was, error);
    }
    for (const hook of this.#hooks.teardown) {
      try {
        yield hook(was);
      } catch (error) {
        was.traceback(error);
      }
    }
    if (was.formBody !== undefined) releaseLater(was);
    return response;
  }

  async #failedWithHooks(was: AtilaWas, error: unknown): Promise<Response> {
    was.discardVisit();
    // What the handler has set belongs to a response that will not be sent.
    was.resetResponse();
    for (const hook of this.#hooks.failed) {
      try {
        const answer = await hook(was, error);
        if (!isAnswer(answer)) continue;
        if (!(error instanceof HttpError) || error.status >= 500) was.traceback(error);
        return await this.#respond(was, answer);
      } catch (inner) {
        was.traceback(inner);
      }
    }
    return await this.#failed(was, error);
  }

  /** Answers for an error nobody handled. */
  #failed(was: AtilaWas, error: unknown): Response | Promise<Response> {
    was.discardVisit();
    if (error instanceof HttpError) {
      if (error.status >= 500) was.traceback(error);
      return this.#page(was, error);
    }
    wac.counters?.exception();
    was.traceback(error);
    return this.#page(was, new HttpError(500, "", { cause: asError(error) }), error);
  }

  /** The page of an error: the app's own, or the built-in one when that fails too. */
  #page(
    was: AtilaWas,
    error: HttpError,
    thrown: unknown = error.cause,
  ): Response | Promise<Response> {
    const { req } = partsOf(was);
    const options = {
      req,
      status: error.status,
      reason: error.reason,
      detail: error.detail,
      error: thrown,
      debug: this.debug,
      expose: error.expose,
      headers: error.headers,
    };
    const handler = this.#errorHandlers.get(error.status) ?? this.#defaultErrorHandler;
    if (handler === undefined || wantsFault(req)) {
      was.markAnswered();
      return errorResponse(options);
    }
    was.resetResponse();
    return this.#customPage(was, handler, error, options);
  }

  async #customPage(
    was: AtilaWas,
    handler: ErrorHandler,
    error: HttpError,
    options: Parameters<typeof errorResponse>[0],
  ): Promise<Response> {
    try {
      const body = await handler(was, errorInfo(options));
      if (was.collected === undefined || was.collected.status.code === 200) {
        was.responseState.setStatus(`${error.status} ${error.reason}`);
      }
      if (error.headers !== undefined) was.response.setHeaders(pageHeaders(error.headers));
      // Who accepts JSON gets something else, and caches keep some errors unless they are told.
      was.responseState.add("vary", "accept");
      if (was.responseState.get("cache-control") === undefined) {
        was.responseState.add("cache-control", "max-age=0");
      }
      return await this.#respond(was, body, true);
    } catch (inner) {
      was.traceback(inner);
      was.discardVisit();
      was.markAnswered();
      return errorResponse(options);
    }
  }

  /** Makes the response of what a handler returned. */
  #respond(was: AtilaWas, returned: unknown, isPage = false): Response | Promise<Response> {
    if (was.hasVisitor) commitVisit(was, returned);
    const state = was.collected;
    was.markAnswered();
    if (state === undefined) {
      // By far the most common answers, without anything set on the side.
      if (typeof returned === "string") return knownResponse(returned, HTML_INIT);
      if (returned instanceof ApiContainer) return this.#data(was, returned, undefined);
    }
    if (returned instanceof Response) {
      try {
        checkResponse(returned);
      } catch (error) {
        if (!returned.bodyUsed) discard(was, returned.body);
        throw error;
      }
      return merged(returned, state);
    }
    let body = returned;
    let size: number | undefined;
    if (body instanceof Reply) {
      const reply = body;
      body = reply.body;
      size = reply.size;
      if (body === undefined) {
        const { code, reason } = state!.status;
        if (isBodyless(code)) return new Response(null, initOf(state, undefined));
        if (isPage) throw new TypeError("An error page has no body of its own");
        const headers = state!.headers;
        return this.#page(
          was,
          new HttpError(`${code} ${reason}`, reply.detail, {
            headers,
            expose: reply.error !== undefined,
            cause: reply.error,
          }),
          reply.error,
        );
      }
    }
    if (returned instanceof Reply && body === null) {
      return new Response(null, initOf(state, undefined));
    }
    checkReturned(body);
    if (state !== undefined && isBodyless(state.status.code)) {
      discard(was, body);
      return new Response(null, initOf(state, undefined));
    }
    if (body instanceof ApiContainer) return this.#data(was, body, state);
    if (isStatic(body)) return knownResponse(body, initOf(state, HTML));
    if (body instanceof Answers) {
      const { headers } = initOf(state, undefined);
      return new Response(null, { status: 205, headers });
    }
    const init = initOf(state, HTML);
    const stream = streamOf(body, (error) => was.traceback(error), was.ctx);
    const response = new Response(stream, init);
    if (isLive(body)) markLive(response);
    return size === undefined ? response : declareBodySize(response, size);
  }

  #data(was: AtilaWas, data: ApiContainer, state: ResponseState | undefined): Response {
    const { req } = partsOf(was);
    if (headerOf(req, was.ctx!, "accept")?.startsWith("text/xml")) {
      return knownResponse(
        encodeResponse({ ...data }),
        initOf(state, { "content-type": "text/xml; charset=utf-8" }),
      );
    }
    // Objects of a class are written more slowly than plain ones.
    return state === undefined
      ? jsonResponse({ ...data })
      : knownResponse(jsonText({ ...data }), initOf(state, JSON_HEADERS));
  }
}

/** The request of a service object, without making its request object. */
function partsOf(was: AtilaWas): { readonly req: Request } {
  return was.parts!;
}

/** Tells the browser what was changed for the visitor; when that cannot be sent, nothing is. */
function commitVisit(was: AtilaWas, returned: unknown): void {
  try {
    was.commitVisit(returned);
  } catch (error) {
    discard(was, returned);
    throw error;
  }
}

/** How a response under bare `deno serve` ends. */
function completionOf(completed: Promise<void> | undefined): Promise<Completion> {
  return Promise.resolve(completed).then(
    () => ({ delivered: true }),
    () => ({ delivered: false }),
  );
}

/** Closes what a handler returned when something else is sent in its place. */
function discard(was: AtilaWas, returned: unknown): void {
  discardReturned(returned).catch((error) => was.traceback(error));
}

/** Whether the body is of one of these types. A question, such as a preflight, brings none. */
function isOfType(req: Request, types: readonly string[]): boolean {
  const type = mediaTypeOf(req);
  if (type !== undefined) return types.includes(type);
  const { method } = req;
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

/** Whether a request brings a body. `GET` and `HEAD` bodies have no meaning and are left alone. */
function hasBody(req: Request): boolean {
  const { method } = req;
  return method !== "GET" && method !== "HEAD" && req.body !== null;
}

function initOf(
  state: ResponseState | undefined,
  defaults: Record<string, string> | undefined,
): ResponseInit {
  if (state === undefined) return { headers: defaults };
  const headers = new Headers(defaults);
  for (const [name, value] of state.headers) {
    if (defaults !== undefined && name in defaults) headers.set(name, value);
    else headers.append(name, value);
  }
  // HTTP/1.1 reason phrases are Latin-1 at most; the code says what matters.
  const { code, reason } = state.status;
  return { status: code, statusText: /[^\x20-\x7e]/.test(reason) ? "" : reason, headers };
}

/** Refuses what no front could send, so that it is an error of the handler like any other. */
function checkResponse(res: Response): void {
  if (res.bodyUsed) {
    throw new TypeError(
      "Cannot send a Response twice, or one whose body has been read: make a new one",
    );
  }
  if (res.status === 0) throw new TypeError("Cannot send Response.error(): it has no status");
  checkHeaders(res);
}

/** Headers that a response has once: of two, none would count. */
const SINGLE = [
  "content-type",
  "content-length",
  "content-disposition",
  "etag",
  "expires",
  "last-modified",
  "location",
];

/** A standard response with the headers that were set on the side. */
function merged(response: Response, state: ResponseState | undefined): Response {
  if (state === undefined || state.headers.length === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of state.headers) {
    if (SINGLE.includes(name)) headers.set(name, value);
    else headers.append(name, value);
  }
  return new Response(response.body, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}
