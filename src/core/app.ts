/**
 * What the server asks of an app that wants to know where it is mounted, and what it accepts as one.
 *
 * @module
 */

import type { Handler } from "./handler.ts";

/** Life-cycle phases of a mounted app, in this order. `beforeReload` is told to the engine that goes, `reloaded` to the one that comes. */
export type LifecyclePhase =
  | "beforeMount"
  | "mounted"
  | "reloaded"
  | "mountedOrReloaded"
  | "beforeReload"
  | "beforeUmount"
  | "umounted";

/** Limits on request bodies, in bytes. */
export interface BodyLimits {
  /** Any body that is not multipart. Default 5 MiB. */
  readonly maxPostBodySize: number;
  /** A whole multipart body. Default 20 MiB. */
  readonly maxMultipartBodySize: number;
  /** One file of a multipart body. Default 20 000 000. */
  readonly maxUploadFileSize: number;
  /** A multipart body up to this size also stays available raw. Default 5 MiB. */
  readonly maxCacheSize: number;
}

/** The limits where nobody set others. */
export const DEFAULT_BODY_LIMITS: BodyLimits = {
  maxPostBodySize: 5 * 1024 * 1024,
  maxMultipartBodySize: 20 * 1024 * 1024,
  maxUploadFileSize: 20_000_000,
  maxCacheSize: 5 * 1024 * 1024,
};

/** Preferences given at mount; they override the app's own values. */
export interface Preferences {
  /** Reload the app when its file changes. */
  useReloader?: boolean;
  /** Show errors with their stack to the client. */
  debug?: boolean;
  /** Sets the post, multipart and upload-file limits together, in bytes. */
  maxClientBodySize?: number;
  /** Settings merged over the app's `config`. */
  config: Record<string, unknown>;
  /** Any other property of the app. */
  [property: string]: unknown;
}

/** Where an app was mounted. */
export interface MountInfo {
  /** Prefix with its final slash. */
  readonly mountPoint: string;
  /** Virtual host rule, `default` when none. */
  readonly host: string;
  /** Name of the app: its file name without extension. */
  readonly name: string;
  /** Preferences to apply. */
  readonly pref: Preferences;
  /** Other apps of the same host by name. */
  readonly apps: ReadonlyMap<string, MountedApp>;
}

/**
 * An app with a life: Atila apps, and any other object that has these methods. Plain fetch apps have
 * none of it and are wrapped by `mounts/fetch_app`.
 */
export interface MountedApp {
  /** Answers requests below the mount point. */
  readonly handle: Handler;
  /** Told once, before any life-cycle phase and before the first request. */
  attach(info: MountInfo): void;
  /** Waited for after {@link attach}. Rejects when the app is not complete and not to be mounted. */
  ready?(): Promise<void>;
  /** Runs the hooks of a phase. Errors inside are logged by the app, never thrown. */
  lifecycle(phase: LifecyclePhase): Promise<void>;
  /** Body limits in force, read after `attach`. */
  readonly limits: BodyLimits;
  /** Whether errors may be shown to the client. */
  readonly debug: boolean;
  /** Whether the engine is replaced when one of `watched` changes. */
  readonly useReloader: boolean;
  /** Files and directories whose change reloads the app. */
  readonly watched: readonly string[];
  /** Seconds between two calls of {@link runMaintenance}; nothing to run where it is absent. */
  readonly maintainSeconds?: number | undefined;
  /** Runs what the app does periodically; told the time in milliseconds since 1970. Never fails. */
  runMaintenance?(now: number): Promise<void>;
}

/** True for an object that has the methods of a {@link MountedApp}. */
export function isMountedApp(value: unknown): value is MountedApp {
  const app = value as Partial<MountedApp> | null;
  return typeof app === "object" && app !== null && typeof app.handle === "function" &&
    typeof app.attach === "function" && typeof app.lifecycle === "function";
}

/** What a foreign app is told besides the request. */
export interface FetchInfo {
  /** Prefix of the mount, with its final slash. */
  readonly mountPoint: string;
  /** Peer address in the shape `Deno.serve` uses. */
  readonly remoteAddr: Deno.NetAddr;
  /** Keeps the worker alive for this promise during a graceful stop. */
  waitUntil(promise: Promise<unknown>): void;
}

/** A plain function that answers requests. */
export type FetchFunction = (req: Request, info: FetchInfo) => Response | Promise<Response>;

/** An app of another framework: Hono, h3, oak, or any object with `fetch`. */
export interface FetchApp {
  /** Answers a request. */
  // deno-lint-ignore no-explicit-any -- frameworks declare incompatible further parameters
  fetch(req: Request, ...rest: any[]): Response | Promise<Response>;
}
