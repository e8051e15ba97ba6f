/**
 * A service with a sign-in page: it asks for name and password, keeps who it is in the session, and
 * sends visitors of `app.loginRequired` routes there and back.
 *
 * @example
 * ```ts
 * import { Atila } from "@skitai/skitai/atila";
 * import * as login from "@skitai/skitai/atila/services/login";
 *
 * const app = new Atila(import.meta.url);
 * app.securekey = "at least 32 characters, kept secret!";
 * app.mountWith(login, {
 *   point: "/account",
 *   ns: "account",
 *   verify: (_was: unknown, name: string, password: string) =>
 *     name === "kim" && password === "correct horse" ? { name } : undefined,
 * });
 * app.route("/", { use: [app.loginRequired] }, (was) => {
 *   const { name } = was.session.get("user") as { name: string };
 *   return `Hello, ${name}`;
 * });
 * ```
 *
 * @module
 */

import { escapeHtml } from "../../core/error_page.ts";
import { HttpError } from "../../core/errors.ts";
import { REQUIRED } from "../arguments.ts";
import type { Atila } from "../atila.ts";
import { wantsFault } from "../response.ts";
import type { Reply } from "../response.ts";
import type { ServiceOptions } from "../services.ts";
import type { AtilaWas } from "../was.ts";

/** Options of the service. */
export interface LoginOptions extends ServiceOptions {
  /**
   * Says who it is: a value for the session, such as `{ id, name }`, or nothing when name or password
   * are wrong. Take the same time for both.
   */
  verify: (was: AtilaWas, name: string, password: string) => unknown;
  /** Template of the page; it gets `action`, `next`, `name` and `problem`. Default: a plain page. */
  template?: string;
  /** Where to go after signing in and out, below the mount. Default `/`. */
  home?: string;
  /** Key of the session that holds what `verify` said. Default `user`. */
  sessionKey?: string;
  /** Wrong passwords for a name from one address before it has to wait. Default 5. */
  maxFailures?: number;
  /** Seconds it has to wait. Default 300. */
  waitSeconds?: number;
}

/** Most names whose failures are counted in a worker; the oldest are forgotten first. */
const MAX_COUNTED = 10_000;

interface Failures {
  count: number;
  /** `Date.now()` after which they are forgotten. */
  until: number;
}

/** Mounts the service. @throws {TypeError} without `verify`. */
export function mount(app: Atila, options: LoginOptions): void {
  const { verify, template, home = "/", sessionKey = "user" } = options;
  const { maxFailures = 5, waitSeconds = 300 } = options;
  if (typeof verify !== "function") {
    throw new TypeError("The login service needs verify(was, name, password)");
  }
  const failures = new Map<string, Failures>();

  const page = (
    was: AtilaWas,
    { name = "", next, problem = "" }: { name?: string; next: string; problem?: string },
  ): string | Promise<string> => {
    was.response.setHeader("cache-control", "no-store");
    const action = was.ab(signin);
    return template === undefined
      ? plainPage(was, { action, name, next, problem })
      : was.render(template, { action, name, next, problem });
  };
  const target = (was: AtilaWas, next: string): string => isLocal(next) ? next : was.ab(home);

  const signin = app.route("/signin", { methods: ["GET"], args: { next: "" } }, function signin(
    was,
    { next },
  ): Reply | string | Promise<string> {
    return was.session.has(sessionKey)
      ? was.redirect(target(was, next), "303 See Other")
      : page(was, { next });
  });

  app.route("/signin", {
    methods: ["POST"],
    name: "signin",
    args: { name: REQUIRED, password: REQUIRED, next: "" },
  }, async (was, { name, password, next }) => {
    checkForm(was);
    // Written otherwise it may be the same name to whoever verifies it.
    const known = String(name).slice(0, 200).normalize("NFKC").trim().toLowerCase();
    const key = `${was.request.getRemoteAddr()} ${known}`;
    const failed = failures.get(key);
    const now = Date.now();
    if (failed !== undefined && failed.until <= now) failures.delete(key);
    else if (failed !== undefined && failed.count >= maxFailures) {
      const seconds = Math.ceil((failed.until - now) / 1000);
      was.response.setStatus("429 Too Many Requests");
      was.response.setHeader("retry-after", seconds);
      return page(was, { name: String(name), next, problem: "Too many attempts: wait a while" });
    }
    // Counted before it is known, or as many could be tried at once as one likes.
    const attempt = count(failures, key, now + waitSeconds * 1000);
    let who: unknown;
    try {
      who = await verify(was, String(name), String(password));
    } catch (error) {
      attempt.count--;
      throw error;
    }
    if (who === undefined || who === null || who === false) {
      was.response.setStatus("401 Unauthorized");
      return page(was, { name: String(name), next, problem: "Wrong name or password" });
    }
    failures.delete(key);
    was.session.renew();
    was.session.set(sessionKey, who);
    return was.redirect(target(was, next), "303 See Other");
  });

  app.route("/signout", { methods: ["POST"] }, function signout(was) {
    checkForm(was);
    was.session.expire();
    return was.redirect(was.ab(home), "303 See Other");
  });

  app.loginHandler((was) => {
    if (was.session.has(sessionKey)) return undefined;
    if (wantsFault(was.request.raw)) throw new HttpError(401, "Sign in first");
    const next = was.request.method === "GET" ? was.request.uri : "";
    return was.redirect(was.ab(signin, { named: { next } }), "303 See Other");
  });
}

/** Forms have to come from a page of ours. */
function checkForm(was: AtilaWas): void {
  if (!was.csrfVerify(true)) throw new HttpError(403, "This form is too old or not ours");
}

function count(failures: Map<string, Failures>, key: string, until: number): Failures {
  const present = failures.get(key);
  if (present !== undefined) {
    present.count++;
    present.until = until;
    return present;
  }
  if (failures.size >= MAX_COUNTED) failures.delete(failures.keys().next().value!);
  const first = { count: 1, until };
  failures.set(key, first);
  return first;
}

/** A path on this host: nobody is sent elsewhere by a link to the page. */
function isLocal(next: string): boolean {
  // deno-lint-ignore no-control-regex
  return /^\/(?![/\\])[^\x00-\x20\\]*$/.test(next);
}

function plainPage(
  was: AtilaWas,
  { action, name, next, problem }: { action: string; name: string; next: string; problem: string },
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
</head>
<body>
<main>
<h1>Sign in</h1>
${
    problem === ""
      ? ""
      : `<p role="alert">${escapeHtml(problem)}</p>\n`
  }<form method="post" action="${escapeHtml(action)}">
${was.csrfTokenInput}
<input type="hidden" name="next" value="${escapeHtml(next)}">
<p><label>Name <input name="name" value="${
    escapeHtml(name)
  }" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required>
</label></p>
<p><button>Sign in</button></p>
</form>
</main>
</body>
</html>
`;
}
