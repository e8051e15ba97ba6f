/**
 * Certificate and key of a service: read, decrypted and checked before anything listens.
 *
 * @module
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { asError, ConfigError } from "../core/errors.ts";
import { resolve } from "../core/file_path.ts";
import type { TlsMaterial } from "./front.ts";
import type { SslSpec } from "./service.ts";

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Not "EC PARAMETERS", which stand in the same file as many EC keys. */
const PRIVATE_KEY = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----[^]+?-----END \1-----/;

/**
 * Reads certificate and key. The key may stand in the certificate file, and may be encrypted; what comes
 * back is not.
 *
 * @throws {ConfigError} that names the file and what is wrong with it: missing, not PEM, no certificate,
 * no key, wrong or missing passphrase, a key of another certificate.
 */
export function loadTls(spec: SslSpec): TlsMaterial {
  const { certFile, keyFile = certFile, passphrase } = spec;
  const certText = read(certFile);
  const chain = certText.match(CERTIFICATES);
  if (chain === null) throw new ConfigError(certFile, "has no certificate in PEM form");
  const certificate = parseCertificate(chain[0], certFile);
  const key = parseKey(keyFile === certFile ? certText : read(keyFile), keyFile, passphrase);
  if (!certificate.checkPrivateKey(key)) {
    throw new ConfigError(
      keyFile,
      `the private key does not belong to the certificate in ${certFile}`,
    );
  }
  return {
    cert: `${chain.join("\n")}\n`,
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function read(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const problem = error instanceof Deno.errors.NotFound
      ? "no such file"
      : error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable
      ? "no permission to read it"
      : `cannot be read: ${asError(error).message}`;
    // A relative path starts at the start script, which is not always where its user looks.
    throw new ConfigError(resolve(file), problem, { cause: error });
  }
}

function parseCertificate(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new ConfigError(file, "the certificate is damaged", { cause: error });
  }
}

function parseKey(text: string, file: string, passphrase: string | undefined): KeyObject {
  const pem = PRIVATE_KEY.exec(text)?.[0];
  if (pem === undefined) throw new ConfigError(file, "has no private key in PEM form");
  const isEncrypted = /ENCRYPTED/.test(pem);
  if (isEncrypted && (passphrase === undefined || passphrase === "")) {
    throw new ConfigError(file, "the private key is encrypted: a passphrase is needed");
  }
  try {
    return createPrivateKey({ key: pem, format: "pem", ...(isEncrypted ? { passphrase } : {}) });
  } catch (error) {
    const problem = isEncrypted
      ? "the passphrase does not open the private key"
      : "the private key is damaged";
    throw new ConfigError(file, problem, { cause: error });
  }
}
