/**
 * `was` under Atila: the service object with the request, the response, templates and URLs.
 *
 * @module
 */

import { headerOf, type RequestContext } from "../core/context.ts";
import type { StatusLike } from "../core/status.ts";
import type { SqlDialect } from "../clients/sql/conditions.ts";
import type { SqlMaps } from "../clients/sql/maps.ts";
import type { Revocations } from "../store/revocations.ts";
import type { AliasRegistry } from "../was/aliases.ts";
import { revocations } from "../was/revocations.ts";
import { Was } from "../was/was.ts";
import { type AppDirectory, directoryOf } from "./app_directory.ts";
import type { Values } from "./arguments.ts";
import type { Atila } from "./atila.ts";
import type { Cookies } from "./cookies.ts";
import { CSRF_HEADER, csrfInput, csrfToken, csrfVerify } from "./csrf.ts";
import { createEnvironment } from "./environment.ts";
import { FrameworkAuth } from "./foreign_auth.ts";
import { events } from "./events.ts";
import { type FuturesOptions, FuturesResponse } from "./futures_response.ts";
import { type PromiseData, type PromiseHandler, ResponsePromise } from "./promise_response.ts";
import { readFormOf } from "./read_body.ts";
import { AtilaRequest } from "./request.ts";
import {
  type AtilaResponse,
  createResponse,
  type DataObject,
  type HeaderPairs,
  type Reply,
  type ReplyBody,
  ResponseState,
} from "./response.ts";
import type { JwtAlgorithm, JwtClaims } from "./jwt.ts";
import type { MessageBox } from "./messages.ts";
import type { Route } from "./route.ts";
import type { Session } from "./session.ts";
import type { Atilary } from "./sub_app.ts";
import type { TemplateEngine } from "./templates/engine.ts";
import type { FormBody } from "./uploads.ts";
import { makeJwt, makeToken, readJwt, readToken, revokeToken, TOKEN_SECONDS } from "./tokens.ts";
import { type HandlerReference, partialValues } from "./url.ts";
import { Visitor } from "./visitor.ts";

/** What the container knows of the request before a handler asks. */
export interface RequestParts {
  /** The standard request. */
  readonly req: Request;
  /** Route that answers, if one was found. */
  readonly route: Route | undefined;
  /** Values of its path parameters. */
  readonly values: Values | undefined;
}

/** The first argument of every handler and hook. */
export class AtilaWas extends Was {
  /** The app: always the main one. */
  readonly app: Atila;
  /** What the container read of the body. @internal */
  bodyBytes: Uint8Array | undefined;
  /** Members of the body, if it is a form or a JSON object. @internal */
  bodyValues: Values | undefined;
  /** Whether the body was sent as JSON. @internal */
  isBodyJson = false;
  /** The body, where it is a multipart form. @internal */
  formBody: FormBody | undefined;
  /** What the container knows of the request. @internal */
  readonly parts: RequestParts | undefined;
  #request: AtilaRequest | undefined;
  #response: AtilaResponse | undefined;
  #state: ResponseState | undefined;
  #answered = false;
  #visitor: Visitor | undefined;
  #env: Record<string, unknown> | undefined;
  // deno-lint-ignore no-explicit-any -- free storage of the app
  #g: Record<string, any> | undefined;

  /** Made by the container, once per request or life-cycle phase. */
  constructor(app: Atila, ctx?: RequestContext, parts?: RequestParts) {
    super(ctx);
    this.app = app;
    this.parts = parts;
  }

  /** Content types of requests whose options name none, from `app.config.defaultRequestType`. */
  protected override get defaultRequestType(): readonly [string, string] | undefined {
    return this.app.config.defaultRequestType;
  }

  /** Aliases of the app. */
  protected override get appAliases(): AliasRegistry | undefined {
    return this.app.aliases;
  }

  /** Statements in files of the app. */
  override get sqlMaps(): SqlMaps {
    return this.app.sqlMaps;
  }

  /** Database the generator of the app writes for. */
  protected override get sqlDialect(): SqlDialect {
    return this.app.sqlDialect;
  }

  /** Users and sessions of another framework. @throws {Error} when the app has no adapter for one. */
  get framework(): FrameworkAuth {
    const { authAdapter } = this.app;
    if (authAdapter === undefined) {
      throw new Error("Cannot use was.framework: the app has no adapter, see app.setAuthAdapter");
    }
    return new FrameworkAuth(this, authAdapter);
  }

  /** The request. @throws {Error} in life-cycle hooks, where there is none. */
  get request(): AtilaRequest {
    if (this.#request === undefined) {
      const { req, route, values } = this.#need("request");
      this.#request = new AtilaRequest(req, this.ctx!, {
        routed: route?.facts,
        body: this.bodyBytes,
        form: this.formBody,
        parsed: this.bodyValues,
        values,
      });
    }
    return this.#request;
  }

  /** The response under way. @throws {Error} in life-cycle hooks. */
  get response(): AtilaResponse {
    if (this.#response === undefined) {
      this.#need("response");
      this.#response = createResponse(this);
    }
    return this.#response;
  }

  /** Cookies of the client. @throws {Error} in life-cycle hooks. */
  get cookie(): Cookies {
    return this.#visit("cookie").cookies;
  }

  /** The session of the visitor. @throws {Error} in life-cycle hooks; {ConfigError} on use, without `app.securekey`. */
  get session(): Session {
    return this.#visit("session").session;
  }

  /** Messages to the visitor. @throws {Error} in life-cycle hooks; {ConfigError} on use, without `app.securekey`. */
  get mbox(): MessageBox {
    return this.#visit("mbox").messages;
  }

  /** The CSRF token of the session, made on first use. */
  get csrfToken(): string {
    return csrfToken(this.session);
  }

  /** Hidden element with the CSRF token, for forms. In a template: `{{ was.csrfTokenInput | safe }}`. */
  get csrfTokenInput(): string {
    return csrfInput(this.session);
  }

  /**
   * Whether the field `_csrf_token` of the body, or the header `X-CSRF-Token`, is the token of the session;
   * without either it is not. A token that was right is used up unless `keep`.
   */
  csrfVerify(keep = false): boolean {
    const header = headerOf(this.#need("csrfVerify").req, this.ctx!, CSRF_HEADER);
    return csrfVerify(this.session, this.bodyValues, header, keep);
  }

  /**
   * Makes a token: text for links and forms that carries a value nobody else can read or change.
   *
   * @param timeout Seconds it is valid. Default 1200.
   * @param sessionKey Valid only while the session holds its secret under that key.
   * @throws {TypeError} for a value JSON cannot say. @throws {ConfigError} without `app.securekey`.
   */
  mktoken(value: unknown, timeout: number = TOKEN_SECONDS, sessionKey?: string): string {
    return makeToken(this, value, timeout, sessionKey);
  }

  /** @deprecated Use {@link mktoken}. */
  token(value: unknown, timeout: number = TOKEN_SECONDS, sessionKey?: string): string {
    return this.mktoken(value, timeout, sessionKey);
  }

  /** Value of a token; nothing when it is forged, expired or revoked. */
  detoken(token: string): unknown {
    return readToken(this, token);
  }

  /**
   * Ends a token of {@link mktoken} or {@link mkjwt} in every worker; nothing happens for anything else.
   *
   * @throws {TypeError} for a JWT without `exp`.
   */
  rmtoken(token: string): void {
    revokeToken(this, token);
  }

  /**
   * Makes a JWT signed with `app.securekey`.
   *
   * @throws {TypeError} for an algorithm that `app.config.jwtAlgorithms` does not have.
   */
  mkjwt(claims: JwtClaims, alg: JwtAlgorithm = "HS256"): string {
    return makeJwt(this, claims, alg);
  }

  /**
   * Claims of a JWT; nothing when it is forged, revoked, not valid yet or any more, or signed in a way that
   * is not configured. A claim `username` becomes `was.request.user`.
   */
  dejwt(token: string): JwtClaims | undefined {
    const claims = readJwt(this, token);
    const { ctx } = this;
    if (ctx !== undefined && typeof claims?.username === "string" && claims.username !== "") {
      ctx.user = { name: claims.username, info: claims };
    }
    return claims;
  }

  /** Whether cookies, session or messages were asked for. @internal */
  get hasVisitor(): boolean {
    return this.#visitor !== undefined;
  }

  /** Adds what cookies, session and messages have to say to the response. @internal */
  commitVisit(returned: unknown): void {
    const given = returned instanceof Response ? returned.headers : undefined;
    this.#visitor!.commit(() => this.responseState, given);
  }

  /** Forgets what was changed in cookies, session and messages. @internal */
  discardVisit(): void {
    this.#visitor?.rollback(this.#state);
  }

  #visit(member: string): Visitor {
    if (this.#visitor === undefined) {
      const { req } = this.#need(member);
      this.#visitor = new Visitor({
        app: this.app,
        ctx: this.ctx!,
        cookieHeader: headerOf(req, this.ctx!, "cookie"),
        isAnswered: () => this.#answered,
      });
    }
    return this.#visitor;
  }

  /** Tokens that do not depend on a session can be made in life-cycle hooks as well. */
  /** What ended before its time, in all workers. @internal */
  get revocations(): Revocations {
    return revocations();
  }

  /**
   * Reads a multipart form in a route with `stream: true`, where it has not been read before the handler:
   * after checks that may refuse the request, nothing of it has arrived in vain. Calling it again gives
   * the same values.
   *
   * @returns Text and `UploadedFile`s by field name, a list where a name was repeated.
   * @throws {HttpError} 400 and 413 as for any form, 415 for another body.
   */
  async readForm(): Promise<Values> {
    const { req } = this.#need("readForm");
    if (this.formBody === undefined) {
      this.formBody = await readFormOf(this, req);
      this.bodyValues = this.formBody.values;
      this.#request?.adoptForm(this.formBody);
    }
    return this.formBody.values;
  }

  /** Status and headers collected so far, made on first use. @internal */
  get responseState(): ResponseState {
    if (this.#state === undefined) {
      this.#state = new ResponseState();
      this.#state.sent = this.#answered;
    }
    return this.#state;
  }

  /** The same, without making it. @internal */
  get collected(): ResponseState | undefined {
    return this.#state;
  }

  /** Notes that the response has been made: whatever is set now comes too late. @internal */
  markAnswered(): void {
    this.#answered = true;
    if (this.#state !== undefined) this.#state.sent = true;
  }

  /** Forgets status and headers, when an error takes the place of the response. @internal */
  resetResponse(): void {
    this.#state = undefined;
    this.#answered = false;
  }

  /** Home directory of the app. @internal */
  get home(): string {
    return this.app.home;
  }

  /** Free storage for the length of the request. */
  // deno-lint-ignore no-explicit-any -- free storage of the app
  get g(): Record<string, any> {
    return this.#g ??= Object.create(null);
  }

  /** The request as CGI variables, with the environment of the process. @throws {Error} in life-cycle hooks. */
  get env(): Record<string, unknown> {
    return this.#env ??= createEnvironment(this.#need("env").req, this.ctx!);
  }

  /**
   * Renders a template of the app. `was` is there under that name; futures among the values may be
   * waited for inside.
   *
   * @throws {TypeError} when the values are not one object; an error naming template and line otherwise.
   */
  render(name: string, values: DataObject = {}): Promise<string> {
    if (arguments.length > 2) throw new TypeError(`Cannot render ${name}: values are one object`);
    return this.renderWith(this.app.templates, name, values);
  }

  /**
   * Renders with an engine, telling the listeners of the app.
   *
   * @throws {TypeError} when the values are not one object.
   * @internal
   */
  renderWith(
    engine: TemplateEngine,
    name: string,
    values: DataObject,
  ): Promise<string> {
    if (typeof values !== "object" || values === null || Array.isArray(values)) {
      throw new TypeError(`Cannot render ${name}: values are one object`);
    }
    const { app } = this;
    const all = { ...values, was: this };
    return app.listensTo(events.templateRendering) || app.listensTo(events.templateRendered)
      ? this.#renderTelling(engine, name, all)
      : engine.render(name, all);
  }

  async #renderTelling(
    engine: TemplateEngine,
    name: string,
    values: Record<string, unknown>,
  ): Promise<string> {
    await this.app.emitWith(this, events.templateRendering, [name, values]);
    const text = await engine.render(name, values);
    await this.app.emitWith(this, events.templateRendered, [text]);
    return text;
  }

  /**
   * URL of a handler, by name or function, with the mount prefix: values in the order the arguments are
   * declared, or `{ named: { … } }` last. A name that starts with `/` is a path below the mount.
   *
   * @throws {ReferenceError} for an unknown name. @throws {TypeError} for values that do not fit.
   */
  ab(handler: HandlerReference, ...args: unknown[]): string {
    return this.app.buildUrlAt(this.ctx?.mountPoint || this.app.mountPoint, handler, args);
  }

  /** Same as {@link ab}. */
  urlfor(handler: HandlerReference, ...args: unknown[]): string {
    return this.ab(handler, ...args);
  }

  /**
   * URL of a handler with the arguments of the running request, some of them replaced; `null` takes one
   * away.
   *
   * @throws {ReferenceError} for an unknown name. @throws {TypeError} for values that do not fit.
   */
  partial(handler: HandlerReference, changes: DataObject = {}): string {
    const route = this.app.findRoute(handler);
    const values = route === undefined
      ? { named: { ...changes } }
      // A client may name a parameter of the path in its query as well, where it means nothing.
      : partialValues(route, { ...this.request.args, ...this.parts?.values }, {
        ...changes,
      });
    return this.ab(handler, values);
  }

  /** Path of a handler up to its first parameter: `/user/` for `/user/<id>`. @throws {ReferenceError} */
  basepath(handler: HandlerReference): string {
    return this.app.basePathAt(this.ctx?.mountPoint || this.app.mountPoint, handler);
  }

  /** Same as {@link basepath}. */
  baseurl(handler: HandlerReference): string {
    return this.basepath(handler);
  }

  /** Calls the handlers of an event of this app in order. Errors are logged; it never fails. */
  emit(event: string, ...args: unknown[]): void | Promise<void> {
    return this.app.emitWith(this, event, args);
  }

  /** Calls the handlers of an event of all apps of this host. Errors are logged; it never fails. */
  broadcast(event: string, ...args: unknown[]): void | Promise<void> {
    return this.app.broadcastWith(this, event, args);
  }

  /** Other apps of this host: `was.apps.get("search").config`. Unknown names throw. */
  get apps(): AppDirectory {
    return directoryOf(this.app);
  }

  /** The sub-app the handler belongs to; `undefined` in the app itself. */
  get subapp(): Atilary | undefined {
    return this.parts?.route?.facts.part;
  }

  /**
   * Several requests whose answers make the response together: return
   * `was.futures([a, b]).then(([a, b]) => …)`. Without a function the response is 205 without content.
   *
   * @throws {TypeError} for what is not a request, and unknown options.
   */
  futures<const F extends readonly PromiseLike<unknown>[]>(
    futures: F,
    options?: FuturesOptions,
  ): FuturesResponse<F> {
    return new FuturesResponse(futures, options);
  }

  /**
   * A page that is sent part by part: make named requests on what this returns, and return it. The
   * function is called with each answer and ends the page with `settle` or `reject`.
   *
   * @deprecated Use {@link futures}.
   * @throws {TypeError} when the handler is not a function.
   */
  promise(handler: PromiseHandler, data?: PromiseData): ResponsePromise {
    this.#need("promise");
    return new ResponsePromise(this, handler, data);
  }

  /** Sends the client elsewhere, with status 302 unless given. */
  redirect(
    url: string,
    status: StatusLike = "302 Object Moved",
    body?: ReplyBody,
    headers: HeaderPairs = {},
  ): Reply {
    // What no URL may have. What it has is left as it is: escapes, and the brackets of an IPv6 address.
    const location = url.toWellFormed().replace(
      /[^\x21-\x7e]+|["<>\\^`{|}]/g,
      (text) => encodeURI(text),
    );
    const reply = this.response(
      status,
      body ??
        `<!doctype html><title>Moved</title><p>This page is <a href="${
          location.replaceAll("&", "&amp;").replaceAll('"', "%22")
        }">here</a>.</p>`,
      headers,
    );
    this.response.setHeaders([
      ["location", location],
      ["cache-control", "max-age=0"],
      ["expires", new Date().toUTCString()],
    ]);
    return reply;
  }

  #need(member: string): RequestParts {
    if (this.parts === undefined) {
      throw new Error(`Cannot use was.${member} here: no request is running in a life-cycle hook`);
    }
    return this.parts;
  }
}
