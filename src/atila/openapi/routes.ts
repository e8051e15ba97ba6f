/**
 * Serves the description of an app and a page to browse it.
 *
 * @module
 */

import type { Atila } from "../atila.ts";
import type { Authenticate } from "../auth/scheme.ts";
import type { AtilaWas } from "../was.ts";
import type { OpenApiInfo } from "./document.ts";

/** Options of `app.openapi`. */
export interface OpenApiOptions extends OpenApiInfo {
  /** How the page and the description authenticate. Default: as the app does. */
  authenticate?: Authenticate;
}

/** Nothing from elsewhere: the page works without the network and runs no script of others. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/**
 * Registers the routes: the page at `path`, the description at `path/openapi.json`. Both are made when
 * they are asked for first, and again when the routes of the app have changed.
 *
 * @throws {TypeError} for a path that is none.
 */
export function openApiRoutes(app: Atila, path: string, options: OpenApiOptions): void {
  if (typeof path !== "string" || !/^(\/[\w.~-]+)+$/.test(path)) {
    throw new TypeError(`openapi(${JSON.stringify(path)}): write the path like "/docs"`);
  }
  const common = {
    methods: ["GET"],
    doc: false,
    ...(options.authenticate === undefined ? {} : { authenticate: options.authenticate }),
  } as const;
  let made: { readonly of: string; readonly text: Promise<string> } | undefined;

  // The handlers are written where they are registered: they have no names that could meet others.
  app.route(`${path}/openapi.json`, common, (was: AtilaWas): Promise<string> => {
    const mountPoint = was.ctx?.mountPoint || app.mountPoint;
    const of = `${mountPoint} ${app.routes.map(({ facts }) => facts.rule).join(" ")}`;
    if (made?.of !== of) {
      const text = document(app, options, mountPoint);
      made = { of, text };
      text.catch(() => {
        // The next request tries again.
        made = undefined;
      });
    }
    was.response.setHeaders({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-cache",
    });
    return made.text;
  });

  app.route(path, common, async (was: AtilaWas): Promise<string> => {
    const { browserPage } = await import("./page.ts");
    was.response.setHeader("content-security-policy", POLICY);
    const at = (name: string) => was.ab(`${path}/${name}`);
    return browserPage({
      title: options.title ?? app.name,
      description: at("openapi.json"),
      script: at("browse.js"),
      style: at("browse.css"),
    });
  });

  app.route(`${path}/browse.js`, common, async (was) => {
    was.response.setHeader("content-type", "text/javascript; charset=utf-8");
    was.response.setCache(3600);
    return (await import("./page.ts")).SCRIPT;
  });
  app.route(`${path}/browse.css`, common, async (was) => {
    was.response.setHeader("content-type", "text/css; charset=utf-8");
    was.response.setCache(3600);
    return (await import("./page.ts")).STYLE;
  });
}

async function document(app: Atila, info: OpenApiInfo, mountPoint: string): Promise<string> {
  const { openApiDocument } = await import("./document.ts");
  return JSON.stringify(
    await openApiDocument(app, info, mountPoint, (problem) => app.log(problem, "warn")),
  );
}
