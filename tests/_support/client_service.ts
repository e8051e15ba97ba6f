/**
 * A start script for tests of the test client. It names a port of its own, which nobody may have to
 * use: arguments are `--port` and, for TLS, `--cert` and `--key`.
 *
 * @module
 */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const [options] = skitai.argopt("", ["port=", "cert=", "key=", "workers=", "wait="]);
const given = new Map(options);

const app = new Atila(import.meta.url);

app.beforeMount(async () => {
  await new Promise((resolve) => setTimeout(resolve, Number(given.get("--wait") ?? 0)));
});

app.route("/echo", (was) =>
  was.response.API({
    method: was.request.method,
    uri: was.request.uri,
    type: was.request.getHeader("content-type"),
    accept: was.request.getHeader("accept"),
    cookie: was.request.getHeader("cookie"),
    custom: was.request.getHeader("x-custom"),
    body: new TextDecoder().decode(was.request.body),
  }));

app.route("/apis/<path:rest>", (was) =>
  was.response.API({
    method: was.request.method,
    uri: was.request.uri,
    body: was.request.body.length > 0 ? was.request.json() : null,
  }));

app.route("/status/<int:code>", (was, { code }) => was.response(`${code} Told So`, "as told"));
app.route("/broken", (was) => was.response("200 OK", "{", { "content-type": "application/json" }));
app.route("/set", (was) => {
  for (const line of [String(was.request.args.get("cookie"))].flat()) {
    was.response.setHeaders([["set-cookie", line]]);
  }
  return was.redirect("/echo");
});
app.route(
  "/to",
  (was) =>
    was.redirect(
      String(was.request.args.get("url")),
      Number(was.request.args.get("status") ?? 302),
    ),
);
app.route("/loop", (was) => was.redirect("/loop"));
app.route("/print", () => {
  // deno-lint-ignore no-console -- the test looks for it
  console.log("printed by the app");
  return "printed";
});

const cert = given.get("--cert");
if (cert !== undefined) skitai.enableSsl(cert, given.get("--key"));
skitai.mount("/", app);
await skitai.run({
  port: Number(given.get("--port") ?? 5000),
  workers: Number(given.get("--workers") ?? 1),
});
