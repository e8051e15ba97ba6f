/**
 * Finds the route of a path: exact rules first, then the rules with parameters, along a tree of
 * segments in which literal text wins over a parameter.
 *
 * @module
 */

import { newValues } from "./arguments.ts";
import type { Parameter, Rule } from "./rule.ts";

/** What the router keeps for a rule. */
export interface Routable {
  /** The rule. */
  readonly rule: Rule;
  /** Methods it answers; `undefined` for all. */
  readonly methods: readonly string[] | undefined;
}

/** Values of the parameters of a matched rule. */
export type PathValues = Record<string, string | number>;

/** What became of a look-up. */
export type Match<R> =
  | { readonly kind: "route"; readonly route: R; values: PathValues | undefined }
  | { readonly kind: "method"; readonly allowed: readonly string[] }
  | { readonly kind: "redirect"; readonly path: string }
  | { readonly kind: "none" };

const NONE: Match<never> = { kind: "none" };

interface Node<R> {
  literals: Map<string, Node<R>> | undefined;
  int: Node<R> | undefined;
  float: Node<R> | undefined;
  string: Node<R> | undefined;
  path: R[] | undefined;
  routes: R[] | undefined;
}

function node<R>(): Node<R> {
  return {
    literals: undefined,
    int: undefined,
    float: undefined,
    string: undefined,
    path: undefined,
    routes: undefined,
  };
}

/** Routes by rule. */
export class Router<R extends Routable> {
  #exact = new Map<string, R[]>();
  /** Paths that lack the final slash of an exact one, with that one. */
  #slashless = new Map<string, Match<R>>();
  #root: Node<R> = node();
  #hasParameters = false;

  /** Adds a route. A later route for the same rule and method replaces an earlier one. */
  add(route: R): void {
    const { rule } = route;
    if (rule.parameters.length === 0) {
      this.#addExact(rule.text, route);
      return;
    }
    this.#hasParameters = true;
    let at = this.#root;
    for (const segment of rule.segments) {
      if (typeof segment === "string") {
        at.literals ??= new Map();
        let next = at.literals.get(segment);
        if (next === undefined) at.literals.set(segment, next = node());
        at = next;
      } else if (segment.type === "path") {
        at.path = place(at.path, route);
        return;
      } else {
        at = at[segment.type] ??= node();
      }
    }
    at.routes = place(at.routes, route);
  }

  /** Also answers `path` with a route whose last parameter has a default. */
  addShort(path: string, route: R): void {
    this.#addExact(path, route);
  }

  #addExact(path: string, route: R): void {
    this.#exact.set(path, place(this.#exact.get(path), route));
    if (path.endsWith("/")) this.#slashless.set(path.slice(0, -1), { kind: "redirect", path });
  }

  /**
   * Finds the route of a path, as sent but without the mount prefix.
   *
   * @throws {URIError} when a parameter is not properly percent-encoded.
   */
  find(path: string, method: string): Match<R> {
    const encoded = path.includes("%");
    const exact = this.#exact.get(path) ??
      (encoded ? this.#exact.get(decodeURIComponent(path)) : undefined);
    if (exact !== undefined) return choose(exact, method);
    const slashless = this.#slashless.get(path);
    if (slashless !== undefined) return slashless;
    if (!this.#hasParameters) return NONE;
    const raw: string[] = [];
    const routes = search(this.#root, path, 1, raw);
    if (routes === undefined) return NONE;
    const match = choose(routes, method);
    if (match.kind !== "route") return match;
    const { parameters } = match.route.rule;
    const values = newValues() as PathValues;
    for (let i = 0; i < parameters.length; i++) {
      values[parameters[i]!.name] = valueOf(parameters[i]!, raw[i]!, encoded);
    }
    match.values = values;
    return match;
  }
}

function place<R extends Routable>(routes: R[] | undefined, route: R): R[] {
  // A route for all methods comes last, so that one for the method is found before it.
  const kept = (routes ?? []).filter((other) =>
    !(String(other.methods) === String(route.methods) && other.rule.text === route.rule.text)
  );
  kept.push(route);
  return kept.sort((a, b) => Number(a.methods === undefined) - Number(b.methods === undefined));
}

function choose<R extends Routable>(routes: readonly R[], method: string): Match<R> {
  for (const route of routes) {
    if (
      route.methods === undefined || route.methods.includes(method) ||
      method === "HEAD" && route.methods.includes("GET")
    ) return { kind: "route", route, values: undefined };
  }
  return { kind: "method", allowed: [...new Set(routes.flatMap((route) => route.methods ?? []))] };
}

/**
 * Walks the tree from `start`, the index after a slash; literal text before int, float, string and path.
 * Values of parameters are collected in `raw`, which is as it was when nothing fits.
 */
function search<R>(at: Node<R>, path: string, start: number, raw: string[]): R[] | undefined {
  const slash = path.indexOf("/", start);
  const end = slash === -1 ? path.length : slash;
  const segment = path.slice(start, end);

  if (at.literals !== undefined) {
    const literal = at.literals.get(segment) ??
      (segment.includes("%") ? at.literals.get(decodeURIComponent(segment)) : undefined);
    if (literal !== undefined) {
      const found = step(literal, path, end, raw);
      if (found !== undefined) return found;
    }
  }
  if (segment !== "") {
    raw.push(segment);
    const found = at.int !== undefined && isInt(segment) && step(at.int, path, end, raw) ||
      at.float !== undefined && /^\d+(\.\d+)?$/.test(segment) && step(at.float, path, end, raw) ||
      at.string !== undefined && step(at.string, path, end, raw);
    if (found) return found;
    raw.pop();
  }
  if (at.path !== undefined && start < path.length) {
    raw.push(path.slice(start));
    return at.path;
  }
  return undefined;
}

/** Goes on behind a segment, or ends there. */
function step<R>(next: Node<R>, path: string, end: number, raw: string[]): R[] | undefined {
  return end === path.length ? next.routes : search(next, path, end + 1, raw);
}

/** Digits only, and few enough to be an exact number. */
function isInt(text: string): boolean {
  if (text.length > 15) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

function valueOf({ type }: Parameter, raw: string, encoded: boolean): string | number {
  if (type === "int" || type === "float") return Number(raw);
  const text = encoded ? decodeURIComponent(raw) : raw;
  // An underscore is how a blank is written in a plain parameter; a path is taken as it stands.
  return type === "string" && text.includes("_") ? text.replaceAll("_", " ") : text;
}
