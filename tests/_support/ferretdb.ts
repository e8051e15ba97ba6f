/**
 * A real server of the MongoDB protocol for tests: FerretDB over SQLite.
 *
 * @module
 */

import { freePort } from "./free_port.ts";
import { makeCertificates, type TestCertificates } from "./raw_backend.ts";
import { ServerProcess } from "./server_process.ts";
import { findProgram, isMissing } from "./services.ts";

/** For the `ignore` of tests: true when there is no FerretDB here. */
export const noFerretdb: boolean = installed() === undefined && isMissing("ferretdb");

/** User and password of servers that want one. */
export const FERRETDB = { user: "skitai", password: "se:cr@t" } as const;

/** A running FerretDB. */
export interface FerretdbServer extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Host and port. */
  readonly address: string;
  /** The process, to be paused and killed. */
  readonly process: ServerProcess;
  /** Certificates, when it speaks TLS. */
  readonly certificates: TestCertificates | undefined;
}

/** Options of a server. */
export interface FerretdbServerOptions {
  /** Want the credentials of {@link FERRETDB}. */
  readonly auth?: boolean;
  /** Speak TLS only. */
  readonly tls?: boolean;
}

/** Starts a server whose data is in a temporary directory. */
export async function startFerretdb(
  { auth = false, tls = false }: FerretdbServerOptions = {},
): Promise<FerretdbServer> {
  const directory = await Deno.makeTempDir({ prefix: "skitai-mongo-" });
  await Deno.mkdir(`${directory}/data`);
  const port = freePort();
  const address = `127.0.0.1:${port}`;
  const certificates = tls ? await makeCertificates() : undefined;
  const args = ["--handler=sqlite", `--sqlite-url=file:${directory}/data/`, "--debug-addr=-"];
  args.push(`--state-dir=${directory}`, "--telemetry=disable", "--log-level=ERROR");
  if (certificates === undefined) args.push(`--listen-addr=${address}`);
  else {
    for (const name of ["cert", "key"] as const) {
      await Deno.writeTextFile(`${directory}/${name}.pem`, certificates[name]);
    }
    args.push("--listen-addr=", `--listen-tls=${address}`);
    args.push(`--listen-tls-cert-file=${directory}/cert.pem`);
    args.push(`--listen-tls-key-file=${directory}/key.pem`);
  }
  if (auth) {
    args.push("--test-enable-new-auth", "--setup-database=admin");
    args.push(`--setup-username=${FERRETDB.user}`, `--setup-password=${FERRETDB.password}`);
  }
  const process = await ServerProcess.start({ program: installed()!, args, directory, port });
  return {
    port,
    address,
    process,
    certificates,
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

/** Path of the program: on the path, or where `scripts/install_services.sh` has built it. */
function installed(): string | undefined {
  const onPath = findProgram("ferretdb");
  if (onPath !== undefined) return onPath;
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  try {
    return Deno.statSync(`${cache}/skitai/ferretdb`).isFile
      ? `${cache}/skitai/ferretdb`
      : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
