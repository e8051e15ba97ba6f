/**
 * Finds the route of a path: exact rules first, then the rules with parameters, along a tree of
 * segments in which literal text wins over a parameter.
 *
 * @module
 */

import { newValues } from "./arguments.ts";
import type { ParameterType, Rule } from "./rule.ts";

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

/** Code of `/`. */
const SLASH = 47;

/** What stands at the end of a path: routes, or where to go when only the final slash is missing. */
interface End<R> {
  /** Whether no parameter led here. */
  readonly exact: boolean;
  routes: R[] | undefined;
  redirect: Match<R> | undefined;
}

function newEnd<R>(exact: boolean): End<R> {
  return { exact, routes: undefined, redirect: undefined };
}

interface Node<R> {
  literals: Literals<R> | undefined;
  int: Node<R> | undefined;
  float: Node<R> | undefined;
  string: Node<R> | undefined;
  path: End<R> | undefined;
  end: End<R> | undefined;
}

function node<R>(): Node<R> {
  return {
    literals: undefined,
    int: undefined,
    float: undefined,
    string: undefined,
    path: undefined,
    end: undefined,
  };
}

interface Literal<R> {
  readonly hash: number;
  readonly text: string;
  readonly node: Node<R>;
  /** The next one in the same place. */
  next: Literal<R> | undefined;
}

/**
 * Nodes by the text of a segment. A `Map` would have the segment cut out and hashed by the runtime, which
 * takes more time than all the rest of a look-up; here the text is compared where it stands.
 */
class Literals<R> {
  #places: (Literal<R> | undefined)[] = new Array(4).fill(undefined);
  #count = 0;

  /** The node of a text, made when there is none. */
  take(text: string): Node<R> {
    const hash = hashOf(text, 0, text.length);
    const known = this.at(hash, text, 0, text.length);
    if (known !== undefined) return known;
    if (++this.#count * 2 > this.#places.length) {
      const places = this.#places;
      this.#places = new Array(places.length * 2).fill(undefined);
      for (const place of places) {
        for (let one = place; one !== undefined; one = one.next) this.#add({ ...one });
      }
    }
    const added = node<R>();
    this.#add({ hash, text, node: added, next: undefined });
    return added;
  }

  #add(literal: Literal<R>): void {
    const place = literal.hash & (this.#places.length - 1);
    literal.next = this.#places[place];
    this.#places[place] = literal;
  }

  /** The node of the text that stands in a path from `start` to `end` and has that hash. */
  at(hash: number, path: string, start: number, end: number): Node<R> | undefined {
    let one = this.#places[hash & (this.#places.length - 1)];
    while (one !== undefined) {
      if (
        one.hash === hash && one.text.length === end - start && path.startsWith(one.text, start)
      ) return one.node;
      one = one.next;
    }
    return undefined;
  }
}

function hashOf(text: string, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash, 31) + text.charCodeAt(i) | 0;
  return hash;
}

/** Routes by rule. */
export class Router<R extends Routable> {
  /** Ends of the rules without parameters, which are in the tree as well. */
  #exact = new Map<string, End<R>>();
  #root: Node<R> = node();

  /** Adds a route. A later route for the same rule and method replaces an earlier one. */
  add(route: R): void {
    const { rule } = route;
    if (rule.parameters.length === 0) {
      this.#addExact(rule.text, route);
      return;
    }
    let at = this.#root;
    for (const segment of rule.segments) {
      if (typeof segment === "string") at = (at.literals ??= new Literals()).take(segment);
      else if (segment.type === "path") {
        at.path ??= newEnd(false);
        at.path.routes = place(at.path.routes, route);
        return;
      } else at = at[segment.type] ??= node();
    }
    at.end ??= newEnd(false);
    at.end.routes = place(at.end.routes, route);
  }

  /** Also answers `path` with a route whose last parameter has a default. */
  addShort(path: string, route: R): void {
    this.#addExact(path, route);
  }

  #addExact(path: string, route: R): void {
    const exact = this.#exactEnd(path);
    exact.routes = place(exact.routes, route);
    if (path.endsWith("/")) this.#exactEnd(path.slice(0, -1)).redirect = { kind: "redirect", path };
  }

  /** The end of a path without parameters, in the map and, unless the path is empty, in the tree. */
  #exactEnd(path: string): End<R> {
    let exact = this.#exact.get(path);
    if (exact !== undefined) return exact;
    this.#exact.set(path, exact = newEnd(true));
    if (path !== "") {
      let at = this.#root;
      for (const text of path.slice(1).split("/")) {
        at = (at.literals ??= new Literals()).take(text);
      }
      at.end = exact;
    }
    return exact;
  }

  /**
   * Finds the route of a path, as sent but without the mount prefix.
   *
   * @throws {URIError} when a parameter is not properly percent-encoded.
   */
  find(path: string, method: string): Match<R> {
    const encoded = path.includes("%");
    if (encoded || path.charCodeAt(0) !== SLASH) {
      const exact = this.#exact.get(path);
      const end = exact?.routes === undefined && encoded
        ? this.#exact.get(decodeURIComponent(path))
        : exact;
      if (end?.routes !== undefined) {
        const match = choose(end.routes, method);
        if (match.kind !== "method") return match;
        return this.#elsewhere(path, method, encoded, end, match.allowed);
      }
      if (exact?.redirect !== undefined) return exact.redirect;
      if (path.charCodeAt(0) !== SLASH) return NONE;
    }
    // Literal text is tried first at every node, so a rule without parameters is found before others.
    const found = search(this.#root, path, 1, 0, encoded);
    if (found === undefined) return NONE;
    const { routes } = found;
    if (routes === undefined) return found.redirect ?? NONE;
    const match = choose(routes, method);
    if (match.kind === "method") {
      return this.#elsewhere(path, method, encoded, found, match.allowed);
    }
    return match.kind === "route" ? withValues(match, found, path, encoded) : match;
  }

  /** Goes on with the rules that come after one whose methods are others: they may answer this one. */
  #elsewhere(
    path: string,
    method: string,
    encoded: boolean,
    first: End<R>,
    methods: readonly string[],
  ): Match<R> {
    const allowed = new Set(methods);
    passed = new Set([first]);
    try {
      for (;;) {
        const found = search(this.#root, path, 1, 0, encoded);
        if (found === undefined) return { kind: "method", allowed: [...allowed] };
        passed.add(found);
        if (found.routes === undefined) continue;
        const match = choose(found.routes, method);
        if (match.kind === "route") return withValues(match, found, path, encoded);
        if (match.kind !== "method") continue;
        for (const one of match.allowed) allowed.add(one);
      }
    } finally {
      passed = undefined;
    }
  }
}

/** A match with the values of its parameters. */
function withValues<R extends Routable>(
  match: Match<R> & { kind: "route" },
  found: End<R>,
  path: string,
  encoded: boolean,
): Match<R> {
  // A rule with parameters may have been found by its short form, which has none.
  if (!found.exact) {
    const { parameters } = match.route.rule;
    const values = newValues() as PathValues;
    for (let i = 0; i < parameters.length; i++) {
      const { name, type } = parameters[i]!;
      values[name] = type === "int"
        ? intAt(path, starts[i]!, ends[i]!)
        : valueOf(type, path.slice(starts[i], ends[i]), encoded);
    }
    match.values = values;
  }
  return match;
}

/** Ends that the running look-up has found before and passes by; as a rule there are none. */
let passed: Set<unknown> | undefined;

/**
 * Where the values of the parameters stand in the path that is looked up. Shared by all look-ups: one is
 * over before the next begins.
 */
const starts: number[] = [];
const ends: number[] = [];

function place<R extends Routable>(routes: R[] | undefined, route: R): R[] {
  // A route for all methods comes last, so that one for the method is found before it; and behind all
  // rules without parameters comes the short form of one with them.
  const kept = (routes ?? []).filter((other) =>
    !(String(other.methods) === String(route.methods) && other.rule.text === route.rule.text)
  );
  kept.push(route);
  return kept.sort((a, b) => rank(a) - rank(b));
}

function rank({ rule, methods }: Routable): number {
  return (rule.parameters.length > 0 ? 2 : 0) + (methods === undefined ? 1 : 0);
}

function choose<R extends Routable>(routes: readonly R[], method: string): Match<R> {
  if (method === "HEAD") {
    const route = routes.find(({ methods }) => methods?.includes("HEAD"));
    if (route !== undefined) return { kind: "route", route, values: undefined };
  }
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i]!;
    const { methods } = route;
    if (
      methods === undefined || methods[0] === method || methods.includes(method) ||
      method === "HEAD" && methods.includes("GET")
    ) return { kind: "route", route, values: undefined };
  }
  const allowed = routes.flatMap(({ methods = [] }) =>
    methods.flatMap((one) => one === "GET" ? ["GET", "HEAD"] : [one])
  );
  return { kind: "method", allowed: [...new Set(allowed)] };
}

/**
 * Walks the tree from `start`, the index after a slash; literal text before int, float, string and path.
 * Where values of parameters stand is noted from number `count` on.
 */
function search<R>(
  at: Node<R>,
  path: string,
  start: number,
  count: number,
  encoded: boolean,
): End<R> | undefined {
  const { literals } = at;
  let end = start;
  if (literals === undefined) {
    const slash = path.indexOf("/", start);
    end = slash === -1 ? path.length : slash;
  } else {
    // As in hashOf, on the way to the next slash.
    let hash = 0;
    for (; end < path.length; end++) {
      const code = path.charCodeAt(end);
      if (code === SLASH) break;
      hash = Math.imul(hash, 31) + code | 0;
    }
    let literal = literals.at(hash, path, start, end);
    if (literal === undefined && encoded) literal = decoded(literals, path.slice(start, end));
    if (literal !== undefined) {
      const found = step(literal, path, end, count, encoded);
      if (found !== undefined) return found;
    }
  }
  if (end > start) {
    if (at.int !== undefined && isInt(path, start, end)) {
      const found = step(at.int, path, end, count + 1, encoded);
      if (found !== undefined) return note(found, count, start, end);
    }
    if (at.float !== undefined && /^\d+(\.\d+)?$/.test(path.slice(start, end))) {
      const found = step(at.float, path, end, count + 1, encoded);
      if (found !== undefined) return note(found, count, start, end);
    }
    if (at.string !== undefined) {
      const found = step(at.string, path, end, count + 1, encoded);
      if (found !== undefined) return note(found, count, start, end);
    }
  }
  if (at.path !== undefined && start < path.length && !isPassed(at.path)) {
    return note(at.path, count, start, path.length);
  }
  return undefined;
}

/** Goes on behind a segment, or ends there. */
function step<R>(
  next: Node<R>,
  path: string,
  end: number,
  count: number,
  encoded: boolean,
): End<R> | undefined {
  if (end < path.length) return search(next, path, end + 1, count, encoded);
  return isPassed(next.end) ? undefined : next.end;
}

function isPassed(end: unknown): boolean {
  return passed !== undefined && passed.has(end);
}

/** Notes where the value of a parameter stands, once it is sure that it belongs to what was found. */
function note<R>(found: End<R>, count: number, start: number, end: number): End<R> {
  starts[count] = start;
  ends[count] = end;
  return found;
}

/** The node of a segment that may be percent-encoded. */
function decoded<R>(literals: Literals<R>, segment: string): Node<R> | undefined {
  if (!segment.includes("%")) return undefined;
  const text = decodeURIComponent(segment);
  return literals.at(hashOf(text, 0, text.length), text, 0, text.length);
}

/** Digits only, and few enough to be an exact number. */
function isInt(path: string, start: number, end: number): boolean {
  if (end - start > 15) return false;
  for (let i = start; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

/** The number that digits mean. */
function intAt(path: string, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) value = value * 10 + path.charCodeAt(i) - 48;
  return value;
}

function valueOf(type: ParameterType, raw: string, encoded: boolean): string | number {
  if (type === "float") return Number(raw);
  const text = encoded ? decodeURIComponent(raw) : raw;
  // An underscore is how a blank is written in a plain parameter; a path is taken as it stands.
  return type === "string" && text.includes("_") ? text.replaceAll("_", " ") : text;
}
