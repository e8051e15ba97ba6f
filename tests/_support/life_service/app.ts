/**
 * A start script with everything one service can have in its life: apps with hooks, an app of another
 * kind, a project of its own directories, backends, and no auxiliary threads.
 *
 * @module
 */

import * as skitai from "@skitai/skitai";
import { was } from "@skitai/skitai";

const [options] = skitai.argopt("", ["backend=", "port="]);
const given = new Map(options);

skitai.alias("@backend", skitai.PROTO_HTTP, given.get("--backend") ?? "127.0.0.1:1");
skitai.alias("@shards", skitai.DB_SQLITE3, ["a", "b"].map((name) => skitai.abspath(`${name}.db`)));
skitai.setBackendKeepAlive(1);

/** Not an Atila app: it has only what the imported `was` gives it. */
async function plain(req: Request): Promise<Response> {
  const before = was.txnid();
  const name = new URL(req.url).searchParams.get("name");
  const answer = await was.get(`@backend/held?name=${name}`).dispatchOrThrow();
  was.log(`plain has asked for ${name}`);
  let refused = "";
  try {
    void (was as unknown as { session: unknown }).session;
  } catch (error) {
    refused = (error as Error).message;
  }
  const greeter = was as unknown as { greeter: { hello(): string } };
  return Response.json({
    name,
    answer: answer.data,
    before,
    after: was.txnid(),
    refused,
    greeting: greeter.greeter.hello(),
  });
}

skitai.mount("/", "shop.ts", { pref: skitai.pref(true) });
skitai.mount("/desk", "desk.ts");
skitai.mount("/plain", plain);
skitai.mount("/project", "server", {
  export: "application",
  path: "proj",
  pref: skitai.pref(true),
});
skitai.mount("/project", "public", { path: ["proj"] });

const server = await skitai.run({ port: Number(given.get("--port") ?? 0), threads: 0 });
// deno-lint-ignore no-console -- the test reads it
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
