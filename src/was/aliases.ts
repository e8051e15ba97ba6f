/**
 * Aliases: names for groups of backend servers.
 *
 * @module
 */

import { type OrmConfig, ormConnection } from "./orm_config.ts";
import type { BalanceSpec } from "../net/balance/policy.ts";
import { Balancer, type RetryOptions } from "../net/balancer.ts";
import type { BreakerOptions } from "../net/breaker.ts";
import type { EjectionOptions } from "../net/ejection.ts";
import { checkHealthOptions, type HealthOptions } from "../net/health.ts";
import { parseSources, type SourceList } from "../net/source_list.ts";

/** Kind of backend behind an alias. */
export type AliasType =
  | "http"
  | "https"
  | "ws"
  | "wss"
  | "postgresql"
  | "sqlite3"
  | "redis"
  | "mongodb";

/** Web servers: pages, REST, RPC. */
export const PROTO_HTTP: AliasType = "http";
/** Web servers over TLS. */
export const PROTO_HTTPS: AliasType = "https";
/** WebSocket servers. */
export const PROTO_WS: AliasType = "ws";
/** WebSocket servers over TLS. */
export const PROTO_WSS: AliasType = "wss";
/** PostgreSQL. */
export const DB_PGSQL = "postgresql" as const;
/** PostgreSQL, by its longer name. */
export const DB_POSTGRESQL = "postgresql" as const;
/** SQLite files. */
export const DB_SQLITE3 = "sqlite3" as const;
/** Redis. */
export const DB_REDIS: AliasType = "redis";
/** MongoDB. */
export const DB_MONGODB: AliasType = "mongodb";

/** Stands for the type of the database that the settings of an ORM name. */
export type OrmType = "orm";
/** The database that the settings of an ORM name: PostgreSQL or SQLite. */
export const ORM: OrmType = "orm";

const PORTS: Readonly<Record<AliasType, readonly [plain: number, tls: number]>> = {
  http: [80, 443],
  https: [443, 443],
  ws: [80, 443],
  wss: [443, 443],
  postgresql: [5432, 5432],
  sqlite3: [0, 0],
  redis: [6379, 6379],
  mongodb: [27017, 27017],
};

/** Options of `alias`. */
export interface AliasOptions {
  /** Roles that may use it through the gateway, separated by commas. Default `""`: anyone. */
  readonly role?: string;
  /** Networks that may use it through the gateway, separated by commas. Default `""`: any. */
  readonly source?: string;
  /** Speak TLS whatever the type. Default false; `https` and `wss` always do. */
  readonly ssl?: boolean;
  /** Certificates to trust besides the system's: PEM text, one or several. */
  readonly ca?: string | readonly string[];
  /** Most connections to each PostgreSQL or MongoDB member, of each worker. Default 10. */
  readonly maxConnections?: number;
  /** Who gets the next request. Default `"least-busy"`, by weight. */
  readonly balance?: BalanceSpec;
  /** Checks that every member is asked for now and then. Default: none. */
  readonly health?: HealthOptions;
  /** When errors take a member out of use for a while. Default: after three in a row; false never. */
  readonly eject?: boolean | EjectionOptions;
  /** Breakers, one for each member; true for the defaults. Default: none. */
  readonly breaker?: boolean | BreakerOptions;
  /**
   * How requests are repeated. Default: what may be repeated is given to each other member once, as
   * long as that is no large share of all requests; false never repeats.
   */
  readonly retry?: boolean | RetryOptions;
}

/** One server of an alias. */
export interface AliasMember {
  /** Host and port, or the file; how logs and results name it. Never holds credentials. */
  readonly node: string;
  /** Host name or address without brackets; `""` for files. */
  readonly host: string;
  /** Port; 0 for files. */
  readonly port: number;
  /** User, decoded; `undefined` without one. */
  readonly user: string | undefined;
  /** Password, decoded. */
  readonly password: string;
  /** Database name or file; for web servers the path all requests start with. */
  readonly database: string;
  /** Share of concurrent requests relative to the others. */
  readonly weight: number;
  /** Unique among all members of all aliases; connections are pooled by it. */
  readonly key: string;
}

const KNOWN_OPTIONS = [
  ...["role", "source", "ssl", "ca", "maxConnections"],
  ...["balance", "health", "eject", "breaker", "retry"],
];
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** Number of the next alias: those of two apps may have the same name. */
let serial = 0;

/** A named group of servers of one type. */
export class Alias {
  /** Name with its leading `@`. */
  readonly name: string;
  /** Type. */
  readonly type: AliasType;
  /** Whether connections use TLS. */
  readonly tls: boolean;
  /** Roles of the gateway. */
  readonly role: string;
  /** Networks of the gateway. */
  readonly source: string;
  /** Extra certificates, PEM. */
  readonly caCerts: readonly string[] | undefined;
  /** Most connections to each member; `undefined` for the default of the client. */
  readonly maxConnections: number | undefined;
  /**
   * Its members with their state in this worker.
   *
   * @internal
   */
  readonly balancer: Balancer<AliasMember>;
  /** Its checks, if it has some. */
  readonly health: HealthOptions | undefined;
  /** Whether an address may use it through the gateway. */
  readonly allowsSource: SourceList;
  readonly #roles: readonly string[];
  /** Tells it apart from all others, also from one of another app that has the same name. */
  readonly scope: string;

  /** Reads the members. @throws {TypeError} naming what cannot be used. */
  constructor(
    name: string,
    type: AliasType,
    members: string | readonly string[],
    options: AliasOptions = {},
  ) {
    this.name = aliasName(name);
    if (!Object.hasOwn(PORTS, type)) {
      throw new TypeError(
        `Cannot define ${this.name}: unknown type ${JSON.stringify(type)}; known are ${
          Object.keys(PORTS).join(", ")
        }`,
      );
    }
    for (const key of Object.keys(options)) {
      if (KNOWN_OPTIONS.includes(key)) continue;
      throw new TypeError(
        `Cannot define ${this.name}: unknown option "${key}"; known are ${
          KNOWN_OPTIONS.join(", ")
        }`,
      );
    }
    this.type = type;
    if (options.ssl !== undefined && typeof options.ssl !== "boolean") {
      // taken for false, it would send everything in the clear
      throw new TypeError(`Cannot define ${this.name}: ssl is true or false`);
    }
    this.tls = options.ssl === true || type === "https" || type === "wss";
    const { role = "", source = "" } = options;
    if (typeof role !== "string" || typeof source !== "string") {
      throw new TypeError(`Cannot define ${this.name}: role and source are text`);
    }
    this.role = role;
    this.source = source;
    const { maxConnections } = options;
    if (
      maxConnections !== undefined && !(Number.isSafeInteger(maxConnections) && maxConnections > 0)
    ) {
      throw new TypeError(
        `Cannot define ${this.name}: maxConnections is a whole number above 0, not ${maxConnections}`,
      );
    }
    this.maxConnections = maxConnections;
    const list = typeof members === "string" ? [members] : members;
    if (!Array.isArray(list)) {
      throw new TypeError(`Cannot define ${this.name}: members are an address or a list of them`);
    }
    const scope = this.scope = `${this.name}#${serial++}`;
    const byNode = new Map<string, AliasMember>();
    for (const text of list) {
      const member = parseMember(text, type, this.tls, this.name, scope);
      const key = `${member.user}\n${member.node}\n${member.database}`;
      const before = byNode.get(key);
      byNode.set(key, before === undefined ? member : { ...before, weight: member.weight });
    }
    if (byNode.size === 0) {
      throw new TypeError(`Cannot define ${this.name}: it has no member`);
    }
    this.#roles = this.role.split(",").map((one) => one.trim()).filter((one) => one !== "");
    try {
      if (this.#roles.length === 0 && this.role.trim() !== "") {
        throw new TypeError(`${JSON.stringify(this.role)} names no role`);
      }
      if (this.#roles.length > 0 && !isWeb(type)) {
        throw new TypeError("only web servers have roles");
      }
      this.caCerts = certificatesOf(options.ca);
      this.allowsSource = parseSources(this.source);
      if (options.health !== undefined) checkHealthOptions(options.health);
      this.balancer = new Balancer<AliasMember>(this.name, [...byNode.values()], options);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new TypeError(`Cannot define ${this.name}: ${error.message}`, { cause: error });
    }
    this.health = options.health;
  }

  /** Servers, in the order given; those added later at the end. */
  get members(): readonly AliasMember[] {
    return this.balancer.members;
  }

  /** Whether somebody with these roles may use it through the gateway. */
  allowsRole(roles: readonly string[]): boolean {
    return this.#roles.length === 0 || this.#roles.some((one) => roles.includes(one));
  }

  /** Reads one more member, in the form the others were given. @throws {TypeError} */
  parse(member: string): AliasMember {
    return parseMember(member, this.type, this.tls, this.name, this.scope);
  }

  /**
   * The member that is to get the next request.
   *
   * @param load Requests a member is busy with.
   */
  pick(load: (member: AliasMember) => number): AliasMember {
    return this.balancer.choose({ load })?.member ?? this.members[0]!;
  }
}

/**
 * Certificates to trust, as the option `ca` gives them.
 *
 * @throws {TypeError} for what holds none, such as the path of a file. @internal
 */
export function certificatesOf(
  ca: string | readonly string[] | undefined,
): readonly string[] | undefined {
  if (ca === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(ca) ? ca : [ca];
  for (const one of list) {
    if (typeof one === "string" && one.includes("-----BEGIN CERTIFICATE-----")) continue;
    throw new TypeError("ca is the text of certificates in PEM form, or a list of such texts");
  }
  return list as readonly string[];
}

function fromOrm(name: string, settings: string | OrmConfig, options: AliasOptions = {}): Alias {
  const { type, member, ssl } = ormConnection(settings);
  return new Alias(name, type, member, ssl ? { ssl, ...options } : options);
}

/** The aliases of a service or of one app. */
export class AliasRegistry {
  readonly #aliases = new Map<string, Alias>();

  /** Defines an alias. A name that is defined already keeps its first meaning, which is returned. */
  define(
    name: string,
    type: AliasType,
    members: string | readonly string[],
    options?: AliasOptions,
  ): Alias;
  /** Defines an alias of what the settings of an ORM connect to. @throws {TypeError} */
  define(
    name: string,
    type: OrmType,
    settings: string | OrmConfig,
    options?: AliasOptions,
  ): Alias;
  define(
    name: string,
    type: AliasType | OrmType,
    members: string | readonly string[] | OrmConfig,
    options?: AliasOptions,
  ): Alias {
    const made = type === ORM
      ? fromOrm(name, members as string | OrmConfig, options)
      : new Alias(name, type, members as string | readonly string[], options);
    const first = this.#aliases.get(made.name);
    if (first !== undefined) return first;
    this.#aliases.set(made.name, made);
    return made;
  }

  /** The alias of that name, with or without its `@`. */
  get(name: string): Alias | undefined {
    return this.#aliases.get(name.startsWith("@") ? name : `@${name}`);
  }

  /** Names that are defined. */
  names(): string[] {
    return [...this.#aliases.keys()];
  }

  /** All that are defined. */
  all(): Alias[] {
    return [...this.#aliases.values()];
  }

  /** Takes a definition away; for tests and tools. */
  delete(name: string): boolean {
    return this.#aliases.delete(name.startsWith("@") ? name : `@${name}`);
  }
}

/** The aliases every app of the service sees. */
export const aliases: AliasRegistry = new AliasRegistry();

/** The aliases of the apps that have some of their own, for whoever looks after all of them. @internal */
export const appAliases: Set<AliasRegistry> = new Set();

/**
 * Names a group of backend servers for all apps. First definition of a name wins.
 *
 * @example
 * ```ts
 * import { alias, PROTO_HTTP } from "./aliases.ts";
 * const members = alias("@members", PROTO_HTTP, ["10.0.0.1:8080 2", "10.0.0.2:8080"]);
 * console.assert(members.members[0]!.weight === 2);
 * ```
 *
 * @throws {TypeError} for a bad name, type, member or option.
 */
export function alias(
  name: string,
  type: AliasType,
  members: string | readonly string[],
  options?: AliasOptions,
): Alias;
/**
 * The same of what the settings of an ORM connect to: an object, or a file that exports one, as Drizzle,
 * Kysely, Knex and TypeORM have.
 *
 * @throws {TypeError} for a database that is neither PostgreSQL nor SQLite.
 */
export function alias(
  name: string,
  type: OrmType,
  settings: string | OrmConfig,
  options?: AliasOptions,
): Alias;
export function alias(
  name: string,
  type: AliasType | OrmType,
  members: string | readonly string[] | OrmConfig,
  options?: AliasOptions,
): Alias {
  return aliases.define(name, type as AliasType, members as string, options);
}

/**
 * Looks a name up in several registries, the first that has it.
 *
 * @throws {TypeError} when none has, naming those that are defined.
 */
export function findAlias(name: string, ...registries: (AliasRegistry | undefined)[]): Alias {
  for (const registry of registries) {
    const found = registry?.get(name);
    if (found !== undefined) return found;
  }
  const known = registries.flatMap((registry) => registry?.names() ?? []).join(", ") || "none";
  throw new TypeError(
    `Cannot request ${JSON.stringify(name)}: no such alias; defined are ${known}`,
  );
}

/** Cuts `@name/rest` into the alias name, with its `@`, and the rest, which may be empty. */
export function splitAliasPath(uri: string): { readonly name: string; readonly rest: string } {
  const end = uri.search(/[/?#]/);
  return end === -1 ? { name: uri, rest: "" } : { name: uri.slice(0, end), rest: uri.slice(end) };
}

function aliasName(given: string): string {
  const bare = typeof given === "string" && given.startsWith("@") ? given.slice(1) : given;
  if (typeof bare !== "string" || !NAME.test(bare)) {
    throw new TypeError(
      `Cannot define an alias named ${JSON.stringify(given)}: use letters, digits, _ . and -`,
    );
  }
  return `@${bare}`;
}

/**
 * Reads the address of a single server, which belongs to no alias.
 *
 * @throws {TypeError} for one that cannot be used.
 */
export function parseServer(text: string, type: AliasType, tls = false): AliasMember {
  return parseMember(text, type, tls, "a server", "");
}

const MEMBER = /^(?:([^@/]*)@)?(\[[0-9A-Fa-f:.]+\]|[^:/@?#\\\s]+)(?::(\d{1,5}))?(\/[^\s]*)?$/;

/** Reads `[user:password@]host[:port][/database] [weight]`, or for SQLite `file [weight]`. */
function parseMember(
  text: string,
  type: AliasType,
  tls: boolean,
  alias: string,
  scope: string,
): AliasMember {
  const bad = (why: string) =>
    new TypeError(
      `Cannot use ${JSON.stringify(masked(text, type))} as a member of ${alias}: ${why}`,
    );
  if (typeof text !== "string") throw bad("it is no text");
  if (text.trim() === "") throw bad("it is empty");
  const weighted = /^(.*\S)\s+(\d+)$/.exec(text.trim());
  const address = weighted?.[1] ?? text.trim();
  const weight = weighted === null ? 1 : Number(weighted[2]);
  if (weight < 1) throw bad("a weight is at least 1");
  if (type === "sqlite3") {
    return {
      node: address,
      host: "",
      port: 0,
      user: undefined,
      password: "",
      database: address,
      weight,
      key: `${scope} ${address}`,
    };
  }
  const match = MEMBER.exec(address);
  if (match === null) throw bad("expected [user:password@]host[:port][/database] [weight]");
  const port = match[3] === undefined ? PORTS[type][tls ? 1 : 0] : Number(match[3]);
  if (port < 1 || port > 65535) throw bad(`${port} is not a port`);
  const host = match[2]!.toLowerCase();
  let database = match[4] ?? "";
  let user: string | undefined;
  let password = "";
  if (match[1] !== undefined) {
    const colon = match[1].indexOf(":");
    user = decoded(colon === -1 ? match[1] : match[1].slice(0, colon), bad);
    password = colon === -1 ? "" : decoded(match[1].slice(colon + 1), bad);
  }
  if (isWeb(type)) {
    if (/[?#]/.test(database)) throw bad("a path all requests start with has no query");
    database = database.replace(/\/+$/, "");
  } else {
    // the older form is host:port/database/user/password
    const [name = "", oldUser, ...oldPassword] = database.slice(1).split("/");
    database = decoded(name, bad);
    if (oldUser !== undefined && user === undefined) {
      user = decoded(oldUser, bad);
      password = decoded(oldPassword.join("/"), bad);
    }
  }
  const bracketed = host.startsWith("[");
  return {
    node: `${host}:${port}`,
    host: bracketed ? host.slice(1, -1) : host,
    port,
    user,
    password,
    database,
    weight,
    key: `${scope} ${user ?? ""}@${host}:${port}/${database}`,
  };
}

function isWeb(type: AliasType): boolean {
  return type === "http" || type === "https" || type === "ws" || type === "wss";
}

function decoded(text: string, bad: (why: string) => TypeError): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad("its percent-encoding is broken");
  }
}

/** An address without what follows the user, for messages; a password may hold what it should not. */
function masked(text: unknown, type: AliasType): unknown {
  if (typeof text !== "string" || type === "sqlite3") return text;
  const bare = text.replace(/^([^@/:]*):.*@/, "$1:***@");
  // the older form is host:port/database/user/password
  return isWeb(type) ? bare : bare.replace(/^([^/]*\/[^/]*\/[^/]*\/)[^\s]*/, "$1***");
}
