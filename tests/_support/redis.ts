/**
 * A real Redis server for tests, plain or with TLS, with or without a password.
 *
 * @module
 */

import { freePort } from "./free_port.ts";
import { makeCertificates, type TestCertificates } from "./raw_backend.ts";
import { ServerProcess } from "./server_process.ts";
import { isMissing } from "./services.ts";

/** For the `ignore` of tests: true when there is no Redis here. */
export const noRedis: boolean = isMissing("redis-server");

/** A running Redis. */
export interface RedisServer extends AsyncDisposable {
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
export interface RedisServerOptions {
  /** Speak TLS only. */
  readonly tls?: boolean;
  /** Password of the default user. */
  readonly password?: string;
  /** Port to take; a free one when left out. */
  readonly port?: number;
}

/** Starts a server that keeps nothing on disk. */
export async function startRedis(
  { tls = false, password, port = freePort() }: RedisServerOptions = {},
): Promise<RedisServer> {
  const directory = await Deno.makeTempDir({ prefix: "skitai-redis-" });
  const certificates = tls ? await makeCertificates() : undefined;
  const args = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", directory];
  if (password !== undefined) args.push("--requirepass", password);
  if (certificates === undefined) args.push("--port", String(port));
  else {
    for (const name of ["ca", "cert", "key"] as const) {
      await Deno.writeTextFile(`${directory}/${name}.pem`, certificates[name]);
    }
    args.push("--port", "0", "--tls-port", String(port), "--tls-auth-clients", "no");
    args.push("--tls-cert-file", `${directory}/cert.pem`, "--tls-key-file", `${directory}/key.pem`);
    args.push("--tls-ca-cert-file", `${directory}/ca.pem`);
  }
  const process = await ServerProcess.start({ program: "redis-server", args, directory, port });
  return {
    port,
    address: `127.0.0.1:${port}`,
    process,
    certificates,
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}
