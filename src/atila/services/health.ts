/**
 * A service for those who watch: `GET /healthz` answers as long as the worker runs, `GET /readyz` only
 * when everything the app needs is there.
 *
 * @example
 * ```ts
 * import { Atila } from "@skitai/skitai/atila";
 * import * as health from "@skitai/skitai/atila/services/health";
 *
 * const app = new Atila(import.meta.url);
 * app.mountWith(health, { checks: { stock: () => Promise.resolve() } });
 * console.assert((await app.makeClient().get("/readyz")).data.stock === "ok");
 * ```
 *
 * @module
 */

import type { Atila } from "../atila.ts";
import type { ServiceOptions } from "../services.ts";
import type { AtilaWas } from "../was.ts";

/** Options of the service. */
export interface HealthOptions extends ServiceOptions {
  /** What has to be there: each function fails, or takes too long, when it is not. Default none. */
  checks?: Readonly<Record<string, (was: AtilaWas) => unknown>>;
  /** Longest a check may take, in milliseconds. Default 5000. */
  timeoutMs?: number;
}

/** Mounts the service. */
export function mount(app: Atila, options: HealthOptions): void {
  const { checks = {}, timeoutMs = 5000 } = options;
  // Those who watch do not log in, unless the service is mounted with `authenticate`.
  const common = {
    methods: ["GET"],
    authenticate: options.authenticate ?? null,
    doc: false,
  } as const;

  app.route("/healthz", common, (was) => {
    was.response.setHeader("cache-control", "no-store");
    return was.response.API({ status: "ok" });
  });

  app.route("/readyz", common, async (was) => {
    was.response.setHeader("cache-control", "no-store");
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]): Promise<[string, string]> => {
        try {
          await within(timeoutMs, Promise.resolve(was).then(check));
          return [name, "ok"];
        } catch (error) {
          was.traceback(error);
          return [name, "failed"];
        }
      }),
    );
    if (results.some(([, result]) => result !== "ok")) {
      was.response.setStatus("503 Service Unavailable");
    }
    return was.response.API(Object.fromEntries(results));
  });
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
