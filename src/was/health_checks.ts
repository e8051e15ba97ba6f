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
import type { DatabaseOwner } from "./database_call.ts";
import type { Results } from "./results.ts";
import { wac } from "./wac.ts";
import { detachedWas } from "./was.ts";

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

/** Databases are well when they answer a trivial request. Failed ones are not worth a line each. */
async function probeDatabase(
  alias: Alias,
  member: AliasMember,
  options: HealthOptions,
  signal: AbortSignal,
): Promise<Health> {
  // a database that is missing must not be made by being asked
  if (alias.type === "sqlite3" && !await isFile(member.database)) return "down";
  const owner: DatabaseOwner = {
    findAlias: () => Object.create(alias, { members: { value: [member] } }),
    offloadPool: () => detachedWas().offloadPool(),
    log: () => {},
    traceback: (error) => wac.logger.get("server").trace(error, "health"),
  };
  const timeout = (options.timeoutMs ?? 2000) / 1000;
  const ended = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const results = await Promise.race([trivial(alias, owner, timeout), ended]);
  const { status, error } = results?.at(0) ?? {};
  // a user that may not ask has an answer all the same
  if (error?.name === "ReplyError" && error.message.startsWith("NOPERM")) return "well";
  return status === 3 ? "well" : status === 2 ? "down" : "slow";
}

async function trivial(
  { type, name }: Alias,
  owner: DatabaseOwner,
  timeout: number,
): Promise<Results> {
  switch (type) {
    case "postgresql": {
      const { postgresqlMethod } = await import("./postgresql.ts");
      return await postgresqlMethod(owner).map(name, { timeout }).execute("select 1");
    }
    case "redis": {
      const { redisMethod } = await import("./redis.ts");
      return await redisMethod(owner).map(name, { timeout }).call("ping");
    }
    case "mongodb": {
      const { mongodbMethod } = await import("./mongodb.ts");
      return await mongodbMethod(owner).map(name, { timeout }).command({ ping: 1 });
    }
    default: {
      const { sqlite3Method } = await import("./sqlite3.ts");
      return await sqlite3Method(owner).map(name, { timeout }).execute("select 1");
    }
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    // whatever the reason, it cannot be used
    return false;
  }
}
