/**
 * Routes: what an app was told about a rule, prepared for requests.
 *
 * @module
 */

import { isPlainObject } from "../core/plain_object.ts";
import {
  type ArgumentDefaults,
  type Binder,
  createBinder,
  isSchema,
  type StandardSchema,
  type Values,
} from "./arguments.ts";
import { type Authenticate, checkAuthenticate } from "./auth/scheme.ts";
import { checkMaxAge, checkOrigins } from "./cors.ts";
import { parseRule, type Rule } from "./rule.ts";
import type { Routable } from "./router.ts";
import { type Atilary, partOf } from "./sub_app.ts";
import type { AtilaWas } from "./was.ts";

/** A handler after its types have been checked. */
// deno-lint-ignore no-explicit-any -- arguments differ by route
export type AnyHandler = (was: AtilaWas, args: any) => unknown;

/** Wraps a handler: checks before it, does something after it. */
export type Guard = (next: AnyHandler) => AnyHandler;

/** Options of `app.route`. */
export interface RouteOptions<A = ArgumentDefaults | StandardSchema | undefined, Rest = boolean> {
  /** Name for URL building. Default: the name of the handler function. */
  name?: string;
  /** Methods it answers; others get 405. Default: every method. */
  methods?: readonly string[];
  /** Media types of the body it accepts; others get 415. Default: every type. */
  contentTypes?: readonly string[];
  /** Accepted arguments with their defaults, or a validator. Default: everything is passed. */
  args?: A;
  /** With `args`: pass what is not declared, too. Default false: it is refused with 400. */
  rest?: Rest;
  /** Guards around the handler, the first one outermost. */
  use?: readonly Guard[];
  /** Leave the body unread, for handlers that read `was.request.raw.body` themselves. Default false. */
  stream?: boolean;
  /** How requests authenticate; `null` frees the route. Default: `app.authenticate`. */
  authenticate?: Authenticate;
  /** Origins whose pages may ask, `["*"]` for all. Default: `app.accessControlAllowOrigin`. */
  accessControlAllowOrigin?: readonly string[] | null;
  /** Seconds a browser may keep the answer to a preflight. Default: `app.accessControlMaxAge`. */
  accessControlMaxAge?: number;
  /** What the API description says of the route; `false` leaves it out. */
  doc?: RouteDoc | false;
}

/** What the API description says of a route, besides what follows from its rule and arguments. */
export interface RouteDoc {
  /** One line. Default: the name of the handler. */
  readonly summary?: string;
  /** More lines, in Markdown. */
  readonly description?: string;
  /** Groups it belongs to. */
  readonly tags?: readonly string[];
  /** Whether it should not be used any more. */
  readonly deprecated?: boolean;
  /** Validator of what it answers with status 200. It only describes; answers are not checked. */
  readonly returns?: StandardSchema;
  /** Further answers by status: one line each. */
  readonly responses?: Readonly<Record<number, string>>;
}

/** What `was.request.routed` tells. */
export interface RouteFacts {
  /** The handler as registered. */
  readonly handler: AnyHandler;
  /** Its name, if it has one. */
  readonly name: string | undefined;
  /** Its rule as written. */
  readonly rule: string;
  /** Methods, if restricted. */
  readonly methods: readonly string[] | undefined;
  /** Media types, if restricted. */
  readonly contentTypes: readonly string[] | undefined;
  /** Declared arguments, if they are a record of defaults. */
  readonly defaults: ArgumentDefaults | undefined;
  /** Whether the body is left unread. */
  readonly stream: boolean;
  /** Declared arguments, if they are a validator. */
  readonly schema: StandardSchema | undefined;
  /** Whether arguments that are not declared are passed on. */
  readonly rest: boolean;
  /** How requests authenticate, if the route says so. */
  readonly authenticate: Authenticate | undefined;
  /** Origins whose pages may ask, if the route says so. */
  readonly origins: readonly string[] | undefined;
  /** Seconds a browser may keep the answer to a preflight, if the route says so. */
  readonly maxAge: number | undefined;
  /** What the API description says of it. */
  readonly doc: RouteDoc | false | undefined;
  /** The sub-app it belongs to. */
  readonly part: Atilary | undefined;
}

const authenticating = new WeakMap<Guard, Authenticate>();

/** Guard that makes a route authenticate: it stands for the option of that name. */
export function authenticateBy(scheme: Authenticate): Guard {
  // Routes read it and never call it, since they authenticate before a body is read. Inside a guard
  // nobody would see it, and the route would be open.
  const guard: Guard = () => {
    throw new TypeError(
      "A guard that authenticates stands in `use` of a route itself, not inside another guard",
    );
  };
  authenticating.set(guard, scheme);
  return guard;
}

/** Whether one of the guards of a route says how it authenticates. */
export function isAuthenticatedByGuard({ use }: RouteOptions): boolean {
  return use?.some((guard) => authenticating.has(guard)) ?? false;
}

/** A route, prepared. */
export interface Route extends Routable {
  /** Facts for `was.request.routed`. */
  readonly facts: RouteFacts;
  /** The handler inside its guards. */
  readonly run: AnyHandler;
  /** Makes its arguments. */
  readonly bind: Binder;
}

/** Methods a route may answer. */
export const METHODS: readonly string[] = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
];
const KNOWN = [
  "name",
  "methods",
  "contentTypes",
  "args",
  "rest",
  "use",
  "stream",
  "authenticate",
  "accessControlAllowOrigin",
  "accessControlMaxAge",
  "doc",
];

/**
 * Prepares a route.
 *
 * @throws {TypeError} for a bad rule, an unknown option or method, or a handler that is none.
 */
export function createRoute(
  text: string,
  options: RouteOptions,
  handler: AnyHandler,
  status: () => number,
): Route {
  const where = `route(${JSON.stringify(text)})`;
  if (typeof handler !== "function") throw new TypeError(`${where}: the handler is not a function`);
  checkOptions(where, options);
  const methods = options.methods?.map((method) => method.toUpperCase());
  for (const method of methods ?? []) {
    if (!METHODS.includes(method)) {
      throw new TypeError(`${where}: unknown method "${method}"; known are ${METHODS.join(", ")}`);
    }
  }
  const rule: Rule = parseRule(text);
  const { args } = options;
  const guarded = options.use?.findLast((guard) => authenticating.has(guard));
  const byGuard = guarded && authenticating.get(guarded);
  if (guarded && options.authenticate !== undefined && options.authenticate !== byGuard) {
    throw new TypeError(
      `${where}: authenticate is ${options.authenticate}, and a guard says ${byGuard}: leave out one`,
    );
  }
  const authenticate = guarded ? byGuard : options.authenticate;
  checkAuthenticate(where, authenticate);
  const run = (options.use ?? []).reduceRight<AnyHandler>((next, guard, i) => {
    if (authenticating.has(guard)) return next;
    const guarded = guard(next);
    if (typeof guarded === "function") return guarded;
    throw new TypeError(
      `${where}: guard ${i} gave no handler: it returns what is called in its place`,
    );
  }, handler);
  return {
    rule,
    methods,
    run,
    bind: createBinder({ rule, args, rest: options.rest ?? false, status }),
    facts: {
      handler,
      name: options.name ?? (handler.name || undefined),
      rule: text,
      methods,
      contentTypes: options.contentTypes?.map((type) => type.split(";")[0]!.trim().toLowerCase()),
      defaults: args === undefined || isSchema(args) ? undefined : args,
      stream: options.stream ?? false,
      schema: isSchema(args) ? args : undefined,
      rest: options.rest ?? false,
      authenticate,
      origins: checkOrigins(where, options.accessControlAllowOrigin),
      maxAge: checkMaxAge(where, options.accessControlMaxAge),
      doc: options.doc,
      part: partOf(options.use),
    },
  };
}

/** Finds what would otherwise come out with the first request, or never. @throws {TypeError} */
function checkOptions(where: string, options: RouteOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${where}: the options are not an object`);
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) {
      throw new TypeError(`${where}: unknown option "${name}"; known are ${KNOWN.join(", ")}`);
    }
  }
  const { name, methods, contentTypes, use, args } = options;
  if (name !== undefined && (typeof name !== "string" || name === "")) {
    throw new TypeError(`${where}: the name is not a text`);
  }
  for (const [what, list] of Object.entries({ methods, contentTypes })) {
    if (list === undefined) continue;
    if (!Array.isArray(list) || list.length === 0 || list.some((one) => typeof one !== "string")) {
      throw new TypeError(`${where}: ${what} is a list of texts with at least one`);
    }
  }
  if (use !== undefined && !(Array.isArray(use) && use.every((one) => typeof one === "function"))) {
    throw new TypeError(`${where}: use is a list of guards, which are functions`);
  }
  if (args !== undefined && !isSchema(args) && !isPlainObject(args)) {
    throw new TypeError(`${where}: args is a record of defaults, or a validator`);
  }
}

/** The path that also reaches a route whose single, last parameter has a default; `undefined` otherwise. */
export function shortPathOf({ rule, facts }: Route): string | undefined {
  const [only] = rule.parameters;
  if (only === undefined || rule.parameters.length !== 1) return undefined;
  if (rule.segments.at(-1) !== only || !Object.hasOwn(facts.defaults ?? {}, only.name)) {
    return undefined;
  }
  // What marks an argument that has to be given is no value.
  if (typeof facts.defaults![only.name] === "symbol") return undefined;
  return `/${rule.segments.slice(0, -1).join("/")}`;
}

/** Default of a path parameter, if it has one. */
export function defaultOf(facts: RouteFacts, name: string): Values[string] {
  return facts.defaults !== undefined && Object.hasOwn(facts.defaults, name)
    ? facts.defaults[name]
    : undefined;
}
