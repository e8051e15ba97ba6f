/**
 * What a page for a visitor who is logged in costs: hooks around the handler, a session that is read, data
 * as the answer. The session is that of {@link sessionApp}'s `/login`.
 *
 * @module
 */

import * as skitai from "../../mod.ts";

/** The app; also used to make the cookie. */
export function sessionApp(): skitai.Atila {
  const app = new skitai.Atila(import.meta.url);
  app.securekey = "a key of the benchmark with enough characters";
  app.sessionTimeout = 86_400;
  app.beforeRequest((was) => {
    was.g.begun = true;
  });
  app.finishRequest(() => {});
  app.teardownRequest(() => {});
  app.route("/login", (was) => {
    was.session.set("user", "ann");
    was.session.set("lang", "fr");
    return "";
  });
  app.route(
    "/episode/<int:id>",
    (was, { id }) => was.response.API({ id, lang: was.session.get("lang"), title: "The one" }),
  );
  return app;
}

if (import.meta.main) {
  if (Deno.args.includes("--no-server-header")) skitai.setServerHeader("off");
  skitai.logOff("/episode/");
  skitai.mount("/", sessionApp());
  await skitai.run({ front: "fast" });
}
