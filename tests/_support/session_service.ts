/**
 * A service with sessions for tests, whose keys are in a file: `{"keys": ["newest", …]}`. Prints
 * `listening <address> <port> <workers> <pid>` when it serves.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- tests read what it prints

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const keyFile = Deno.env.get("SESSION_KEYS")!;
const readKeys = (): string[] => JSON.parse(Deno.readTextFileSync(keyFile)).keys;

const app = new Atila(import.meta.url);
app.securekey = readKeys();
// Rotation while it runs: every worker looks into the file.
app.beforeRequest(() => {
  app.securekey = readKeys();
});

app.route("/login/<name>", (was, { name }) => {
  was.session.renew();
  was.session.set("user", name);
  was.mbox.send(`Welcome, ${name}`);
  return was.workerId;
});
app.route("/who", (was) =>
  was.response.API({
    worker: was.workerId,
    user: was.session.get("user", ""),
    verified: was.session.sourceVerified(),
    token: String(was.detoken(String(was.request.args.token ?? "")) ?? ""),
    jwt: was.dejwt(String(was.request.args.jwt ?? ""))?.username ?? "",
  }));
app.route("/touch", (was) => {
  was.session.touch();
  return was.workerId;
});
app.route("/messages", (was) => was.mbox.get().map(({ msg }) => msg).join());
app.route("/logout", (was) => {
  was.session.expire();
  return was.workerId;
});
app.route("/token", (was) =>
  was.response.API({
    token: was.mktoken("value"),
    jwt: was.mkjwt({ username: "ann", exp: Math.floor(Date.now() / 1000) + 600 }),
  }));
app.route("/revoke", (was) => {
  was.rmtoken(String(was.request.args.token));
  return was.workerId;
});
app.route("/set/<int:bytes>", (was, { bytes }) => {
  was.session.set("large", "x".repeat(bytes));
  return was.workerId;
});

skitai.mount("/", app);
const workers = Number(Deno.env.get("SESSION_WORKERS") ?? 2);
const server = await skitai.run({ port: 0, workers });
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
