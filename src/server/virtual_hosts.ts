/**
 * Which mounts answer for which host name.
 *
 * @module
 */

import { ConfigError, HttpError } from "../core/errors.ts";
import type { Handler } from "../core/handler.ts";

/**
 * Host names whose handler is remembered. A client chooses the names, so their number is bounded.
 */
const MAX_REMEMBERED = 1000;

/** One name of a host rule, in lower case. */
export type HostName =
  | { readonly kind: "default" }
  | { readonly kind: "exact"; readonly name: string }
  /** `name` starts with the dot; `own` tells whether it covers the name without the dot as well. */
  | { readonly kind: "suffix"; readonly name: string; readonly own: boolean };

/**
 * Reads a host rule: names separated by blanks, each `www.example.com`, `.example.com` (all
 * subdomains and the domain itself), `*.example.com` (subdomains only) or `default`.
 *
 * @throws {ConfigError} for anything that is no host name.
 */
export function parseHostRule(where: string, rule: string): HostName[] {
  const names = rule.trim().toLowerCase().split(/\s+/).filter((name) => name !== "");
  if (names.length === 0) throw new ConfigError(where, "the host rule is empty");
  return names.map((name) => {
    if (name === "default") return { kind: "default" };
    const suffix = name.startsWith("*.") ? name.slice(1) : name;
    if (suffix.startsWith(".")) {
      return {
        kind: "suffix",
        name: `.${asciiName(where, rule, suffix.slice(1))}`,
        own: suffix === name,
      };
    }
    return { kind: "exact", name: asciiName(where, rule, name) };
  });
}

/** The form in which the name appears in a request: punycode, no brackets. */
function asciiName(where: string, rule: string, name: string): string {
  const bare = name.replace(/^\[(.*)\]$/, "$1");
  const url = /[/?#@\\*\s]/.test(bare) || bare === ""
    ? null
    : URL.parse(`http://${bare.includes(":") ? `[${bare}]` : bare}/`);
  if (url === null) {
    throw new ConfigError(
      where,
      `${JSON.stringify(name)} in host rule ${JSON.stringify(rule)} is no host name; ` +
        `ports do not belong there`,
    );
  }
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** A host name with the handler of its mounts. */
export interface HostEntry {
  /** The name. */
  readonly host: HostName;
  /** What answers for it. */
  readonly handler: Handler;
}

/**
 * Chooses by host name: exact names first, then the longest suffix, then `default`. A host that
 * nobody answers for gets a 404. With nothing but a default the handler of that is returned as it
 * is.
 */
export function virtualHosts(entries: readonly HostEntry[]): Handler {
  const exact = new Map<string, Handler>();
  const suffixes: { name: string; own: boolean; handler: Handler }[] = [];
  let fallback: Handler = () => {
    throw new HttpError(404, "There is no such host here");
  };
  for (const { host, handler } of entries) {
    if (host.kind === "default") fallback = handler;
    else if (host.kind === "exact") exact.set(host.name, handler);
    else suffixes.push({ name: host.name, own: host.own, handler });
  }
  if (exact.size === 0 && suffixes.length === 0) return fallback;
  // On one suffix the narrower rule, for subdomains only, comes first.
  suffixes.sort((a, b) => b.name.length - a.name.length || Number(a.own) - Number(b.own));

  const choose = (hostname: string): Handler => {
    // A name may be written with the final dot of the DNS.
    const name = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
    const handler = exact.get(name);
    if (handler !== undefined) return handler;
    for (const { name: suffix, own, handler } of suffixes) {
      if (name.length > suffix.length && name.endsWith(suffix)) return handler;
      if (own && name === suffix.slice(1)) return handler;
    }
    return fallback;
  };
  const chosen = new Map<string, Handler>();
  return function virtualHosts(req, ctx) {
    const { hostname } = ctx;
    let handler = chosen.get(hostname);
    if (handler === undefined) {
      handler = choose(hostname);
      if (chosen.size >= MAX_REMEMBERED) chosen.clear();
      chosen.set(hostname, handler);
    }
    return handler(req, ctx);
  };
}
