/**
 * Health checks of aliases: what each kind of backend is asked.
 *
 * @module
 */

import type { Client } from "../clients/contract.ts";
import type { HttpClient } from "../clients/http/client.ts";
import { type Health, HealthChecks, type HealthOptions, isWellStatus } from "../net/health.ts";
import type { Alias, AliasMember, AliasType } from "./aliases.ts";
import { backends } from "./backend_clients.ts";
import { loadHttpClient } from "./http_requests.ts";
import { wac } from "./wac.ts";

/** Checks the members of an alias until the clients of the worker are closed. */
export function watch(alias: Alias, ended: () => void): Client {
  const probe = PROBES[alias.type];
  const options = alias.health!;
  const checks = new HealthChecks(
    alias.balancer,
    options,
    (member, signal) => probe(alias, member, options, signal),
    (member, healthy) => {
      wac.logger.get("server").log(
        `${alias.name}: ${member.node} is ${healthy ? "well again" : "taken out of use"}`,
        healthy ? "info" : "warn",
      );
    },
  );
  checks.start();
  return {
    stats: () => ({ open: 0, busy: 0 }),
    maintain: () => {},
    async [Symbol.asyncDispose]() {
      await checks[Symbol.asyncDispose]();
      ended();
    },
  };
}

type Probing = (
  alias: Alias,
  member: AliasMember,
  options: HealthOptions,
  signal: AbortSignal,
) => Promise<Health>;

const PROBES: Readonly<Record<AliasType, Probing>> = {
  http: probeHttp,
  https: probeHttp,
  ws: probeHttp,
  wss: probeHttp,
  postgresql: probeDatabase,
  sqlite3: probeDatabase,
  redis: probeDatabase,
  mongodb: probeDatabase,
};

async function probeHttp(
  alias: Alias,
  member: AliasMember,
  options: HealthOptions,
  signal: AbortSignal,
): Promise<Health> {
  const client: HttpClient = await backends.get("http", loadHttpClient);
  const outcome = await client.send({
    method: "GET",
    url: `${alias.tls ? "https" : "http"}://${member.node}${member.database}${options.path ?? "/"}`,
    headers: ["accept", "*/*"],
    body: null,
    auth: member.user === undefined ? undefined : [member.user, member.password],
    // a connection of its own: the answer must not depend on how busy the pool is
    poolKey: `health ${member.key}`,
    node: member.node,
    caCerts: alias.caCerts,
    maxRedirects: 0,
    maxBytes: 1_000_000,
  }, signal);
  if (outcome.status === 3) {
    return isWellStatus(outcome.statusCode, options.status) ? "well" : "down";
  }
  return signal.aborted ? "slow" : "down";
}

/** Databases are well when they take a connection; what they say is up to their clients. */
async function probeDatabase(
  _alias: Alias,
  member: AliasMember,
  _options: HealthOptions,
  signal: AbortSignal,
): Promise<Health> {
  try {
    if (member.host === "") return (await Deno.stat(member.database)).isFile ? "well" : "down";
    (await Deno.connect({ hostname: member.host, port: member.port, signal })).close();
    return "well";
  } catch {
    return signal.aborted ? "slow" : "down";
  }
}
