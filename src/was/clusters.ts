/**
 * The groups of servers behind aliases, for whoever looks after them.
 *
 * @module
 */

import type { MemberStatus, RepeatCounts } from "../net/balancer.ts";
import { type Alias, aliases, type AliasRegistry, type AliasType, appAliases } from "./aliases.ts";

/** What is known of a group in this worker. */
export interface ClusterStatus {
  /** Name of the alias, with `@`. */
  readonly name: string;
  /** Kind of its servers. */
  readonly type: AliasType;
  /** Its members. */
  readonly members: readonly MemberStatus[];
  /** How often requests were made more than once. */
  readonly repeats: RepeatCounts;
}

/** The servers of one alias. What is changed here holds for this worker. */
export class Cluster {
  readonly #alias: Alias;

  /** Stands for an alias. */
  constructor(alias: Alias) {
    this.#alias = alias;
  }

  /** What is known of each member. Holds no credentials. */
  status(): ClusterStatus {
    const { name, type, balancer } = this.#alias;
    return { name, type, members: balancer.status(), repeats: { ...balancer.repeats } };
  }

  /** Adds a member, written as in the alias; one that is there gets the new weight. @throws {TypeError} */
  add(member: string): void {
    this.#alias.balancer.add(this.#alias.parse(member));
  }

  /** Takes a member away; its requests under way end normally. @throws {RangeError} when unknown. */
  remove(node: string): void {
    this.#alias.balancer.remove(node);
  }

  /** Sends a member no more requests. @throws {RangeError} when unknown. */
  stop(node: string): void {
    this.#alias.balancer.stop(node);
  }

  /** Uses a member again that was stopped, or is out for its errors. @throws {RangeError} when unknown. */
  resume(node: string): void {
    this.#alias.balancer.resume(node);
  }
}

/** The groups of the service and of its apps, by alias. */
export class Clusters {
  /** The group of an alias, with or without its `@`; those of the service first. */
  get(name: string): Cluster | undefined {
    for (const registry of registries()) {
      const alias = registry.get(name);
      if (alias !== undefined) return new Cluster(alias);
    }
    return undefined;
  }

  /** Names of all groups. */
  names(): string[] {
    return registries().flatMap((registry) => registry.names());
  }

  /** What is known of all groups. */
  status(): ClusterStatus[] {
    return registries().flatMap((registry) => registry.all())
      .map((alias) => new Cluster(alias).status());
  }
}

function registries(): AliasRegistry[] {
  return [aliases, ...appAliases];
}
