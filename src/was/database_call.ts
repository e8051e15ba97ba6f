/**
 * What the databases of `was` share: options, finding the servers behind a name, starting a
 * request on one of them or on all.
 *
 * @module
 */

import type { StopSignal } from "../core/stop.ts";
import type { Outcome } from "../clients/contract.ts";
import type { DatabaseTarget } from "../clients/database.ts";
import type { OffloadPool } from "../clients/offload/pool.ts";
import type { SqlMaps } from "../clients/sql/maps.ts";
import { type Alias, type AliasMember, type AliasType, parseServer } from "./aliases.ts";
import type { BackendError } from "../core/errors.ts";
import { deliver, type Delivery } from "../net/deliver.ts";
import { unavailable, watchHealth } from "./delivery.ts";
import {
  type Cacheable,
  failedOutcome,
  Future,
  type FutureInit,
  type FutureOwner,
  type ResultCallback,
} from "./future.ts";
import { keyOf } from "./kept_outcome.ts";
import { MapFuture } from "./map_future.ts";
import type { Result } from "./result.ts";

/** A row: columns as properties, in the order of the columns. */
// deno-lint-ignore no-explicit-any -- the columns are known to whoever wrote the statement
export type Row = Record<string, any>;

/** Options of a database; they go with every statement of the object. */
export interface DatabaseOptions<T = Row[]> {
  /**
   * Whether a kept result may be used: false never, a number (milliseconds since 1970), such as
   * `was.getlu("users")`, only one requested after that time. Default true.
   */
  readonly useCache?: boolean | number;
  /** Called with the result when it arrives; as a list, with further arguments. */
  readonly callback?: ResultCallback<T>;
  /** Run on the result before it is handed over, unless the statement failed. */
  readonly filter?: (result: Result<T>) => unknown;
  /** Comes back as `result.meta`. The key `reqid` is reserved. */
  readonly meta?: Readonly<Record<string, unknown>>;
  /** Seconds from now until the statement is given up. Default 10. */
  readonly timeout?: number;
}

/**
 * Options of a database on a server; TLS is for servers that are named themselves, not by an alias.
 */
export interface ServerOptions<T = Row[]> extends DatabaseOptions<T> {
  /** Speak TLS. Default false. */
  readonly ssl?: boolean;
  /** Certificates to trust besides the system's, PEM. */
  readonly ca?: string | readonly string[];
}

/** User and password. */
export type DatabaseAuth = readonly [user: string, password?: string];

/** What a database needs of the object it is a member of. */
export interface DatabaseOwner extends FutureOwner {
  /** Finds an alias. @throws {TypeError} when there is none of that name. */
  findAlias(name: string): Alias;
  /** The auxiliary threads of the worker. */
  offloadPool(): OffloadPool | Promise<OffloadPool>;
  /** Statements in files, if the app has some. */
  readonly sqlMaps?: SqlMaps;
}

/** The servers behind a name. */
export interface Place {
  /** What results call it: the alias or the server, without credentials. */
  readonly name: string;
  /** The alias, if it is one. */
  readonly alias: Alias | undefined;
  /** Its members; one for a server that was named itself. */
  readonly members: readonly AliasMember[];
}

/** One request to a database: how its kind is asked, and what is the same in all of them. */
export abstract class DatabaseRequest implements Cacheable, Delivery<AliasMember, Outcome> {
  /** The servers behind the name. */
  readonly place: Place;
  /** The operation, as results call it. */
  readonly method: string;
  /** Its values. */
  readonly params: unknown;
  /** What a statement does is not known here. */
  readonly repeatable = false;
  /** See `Delivery`. */
  attempts = 0;

  /** Takes what results tell of it. */
  constructor(place: Place, method: string, params: unknown) {
    this.place = place;
    this.method = method;
    this.params = params;
  }

  /** Asks one member. */
  abstract ask(member: AliasMember, signal: StopSignal): Promise<Outcome> | Outcome;

  /** Requests a member is busy with. */
  abstract load(member: AliasMember): number;

  /**
   * Statement and values, or whatever tells requests apart; `undefined` for one whose result cannot
   * be kept.
   */
  protected abstract asked(): unknown;

  /** Asks the member with the least load. */
  send(signal: StopSignal): Promise<Outcome> | Outcome {
    const { alias, members } = this.place;
    if (alias === undefined) return this.ask(members[0]!, signal);
    watchHealth(alias);
    return deliver<AliasMember, Outcome>(alias.balancer, this, signal);
  }

  /** See `Delivery`. */
  unavailable(error: BackendError): Outcome {
    return failedOutcome(unavailable(this.place.alias!, error), 2, 500);
  }

  /** See `Cacheable`. */
  cacheKey(scope?: string): string | undefined {
    const asked = this.asked();
    if (asked === undefined) return undefined;
    const { alias, members } = this.place;
    return `${scope ?? alias?.scope ?? serverKey(members[0]!)}\n${this.method} ${keyOf(asked)}`;
  }
}

const KNOWN = ["useCache", "callback", "filter", "meta", "timeout"];
const KNOWN_OF_SERVERS = [...KNOWN, "ssl", "ca"];

/**
 * Finds the servers behind a name.
 *
 * @param label What messages call the kind of database.
 * @throws {TypeError} without a target, for an unknown alias, one of another type, unknown options.
 */
export function findPlace(
  owner: DatabaseOwner,
  type: AliasType,
  label: string,
  target: string,
  options: Readonly<Record<string, unknown>>,
  parse?: (text: string) => AliasMember,
): Place {
  if (typeof target !== "string" || target.trim() === "") {
    const what = type === "sqlite3" ? "file" : "server";
    throw new TypeError(`Cannot use ${label}: no ${what} or alias was given`);
  }
  const server = !target.startsWith("@");
  const shown = server ? withoutPassword(target) : target;
  const known = server && type !== "sqlite3" ? KNOWN_OF_SERVERS : KNOWN;
  for (const name in options) {
    if (known.includes(name)) continue;
    throw new TypeError(
      `Cannot use ${label} ${shown}: unknown option "${name}"; known are ${known.join(", ")}`,
    );
  }
  const { meta } = options;
  if (typeof meta === "object" && meta !== null && "reqid" in meta) {
    throw new TypeError(`Cannot use ${label} ${shown}: the key "reqid" of meta is reserved`);
  }
  const { ssl } = options;
  if (ssl !== undefined && typeof ssl !== "boolean") {
    // taken for false, it would send the password in the clear
    throw new TypeError(`Cannot use ${label} ${shown}: ssl is true or false`);
  }
  if (server) {
    const member = parse?.(target) ?? parseServer(target, type, options.ssl === true);
    return { name: type === "sqlite3" ? target : member.node, alias: undefined, members: [member] };
  }
  const alias = owner.findAlias(target);
  if (alias.type !== type) {
    throw new TypeError(`Cannot use ${label} ${target}: the alias is of type ${alias.type}`);
  }
  return { name: target, alias, members: alias.members };
}

/** @throws {TypeError} for a target that is no alias. */
export function needAlias(what: string, target: unknown): void {
  if (typeof target === "string" && target !== "" && !target.startsWith("@")) {
    throw new TypeError(
      `Cannot ${what} statements to ${JSON.stringify(withoutPassword(target))}: expected @alias`,
    );
  }
}

/** @throws {TypeError} for a database or credentials beside an alias, whose members bring them. */
export function needServer(label: string, target: string, given: readonly unknown[]): void {
  if (
    typeof target === "string" && target.startsWith("@") && given.some((one) => one !== undefined)
  ) {
    throw new TypeError(
      `Cannot use ${label} ${target}: its members bring the database, user and password`,
    );
  }
}

/** @throws {TypeError} for a callback, which requests to all members cannot have. */
export function needNoCallback(target: string, options: { readonly callback?: unknown }): void {
  if (options.callback !== undefined) {
    throw new TypeError(`Cannot map statements to ${target}: a callback is not possible there`);
  }
}

const targets = new WeakMap<AliasMember, DatabaseTarget>();

/** A member as the clients take it. */
export function targetOf(
  place: Place,
  member: AliasMember,
  { ssl, ca }: { readonly ssl?: boolean; readonly ca?: string | readonly string[] } = {},
): DatabaseTarget {
  let target = targets.get(member);
  if (target === undefined) {
    const { alias } = place;
    const { node, host, port, user, password, database } = member;
    target = {
      alias: alias?.name,
      ...{ node, host, port, user, password, database },
      tls: alias?.tls ?? ssl === true,
      caCerts: alias === undefined ? typeof ca === "string" ? [ca] : ca : alias.caCerts,
      maxConnections: alias?.maxConnections,
    };
    targets.set(member, target);
  }
  return target;
}

/**
 * Starts a request on the member with the least load. One that cannot have received it is replaced
 * by another, until all have been tried; a timeout is not tried again.
 */
export function startOnOne<T>(
  owner: DatabaseOwner,
  request: DatabaseRequest,
  options: DatabaseOptions<T>,
): Future<T> {
  const [member] = membersOf(request.place);
  return new Future<T>(
    (signal) => request.send(signal),
    futureOf(owner, request, options, member!, request),
  );
}

/** Starts a request on every member. */
export function startOnAll<T>(
  owner: DatabaseOwner,
  request: DatabaseRequest,
  options: DatabaseOptions<T>,
): MapFuture<T> {
  return new MapFuture(
    membersOf(request.place).map((member) => {
      const cacheable = { cacheKey: () => request.cacheKey(`map ${member.key}`) };
      return new Future<T>(
        (signal) => request.ask(member, signal),
        { ...futureOf(owner, request, options, member, cacheable), asked: member },
      );
    }),
  );
}

/** Members may come and go while a database object is in use. */
function membersOf({ alias, members }: Place): readonly AliasMember[] {
  return alias?.members ?? members;
}

function futureOf<T>(
  owner: DatabaseOwner,
  { method, params, place }: DatabaseRequest,
  options: DatabaseOptions<T>,
  member: AliasMember,
  cacheable: Cacheable,
): FutureInit<T> {
  return {
    method,
    url: place.name,
    params,
    dbname: member.database,
    owner,
    meta: options.meta,
    filter: options.filter,
    callback: options.callback,
    timeout: options.timeout,
    useCache: options.useCache,
    cacheable,
  };
}

function serverKey({ key, user, password, database }: AliasMember): string {
  return JSON.stringify([key, user, password, database]);
}

function withoutPassword(address: string): string {
  return address.replace(/^([^@/:]*):[^@/]*@/, "$1:***@");
}
