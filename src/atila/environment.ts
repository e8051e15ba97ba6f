/**
 * `was.env`: the request as CGI variables, beside the environment of the process.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import { SOFTWARE } from "../core/version.ts";

/** Makes the record of one request. `SCRIPT_NAME` is the mount prefix, `PATH_INFO` the rest of the path. */
export function createEnvironment(req: Request, ctx: RequestContext): Record<string, unknown> {
  const env: Record<string, unknown> = { ...processEnvironment() };
  const prefix = ctx.mountPoint === "/" ? "" : ctx.mountPoint.replace(/\/$/, "");
  const host = req.headers.get("host") ?? new URL(req.url).host;
  const port = /:(\d+)$/.exec(host)?.[1] ?? (ctx.scheme === "https" ? "443" : "80");
  Object.assign(env, {
    REQUEST_METHOD: req.method,
    REQUEST_URI: ctx.query === "" ? ctx.path : `${ctx.path}?${ctx.query}`,
    REQUEST_VERSION: ctx.httpVersion,
    SERVER_PROTOCOL: `HTTP/${ctx.httpVersion}`,
    SERVER_SOFTWARE: SOFTWARE,
    SERVER_NAME: ctx.hostname,
    SERVER_PORT: port,
    SCRIPT_NAME: prefix,
    PATH_INFO: decoded(ctx.path.slice(prefix.length)) || "/",
    QUERY_STRING: ctx.query,
    REMOTE_ADDR: ctx.remoteAddr,
    REMOTE_PORT: String(ctx.remotePort),
    CONTENT_TYPE: req.headers.get("content-type") ?? "",
    CONTENT_LENGTH: req.headers.get("content-length") ?? "",
    "wsgi.url_scheme": ctx.scheme,
  });
  for (const [name, value] of req.headers) {
    if (name === "content-type" || name === "content-length" || isMisleading(name)) continue;
    env[`HTTP_${name.toUpperCase().replaceAll("-", "_")}`] = value;
  }
  return env;
}

/**
 * Whether a header would pass for something else: `Proxy` for the variable by which programs choose
 * their proxy, and one with an underscore for one with a hyphen, which a proxy in front may vouch for.
 */
function isMisleading(name: string): boolean {
  return name === "proxy" || name.includes("_");
}

function processEnvironment(): Record<string, string> {
  const { state } = Deno.permissions.querySync({ name: "env" });
  return state === "granted" ? Deno.env.toObject() : {};
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Routing has refused such a path before; a life-cycle tool may still ask for its environment.
    return path;
  }
}
