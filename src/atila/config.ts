/**
 * Settings of an app.
 *
 * @module
 */

import { type BodyLimits, DEFAULT_BODY_LIMITS } from "../core/app.ts";
import type { JwtAlgorithm } from "./jwt.ts";

/** Settings by key or property: the known ones below and whatever the app adds. */
export interface AppConfig extends BodyLimits {
  /** Largest body that is not multipart, in bytes. Default 5 MiB. */
  maxPostBodySize: number;
  /** Largest multipart body, in bytes. Default 20 MiB. */
  maxMultipartBodySize: number;
  /** Largest file in a multipart body, in bytes. Default 20 000 000. */
  maxUploadFileSize: number;
  /** Multipart bodies up to this size stay available raw, in bytes. Default 5 MiB. */
  maxCacheSize: number;
  /** Most parts of a multipart body, fields and files together. Default 1000. */
  maxMultipartParts: number;
  /** Directory for uploads that do not fit into memory. Default: that of the system, often `/tmp`. */
  uploadDir?: string;
  /** Content type and accepted type of backend requests that name none. Default: JSON both ways. */
  defaultRequestType?: readonly [string, string];
  /** Status for bad or missing arguments. Default 400. */
  argErrorStatus: number;
  /** Seconds between runs of maintenance hooks. Default 60. */
  maintainInterval: number;
  /** Directory of SQL templates, below the home directory. Default `sqlmaps`. */
  sqlmapDir: string;
  /** Send cookies over TLS only. Default: when the request came over TLS. Set it behind a proxy that ends TLS. */
  secureCookies?: boolean;
  /** Algorithms of `was.mkjwt` and `was.dejwt`. Default: HS256 only. */
  jwtAlgorithms?: readonly JwtAlgorithm[];
  /** Anything of the app's own. */
  // deno-lint-ignore no-explicit-any -- free settings of the app
  [name: string]: any;
}

/** Settings nobody has changed yet. */
export function createConfig(): AppConfig {
  return {
    ...DEFAULT_BODY_LIMITS,
    maxMultipartParts: 1000,
    argErrorStatus: 400,
    maintainInterval: 60,
    sqlmapDir: "sqlmaps",
  };
}
