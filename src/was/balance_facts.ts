/**
 * What balance policies get to know of the request that is being answered.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import type { BalanceFacts } from "../net/balance/policy.ts";

/** The parts of a service object of Atila that matter here. */
interface Answering {
  readonly parts?: { readonly req: Request };
  readonly response?: { setHeaders?(headers: readonly (readonly [string, string])[]): void };
  traceback(error: unknown): void;
}

/** Cookies a request was given for balancing: what it asks next is asked as if it had brought them. */
const given = new WeakMap<RequestContext, Map<string, string>>();

/** The facts of a request. Cookies can be given only where there is a response to give them with. */
export function factsOf(ctx: RequestContext, was: object): BalanceFacts {
  const answering = was as Answering;
  const header = (name: string): string | null =>
    ctx.header?.(name) ?? answering.parts?.req.headers.get(name) ?? null;
  return {
    address: ctx.remoteAddr,
    header,
    cookie: (name) => given.get(ctx)?.get(name) ?? cookieOf(header("cookie"), name),
    setCookie(name, value) {
      const own = given.get(ctx);
      if (own === undefined) given.set(ctx, new Map([[name, value]]));
      else own.set(name, value);
      const secure = ctx.scheme === "https" ? "; Secure" : "";
      try {
        answering.response?.setHeaders?.([
          ["set-cookie", `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${secure}`],
        ]);
      } catch (error) {
        // the response has gone out already: the request to the backend goes on all the same
        answering.traceback(error);
      }
    },
  };
}

function cookieOf(header: string | null, name: string): string | undefined {
  for (const part of header?.split(";") ?? []) {
    const equals = part.indexOf("=");
    if (equals !== -1 && part.slice(0, equals).trim() === name) {
      return part.slice(equals + 1).trim();
    }
  }
  return undefined;
}
