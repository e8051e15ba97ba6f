/**
 * Routers with the same 500 routes, ours and those of others, behind one small interface.
 *
 * @module
 */

import findMyWay from "find-my-way";
import type { Router as HonoRouter } from "hono/router";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { SmartRouter } from "hono/router/smart-router";
import { TrieRouter } from "hono/router/trie-router";
import { addRoute, createRouter, findRoute } from "rou3";
import { Router } from "../../src/atila/router.ts";
import { parseRule, type Rule } from "../../src/atila/rule.ts";

/** Finds the route of a GET: its number, and the value of the first parameter. */
export type Lookup = (path: string) => readonly [route: number, value: unknown];

/** Rules of an application: 250 without parameters, 200 typed, 50 that take the rest of the path. */
function rules(): string[] {
  const list: string[] = [];
  for (let i = 0; i < 50; i++) {
    for (let j = 0; j < 5; j++) list.push(`/section${i}/page${j}`);
    list.push(`/shop${i}/<int:id>`);
    list.push(`/shop${i}/<int:id>/reviews`);
    list.push(`/shop${i}/<int:id>/reviews/<name>`);
    list.push(`/people${i}/<name>/edit`);
    list.push(`/files${i}/<path:rest>`);
  }
  return list;
}

const RULES = rules();

/** A rule in the words of another router. */
function worded(rule: string, int: string, string: string, path: string): string {
  return rule.replace("<int:id>", int).replace("<name>", string).replace("<path:rest>", path);
}

/** Paths to look up, each with the number of its route: all routes equally often, in no order. */
export function questions(): { readonly path: string; readonly route: number }[] {
  // Any fixed order that jumps about will do; 311 has no divisor in common with 500.
  return Array.from({ length: RULES.length * 8 }, (_, n) => {
    const route = n * 311 % RULES.length;
    const path = worded(RULES[route]!, String(1000 + n), `person-${n}`, `a/b${n}/c.txt`);
    return { path, route };
  });
}

class NumberedRoute {
  readonly methods = ["GET"];
  readonly rule: Rule;
  constructor(rule: string, readonly number: number) {
    this.rule = parseRule(rule);
  }
}

const NO_VALUES: Record<string, never> = {};

function ours(): Lookup {
  const router = new Router<NumberedRoute>();
  RULES.forEach((rule, i) => router.add(new NumberedRoute(rule, i)));
  return (path) => {
    const match = router.find(path, "GET");
    if (match.kind !== "route") throw new Error(`no route for ${path}`);
    const values = match.values ?? NO_VALUES;
    return [match.route.number, values.id ?? values.name ?? values.rest];
  };
}

function fromFindMyWay(): Lookup {
  const router = findMyWay();
  const handler = () => {};
  RULES.forEach((rule, i) =>
    router.on("GET", worded(rule, ":id(^\\d+$)", ":name", "*"), handler, { number: i })
  );
  return (path) => {
    const found = router.find("GET", path)!;
    const values = found.params;
    return [(found.store as { number: number }).number, values.id ?? values.name ?? values["*"]];
  };
}

function fromRou3(): Lookup {
  const router = createRouter<number>();
  RULES.forEach((rule, i) =>
    addRoute(router, "GET", worded(rule, ":id(\\d+)", ":name", "**:rest"), i)
  );
  return (path) => {
    const found = findRoute(router, "GET", path)!;
    const values = found.params ?? NO_VALUES;
    return [found.data, values.id ?? values.name ?? values.rest];
  };
}

function fromHono(router: HonoRouter<number>): Lookup {
  RULES.forEach((rule, i) => router.add("GET", worded(rule, ":id{\\d+}", ":name", ":rest{.+}"), i));
  return (path) => {
    const found = router.match("GET", path);
    const [handler, names] = found[0][0]!;
    // Hono keeps indexes into the match where it can; a request reads its parameters that way too.
    const value = (names as Record<string, number | string>).id ??
      (names as Record<string, number | string>).name ??
      (names as Record<string, number | string>).rest;
    return [handler, typeof value === "number" ? found[1]![value] : value];
  };
}

/** The routers by name; ours is the first. */
export const ROUTERS: Readonly<Record<string, () => Lookup>> = {
  "Atila": ours,
  "find-my-way": fromFindMyWay,
  "rou3": fromRou3,
  "Hono RegExpRouter": () => fromHono(new RegExpRouter()),
  "Hono SmartRouter": () =>
    fromHono(new SmartRouter({ routers: [new RegExpRouter(), new TrieRouter()] })),
};
