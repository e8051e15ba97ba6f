/**
 * A service of two workers for tests of shared state. Prints `listening <address> <port> <workers>
 * <pid>` when it serves.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- tests read what it prints

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

skitai.deflu("tables.users", "tables.orders");
skitai.defgs("level", "holders", "most");
const redis = Deno.env.get("SHARED_REDIS");
if (redis) skitai.cluster(redis, { prefix: Deno.env.get("SHARED_PREFIX") ?? "test" });

const cache = Deno.env.get("SHARED_CACHE");
if (cache) skitai.enableCachefs({ diskmax: 1_000_000, path: cache });
const backend = Deno.env.get("SHARED_BACKEND");

const heard: unknown[] = [];
let seen = 0;

const app = new Atila(import.meta.url);
app.config.maintainInterval = 1;
app.securekey = "the same on all machines of the cluster";
for (const event of ["tables.users", "model-changed:tables.users", "model-changed", "level"]) {
  app.onBroadcast(event, (_was, ...args) => void heard.push([event, ...args]));
}
app.onBroadcast("level-changed", (_was, level) => void heard.push(["level-changed", level]));
app.maintain((was) => {
  const level = was.getgs("level");
  if (level === seen) return;
  seen = level;
  was.broadcast("level-changed", level);
});
app.route(
  "/facts",
  (was) =>
    was.response.API({
      worker: was.workerId,
      users: was.getlu("tables.users"),
      orders: was.getlu("tables.orders"),
      newest: was.getlu("tables.users", "tables.orders"),
      level: was.getgs("level"),
      heard,
      now: Date.now(),
    }),
);
app.route("/touch", (was) => {
  was.setlu("tables.users", "row", 7);
  return was.workerId;
});
app.route("/level", (was) => {
  was.setgs("level", Number(was.request.args.to), "by hand");
  return was.workerId;
});
app.route("/wrong", (was) => {
  const said: string[] = [];
  for (
    const run of [
      () => was.setlu("unknown"),
      () => was.getlu("unknown"),
      () => was.setgs("unknown", 1),
      () => was.getgs("unknown"),
      () => was.setgs("level", 1.5),
    ]
  ) {
    try {
      run();
    } catch (error) {
      said.push((error as Error).message);
    }
  }
  return was.response.API({ said });
});
app.route("/locked", async (was) => {
  await using _lock = await was.getLock(String(was.request.args.name ?? "__main__"));
  const holders = was.getgs("holders") + 1;
  was.setgs("holders", holders);
  if (holders > was.getgs("most")) was.setgs("most", holders);
  await new Promise((resolve) => setTimeout(resolve, Number(was.request.args.ms ?? 2)));
  was.setgs("holders", was.getgs("holders") - 1);
  return was.workerId;
});
app.route("/cached", async (was) => {
  const { data, headers } = await was.get<number>(backend!);
  const lookup = headers.get("x-skitaid-cache-lookup");
  return was.response.API({ data, lookup, worker: was.workerId });
});
app.route("/held", async (was) => {
  await using _lock = await was.getLock("held");
  const from = performance.timeOrigin + performance.now();
  await new Promise((resolve) => setTimeout(resolve, 5));
  return was.response.API({ from, to: performance.timeOrigin + performance.now() });
});
const chat: unknown[] = [];
let chatting = false;
app.route("/say", async (was) => {
  await skitai.wac.cluster!.publish("chat", was.request.args.text);
  await skitai.wac.cluster!.broadcast("hello", was.request.args.text);
  return "said";
});
app.onBroadcast("hello", (_was, text) => void heard.push(["hello", text]));
app.route("/chat", async (was) => {
  if (!chatting) skitai.wac.cluster!.subscribe("chat", (data) => void chat.push(data));
  chatting = true;
  await Promise.resolve();
  return was.response.API({ chat, heard });
});
app.route(
  "/count",
  async () => String(await skitai.wac.cluster!.count("visits", 60_000)),
);
app.route("/owns", async () => String(await skitai.wac.cluster!.owns("cron", 60_000)));
app.route("/login", (was) => {
  was.session.set("user", "ann");
  return was.mktoken("value");
});
app.route("/who", (was) => {
  const { token = "" } = was.request.args;
  return `${was.session.get("user", "nobody")} ${was.detoken(String(token)) ?? ""}`;
});
app.route("/logout", (was) => {
  was.session.expire();
  return was.workerId;
});
app.route("/die", async (was) => {
  await was.getLock("left");
  self.close();
  return await new Promise<never>(() => {});
});
app.route("/most", (was) => String(was.getgs("most")));

app.route("/restart", (was) => {
  was.restart();
  return was.workerId;
});
app.route("/shutdown", (was) => {
  was.shutdown(3);
  return was.workerId;
});
app.route("/status", (was) => was.status());

skitai.mount("/", app);
const server = await skitai.run({ port: 0, workers: Number(Deno.env.get("SHARED_WORKERS") ?? 2) });
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
