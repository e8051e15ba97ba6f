/**
 * Routes: what an app was told about a rule, prepared for requests.
 *
 * @module
 */

import {
  type ArgumentDefaults,
  type Binder,
  createBinder,
  isSchema,
  type StandardSchema,
  type Values,
} from "./arguments.ts";
import { parseRule, type Rule } from "./rule.ts";
import type { Routable } from "./router.ts";
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

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const KNOWN = ["name", "methods", "contentTypes", "args", "rest", "use", "stream"];

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
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) {
      throw new TypeError(`${where}: unknown option "${name}"; known are ${KNOWN.join(", ")}`);
    }
  }
  const methods = options.methods?.map((method) => method.toUpperCase());
  for (const method of methods ?? []) {
    if (!METHODS.includes(method)) {
      throw new TypeError(`${where}: unknown method "${method}"; known are ${METHODS.join(", ")}`);
    }
  }
  const rule: Rule = parseRule(text);
  const { args } = options;
  const run = (options.use ?? []).reduceRight<AnyHandler>((next, guard) => guard(next), handler);
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
      contentTypes: options.contentTypes?.map((type) => type.toLowerCase()),
      defaults: args === undefined || isSchema(args) ? undefined : args,
      stream: options.stream ?? false,
    },
  };
}

/** The path that also reaches a route whose single, last parameter has a default; `undefined` otherwise. */
export function shortPathOf({ rule, facts }: Route): string | undefined {
  const [only] = rule.parameters;
  if (only === undefined || rule.parameters.length !== 1) return undefined;
  if (rule.segments.at(-1) !== only || !Object.hasOwn(facts.defaults ?? {}, only.name)) {
    return undefined;
  }
  return `/${rule.segments.slice(0, -1).join("/")}`;
}

/** Default of a path parameter, if it has one. */
export function defaultOf(facts: RouteFacts, name: string): Values[string] {
  return facts.defaults !== undefined && Object.hasOwn(facts.defaults, name)
    ? facts.defaults[name]
    : undefined;
}
