import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseParameters } from "../../src/atila/auth/authorization_header.ts";
import { freePort } from "../_support/free_port.ts";
import { until, Workshop } from "../_support/service_process.ts";

const ROOT = new URL("../../", import.meta.url);
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** One request on a connection of its own. */
async function ask(port: number, path: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("curl", {
    args: ["-si", "-m", "15", ...args, `http://127.0.0.1:${port}${path}`],
  }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test("AUTH-06 EVT-11 two workers: nonces are shared, replays refused everywhere, events stay inside", async () => {
  await using workshop = await Workshop.open();
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from "${new URL("mod.ts", ROOT)}";
     import { Atila } from "${new URL("src/atila/mod.ts", ROOT)}";
     const app = new Atila(import.meta.url);
     app.users = new Map([["kim", "secret"]]);
     let heard = 0;
     app.onBroadcast("shout", () => void heard++);
     app.route("/in", { authenticate: "digest" }, (was) => was.workerId);
     app.route("/shout", async (was) => {
       await was.broadcast("shout");
       return was.workerId;
     });
     app.route("/heard", (was) => was.workerId + " " + heard);
     skitai.mount("/", app);
     await skitai.run({ port: Number(Deno.args[0]), workers: 2, name: "digest", threads: 0 });`,
  );
  const port = freePort();
  const service = workshop.start(script, {
    flags: ["--unstable-net", "--config", new URL("deno.json", ROOT).pathname],
    args: [String(port)],
  });
  await until(() => ask(port, "/heard"), (text) => / 200 /.test(text), service.lines.join("\n"));

  const challenge = /^www-authenticate: Digest (.*)$/im.exec(await ask(port, "/in"))![1]!.trim();
  const given = parseParameters(challenge)!;
  const nonce = given.get("nonce")!;
  const send = async (count: number): Promise<string> => {
    const nc = count.toString(16).padStart(8, "0");
    const response = sha256(
      `${sha256("kim:App:secret")}:${nonce}:${nc}:c:auth:${sha256("GET:/in")}`,
    );
    const header = `Authorization: Digest username="kim", realm="App", nonce="${nonce}", ` +
      `uri="/in", algorithm=SHA-256, qop=auth, nc=${nc}, cnonce="c", response="${response}", ` +
      `opaque="${given.get("opaque")}"`;
    const text = await ask(port, "/in", "-H", header);
    if (/ 200 /.test(text.split("\n")[0]!)) return text.split("\r\n\r\n")[1]!;
    return /stale=true/.test(text) ? "stale" : "no";
  };
  const workers = new Set<string>();
  let count = 0;
  while (workers.size < 2 && count < 60) workers.add(await send(++count));
  assert.deepEqual(
    [...workers].sort(),
    ["W0", "W1"],
    "the nonce of one worker is good at the other",
  );
  for (let i = 0; i < 10; i++) assert.equal(await send(count), "stale", "the same request again");
  const curl = await ask(port, "/in", "--digest", "-u", "kim:secret", "-H", "Connection: close");
  assert.match(curl, /\r\n\r\nW[01]$/, "curl, with a connection for each request");

  const shouts: Record<string, number> = { W0: 0, W1: 0 };
  for (let i = 0; i < 12; i++) shouts[(await ask(port, "/shout")).split("\r\n\r\n")[1]!]!++;
  const heard: Record<string, number> = {};
  await until(
    async () => {
      const [worker, times] = (await ask(port, "/heard")).split("\r\n\r\n")[1]!.split(" ");
      heard[worker!] = Number(times);
      return Object.keys(heard).length;
    },
    (known) => known === 2,
    "one worker never answered",
  );
  assert.deepEqual(heard, shouts, "each worker heard its own");
});
