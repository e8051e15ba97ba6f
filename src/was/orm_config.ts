/**
 * Aliases from the settings of an ORM: what Drizzle, Kysely, Knex and TypeORM call the connection.
 *
 * @module
 */

import { isAbsolute, resolve } from "../core/file_path.ts";
import { isIPv6 } from "../core/ip_address.ts";
import { nodeModule } from "../core/node_builtins.ts";

/** Settings of an ORM, or of one of its connections. */
export type OrmConfig = Readonly<Record<string, unknown>>;

/** What an alias is made of. */
export interface OrmConnection {
  /** Type of the alias. */
  readonly type: "postgresql" | "sqlite3";
  /** Its only member. */
  readonly member: string;
  /** Whether the settings want TLS. */
  readonly ssl: boolean;
}

/**
 * Reads the connection out of settings, or out of a file that exports them: a module (its default
 * export) or JSON. The path is relative to the working directory.
 *
 * @throws {TypeError} for a database that is neither PostgreSQL nor SQLite, and for settings
 * without a connection.
 */
export function ormConnection(config: string | OrmConfig): OrmConnection {
  const where = typeof config === "string" ? config : "the settings of the ORM";
  const loaded = typeof config === "string" ? load(config) : config;
  if (!isRecord(loaded)) throw new TypeError(`Cannot use ${where}: expected an object`);
  let settings: OrmConfig = loaded;
  // TypeORM keeps its settings in a data source
  if (isRecord(settings.options) && settings.options.type !== undefined) {
    settings = settings.options;
  }
  const { client, type: kind, dialect, dialectConfig } = settings;
  const name = String(client ?? kind ?? dialect ?? "");
  const given = settings.dbCredentials ?? settings.connection ??
    (isRecord(dialectConfig) ? dialectConfig.pool ?? dialectConfig : settings);
  const type = typeOf(name) ??
    typeOf(typeof given === "string" ? given : String((given as OrmConfig).url ?? ""));
  if (type === undefined) {
    throw new TypeError(
      `Cannot use ${where}: ${JSON.stringify(name)} is not compatible, PostgreSQL and SQLite are`,
    );
  }
  const parts = typeof given === "string" ? { url: given } : given as OrmConfig;
  return type === "sqlite3"
    ? { type, member: fileOf(parts, where), ssl: false }
    : { type, ...serverOf(parts, where) };
}

function load(path: string): unknown {
  const file = isAbsolute(path) ? path : resolve(path);
  const loaded: unknown = nodeModule().createRequire(import.meta.url)(file);
  return isRecord(loaded) && loaded.default !== undefined ? loaded.default : loaded;
}

function typeOf(name: string): OrmConnection["type"] | undefined {
  if (/^(pg|postgres|postgresql|cockroachdb)\b/i.test(name)) return "postgresql";
  return /^(sqlite|sqlite3|better-sqlite3|libsql|turso|file:)/i.test(name) ? "sqlite3" : undefined;
}

function fileOf(parts: OrmConfig, where: string): string {
  const file = parts.filename ?? parts.url ?? parts.database ?? parts.file;
  if (typeof file !== "string" || file === "") {
    throw new TypeError(`Cannot use ${where}: no file is named`);
  }
  const path = file.replace(/^(sqlite|file):(\/\/)?/, "");
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(path)) {
    throw new TypeError(
      `Cannot use ${where}: a database of SQLite has to be a file on this machine`,
    );
  }
  return path;
}

function serverOf(parts: OrmConfig, where: string): { member: string; ssl: boolean } {
  const url = parts.url ?? parts.connectionString;
  const from = typeof url === "string" ? URL.parse(url) : undefined;
  if (from === null) throw new TypeError(`Cannot use ${where}: its address is no URL`);
  const text = (...values: unknown[]) => {
    const value = values.find((one) => one !== undefined && one !== null && one !== "");
    return value === undefined ? "" : String(value);
  };
  const host = text(from?.hostname, parts.host);
  const database = text(from && decodeURIComponent(from.pathname.slice(1)), parts.database);
  if (host === "" || database === "") {
    throw new TypeError(`Cannot use ${where}: it names no ${host === "" ? "host" : "database"}`);
  }
  const user = text(from && decodeURIComponent(from.username), parts.user, parts.username);
  const password = text(from && decodeURIComponent(from.password), parts.password);
  const port = text(from?.port, parts.port, 5432);
  const credentials = user === ""
    ? ""
    : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
  const mode = from?.searchParams.get("sslmode");
  return {
    member: `${credentials}${isIPv6(host) ? `[${host}]` : host}:${port}/${
      encodeURIComponent(database)
    }`,
    ssl: mode !== undefined && mode !== null ? mode !== "disable" : Boolean(parts.ssl),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
