/**
 * A real PostgreSQL server for tests, plain or with TLS, with passwords.
 *
 * @module
 */

import { dirname } from "node:path";
import { freePort } from "./free_port.ts";
import { makeCertificates, type TestCertificates } from "./raw_backend.ts";
import { ServerProcess } from "./server_process.ts";
import { findProgram, isMissing } from "./services.ts";

/** For the `ignore` of tests: true when there is no PostgreSQL here. */
export const noPostgresql: boolean = installed() === undefined && isMissing("postgres");

/** User, password and database that every server of a test has. */
export const POSTGRESQL = { user: "skitai", password: "se:cr@t", database: "shop" } as const;

/** A running PostgreSQL. */
export interface PostgresqlServer extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Member address for an alias, with user, password and database. */
  readonly member: string;
  /** The process, to be paused and killed. */
  readonly process: ServerProcess;
  /** Certificates, when it speaks TLS. */
  readonly certificates: TestCertificates | undefined;
  /** Where the administrator gets in without a password: directory of the socket, and port. */
  readonly admin: { readonly host: string; readonly port: number };
  /** Runs a statement as the administrator over the local socket, beside the code under test. */
  sql(text: string, database?: string): Promise<string>;
}

/** Options of a server. */
export interface PostgresqlServerOptions {
  /** Speak TLS, and refuse clients that do not. */
  readonly tls?: boolean;
  /** Settings, such as `{ max_connections: "10" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a server with the user and the database of {@link POSTGRESQL}. */
export async function startPostgresql(
  { tls = false, settings = {} }: PostgresqlServerOptions = {},
): Promise<PostgresqlServer> {
  const bin = dirname(installed()!);
  const directory = await Deno.makeTempDir({ prefix: "skitai-pg-" });
  const owner = await ownerOf();
  if (owner !== undefined) await Deno.chown(directory, owner.uid, owner.gid);
  const data = `${directory}/data`;
  await run("cp", ["-a", await emptyCluster(bin, owner), data]);
  const certificates = tls ? await makeCertificates() : undefined;
  const options = {
    fsync: "off",
    full_page_writes: "off",
    shared_buffers: "16MB",
    listen_addresses: "127.0.0.1",
    unix_socket_directories: directory,
    ...settings,
  };
  if (certificates !== undefined) {
    for (const name of ["ca", "cert", "key"] as const) {
      const file = `${data}/${name}.pem`;
      await Deno.writeTextFile(file, certificates[name], { mode: 0o600 });
      if (owner !== undefined) await Deno.chown(file, owner.uid, owner.gid);
    }
    Object.assign(options, { ssl: "on", ssl_cert_file: "cert.pem", ssl_key_file: "key.pem" });
    await Deno.writeTextFile(
      `${data}/pg_hba.conf`,
      "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
    );
  }
  const port = freePort();
  const sql = (text: string, database = "postgres") =>
    run("psql", [
      ...["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
      ...["-h", directory, "-p", String(port), "-U", "admin", "-d", database, "-c", text],
    ]);
  const args = ["-D", data, "-p", String(port)];
  for (const [name, value] of Object.entries(options)) args.push("-c", `${name}=${value}`);
  const process = await ServerProcess.start({
    program: `${bin}/postgres`,
    args,
    directory,
    port,
    uid: owner?.uid,
    gid: owner?.gid,
    ready: () => sql("select 1").then(() => true, () => false),
  });
  const { user, password, database } = POSTGRESQL;
  await sql(`create role ${user} login password '${password}'`);
  await sql(`create database ${database} owner ${user}`);
  const credentials = `${user}:${encodeURIComponent(password)}`;
  return {
    port,
    member: `${credentials}@127.0.0.1:${port}/${database}`,
    process,
    certificates,
    admin: { host: directory, port },
    sql,
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

let cluster: Promise<string> | undefined;

/** A data directory as `initdb` makes it, which takes long: one for all tests of a user. */
function emptyCluster(
  bin: string,
  owner: { uid: number; gid: number } | undefined,
): Promise<string> {
  return cluster ??= (async () => {
    const home = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
    const [, version = "any"] = /([\d.]+)/.exec(await run(`${bin}/postgres`, ["--version"])) ?? [];
    const kept = `${home}/skitai/postgresql-${version}-${owner?.uid ?? Deno.uid()}`;
    try {
      await Deno.stat(`${kept}/PG_VERSION`);
      return kept;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const work = await Deno.makeTempDir({ prefix: "skitai-initdb-" });
    try {
      if (owner !== undefined) await Deno.chown(work, owner.uid, owner.gid);
      await run(`${bin}/initdb`, [
        ...["-D", `${work}/data`, "-U", "admin", "-E", "UTF8", "--no-locale", "--no-sync"],
        ...["--wal-segsize=1", "--auth-local=trust", "--auth-host=scram-sha-256"],
      ], owner);
      await Deno.mkdir(`${home}/skitai`, { recursive: true });
      const whole = `${kept}.${Deno.pid}.${crypto.randomUUID().slice(0, 8)}`;
      await run("cp", ["-a", `${work}/data`, whole]);
      // complete or not at all, also when several tests come first
      await Deno.rename(whole, kept).catch(async (error) => {
        await Deno.remove(whole, { recursive: true });
        await Deno.stat(`${kept}/PG_VERSION`).catch(() => {
          throw error;
        });
      });
    } finally {
      await Deno.remove(work, { recursive: true });
    }
    return kept;
  })();
}

/** Path of the server program; Debian keeps it out of the path. */
function installed(): string | undefined {
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map((entry) => entry.name)
      .sort((a, b) => Number(b) - Number(a));
    if (versions.length > 0) return `/usr/lib/postgresql/${versions[0]}/bin/postgres`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return findProgram("postgres");
}

/** PostgreSQL refuses to run as root: the user Debian's package makes runs it then. */
async function ownerOf(): Promise<{ uid: number; gid: number } | undefined> {
  if (Deno.uid() !== 0) return undefined;
  const [, uid, gid] =
    /^postgres:[^:]*:(\d+):(\d+):/m.exec(await Deno.readTextFile("/etc/passwd")) ??
      [];
  if (uid === undefined) throw new Error("PostgreSQL cannot run as root, and no user is for it");
  return { uid: Number(uid), gid: Number(gid) };
}

async function run(
  program: string,
  args: string[],
  as?: { uid: number; gid: number },
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: "/",
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...as,
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program} failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).trim();
}
