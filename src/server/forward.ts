/**
 * The plain listener that sends everybody to HTTPS.
 *
 * @module
 */

import { ConfigError } from "../core/errors.ts";
import type { Handler } from "../core/handler.ts";
import type { Log } from "../core/log.ts";
import { standardHeaders } from "../middleware/standard_headers.ts";
import type { Front, FrontCounters, FrontLimits } from "./front.ts";
import { startEdge } from "./fronts/edge.ts";

/** What {@link startForward} needs. */
export interface ForwardOptions {
  /** Port to listen on; 0 lets the system choose. */
  readonly fromPort: number;
  /** Port of the HTTPS listener. */
  readonly toPort: number;
  /** Address to listen on; `""` for all IPv4 interfaces. */
  readonly ip: string;
  /** Share the port, so that the engine that takes over at a reload can listen before this one ends. */
  readonly reusePort: boolean;
  /** Limits, as those of the main listener. */
  readonly limits: FrontLimits;
  /** Value of `Server` in every answer; `""` sends none. */
  readonly server: string;
  /** Server log. */
  readonly log: Log;
}

/**
 * Answers every request with 301 to the same host and target under `https:`. It faces strangers by its
 * nature, so it runs on the `edge` front.
 *
 * @throws {ConfigError} when it cannot listen.
 */
export async function startForward(options: ForwardOptions): Promise<Front> {
  const { fromPort, toPort, ip, reusePort, limits, server, log } = options;
  const hostname = ip === "" ? "0.0.0.0" : ip;
  try {
    return await startEdge({
      hostname,
      port: fromPort,
      handler: standardHeaders(server)(redirectTo(toPort)),
      reusePort,
      limits,
      counters: ownCounters(),
      server,
      log,
      workerId: "F",
    });
  } catch (error) {
    const problem = error instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : error instanceof Deno.errors.PermissionDenied
      ? "no permission to listen"
      : "cannot listen";
    throw new ConfigError(`enableForward(${fromPort}) on ${hostname}`, problem, { cause: error });
  }
}

function redirectTo(port: number): Handler {
  const suffix = port === 443 ? "" : `:${port}`;
  return (_req, ctx) => {
    const { hostname, path, query } = ctx;
    if (hostname === "") {
      return new Response("The request names no host to redirect to\n", { status: 400 });
    }
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    const target = query === "" ? path : `${path}?${query}`;
    return new Response(null, {
      status: 301,
      headers: { location: `https://${host}${suffix}${target}` },
    });
  };
}

/** What happens here is not counted among the requests of the service. */
function ownCounters(): FrontCounters {
  let connections = 0;
  let requests = 0;
  return {
    nextConnection: () => ++connections,
    nextRequest: () => ++requests,
    zombie() {},
  };
}
