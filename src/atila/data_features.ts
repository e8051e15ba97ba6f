/**
 * What an app says about its data: SQL, changes of models, users of another framework.
 *
 * @module
 */

import type { SqlDialect } from "../clients/sql/conditions.ts";
import { SqlMaps } from "../clients/sql/maps.ts";
import {
  type Alias,
  type AliasOptions,
  AliasRegistry,
  type AliasType,
  appAliases,
  type OrmType,
} from "../was/aliases.ts";
import type { ModelChange, ModelEvents } from "../was/model_events.ts";
import type { OrmConfig } from "../was/orm_config.ts";
import { declaredKeys } from "../was/shared.ts";
import { resolve } from "../core/file_path.ts";
import { type AuthAdapter, checkAdapter } from "./foreign_auth.ts";

/** What handlers of a signal get besides `was`. */
export interface ModelSignal {
  /** Created, updated, deleted. */
  readonly x_operation: "C" | "U" | "D";
  /** Name of the model. */
  readonly x_model_class: string;
  /** What was stored, as far as it is known. */
  readonly instance: unknown;
  /** Names of the members that were changed, as far as they are known. */
  readonly fields: readonly string[] | undefined;
}

/** What can announce changes. */
export interface Announcer {
  /** Sets a last-update key, and broadcasts it with the arguments. */
  setlu(key: string, ...args: unknown[]): void;
}

/** The part of an app that is about data. */
export abstract class DataFeatures {
  /** Directory of the file the app is defined in. */
  abstract readonly home: string;
  /** Whether the app is reloaded when its files change. */
  abstract get useReloader(): boolean;

  #dialect: SqlDialect = "postgresql";
  #maps: SqlMaps | undefined;
  #directory = "sqlmaps";
  #adapter: AuthAdapter | undefined;
  #aliases: AliasRegistry | undefined;

  /** The service object for announcements outside of requests. @internal */
  protected abstract announcer(): Announcer;

  /**
   * Names a group of backend servers for this app alone. Its name goes before the same one of the
   * service; the first definition counts.
   *
   * @throws {TypeError} for a bad name, type, member or option.
   */
  alias(
    name: string,
    type: AliasType,
    members: string | readonly string[],
    options?: AliasOptions,
  ): Alias;
  /** The same of what the settings of an ORM connect to. @throws {TypeError} */
  alias(
    name: string,
    type: OrmType,
    settings: string | OrmConfig,
    options?: AliasOptions,
  ): Alias;
  alias(
    name: string,
    type: AliasType | OrmType,
    members: string | readonly string[] | OrmConfig,
    options?: AliasOptions,
  ): Alias {
    if (this.#aliases === undefined) appAliases.add(this.#aliases = new AliasRegistry());
    return this.#aliases.define(name, type as AliasType, members as string, options);
  }

  /** Aliases of the app; `undefined` when it has none. @internal */
  get aliases(): AliasRegistry | undefined {
    return this.#aliases;
  }

  /**
   * Chooses the database `was.sql` writes for, and the directory of statement files, relative to
   * the home directory.
   *
   * @param engine `DB_PGSQL`, the default without this call, or `DB_SQLITE3`.
   * @throws {TypeError} for another engine.
   */
  setupSqlphile(engine: SqlDialect, directory = "sqlmaps"): void {
    if (engine !== "postgresql" && engine !== "sqlite3") {
      throw new TypeError(
        `Cannot write SQL for ${JSON.stringify(engine)}: known are postgresql and sqlite3`,
      );
    }
    this.#dialect = engine;
    this.#directory = directory;
    this.#maps = undefined;
  }

  /** Database `was.sql` writes for. @internal */
  get sqlDialect(): SqlDialect {
    return this.#dialect;
  }

  /** Statements in files of the app. @internal */
  get sqlMaps(): SqlMaps {
    return this.#maps ??= new SqlMaps(
      resolve(this.home, this.#directory),
      () => this.useReloader,
    );
  }

  /**
   * Turns changes an ORM tells of into last-update keys and events: `setlu(<name of the model>)`,
   * whose handlers, `onSignal(<name>)` and `onSignal("model-changed")`, get `was` and a {@link
   * ModelSignal}.
   * Models whose names were not declared with `deflu` are ignored.
   *
   * @returns a function that ends it.
   */
  redirectSignal(source: ModelEvents): () => void {
    return source.subscribe((change) => this.#announce(change));
  }

  /**
   * Puts the users of another framework behind `was.framework`.
   *
   * @throws {TypeError} for an adapter that lacks something.
   */
  setAuthAdapter<U>(adapter: AuthAdapter<U>): void {
    checkAdapter(adapter as AuthAdapter);
    this.#adapter = adapter as AuthAdapter;
  }

  /** Adapter of the app. @internal */
  get authAdapter(): AuthAdapter | undefined {
    return this.#adapter;
  }

  #announce({ operation, model, instance, fields }: ModelChange): void {
    if (!declaredKeys().updates.includes(model)) return;
    const signal: ModelSignal = {
      ...{ x_operation: operation, x_model_class: model },
      ...{ instance, fields },
    };
    this.announcer().setlu(model, signal);
  }
}
