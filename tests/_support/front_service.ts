/**
 * A service for tests of the fronts, set up by its environment: `FRONT_TEST` is the JSON of
 * {@link FrontServiceSetup}. Prints `listening <address> <port> <workers> <pid>` when it serves.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- tests read what it prints

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

/** What a test wants of the service. */
export interface FrontServiceSetup {
  /** Options of `run`. */
  readonly run?: skitai.RunOptions;
  /** Limits. */
  readonly limits?: Partial<skitai.FrontLimitOptions>;
  /** Seconds for `setKeepAlive`. */
  readonly keepAlive?: number;
  /** Seconds for `setRequestTimeout`. */
  readonly requestTimeout?: number;
  /** Arguments of `enableSsl`. */
  readonly ssl?: [string, string?, string?];
  /** Arguments of `enableForward`. */
  readonly forward?: [number, number, string?];
  /** Directory at `/files`. */
  readonly files?: string;
}

const setup: FrontServiceSetup = JSON.parse(Deno.env.get("FRONT_TEST") ?? "{}");
const app = new Atila(import.meta.url);
app.config.maxPostBodySize = 100_000;

app.route("/", () => "index");
app.route("/version", (was) => was.request.version);
app.route("/length", { methods: ["POST"] }, (was) => `${was.request.body.length}`);
app.route("/query", (was) => `${Object.keys(was.request.args).length}`);
app.route("/header", (was) => {
  was.response.setHeader("x-value", String(was.request.args.value));
  return "set";
});
app.route("/cookie", (was) => {
  was.response.setHeader("set-cookie", `a=${String(was.request.args.value)}`);
  return "set";
});
app.route("/moved", (was) => was.redirect(String(was.request.args.to)));
app.route("/slow", async (was) => {
  await new Promise((resolve) => setTimeout(resolve, Number(was.request.args.ms)));
  return "slow";
});
app.route("/busy", (was) => {
  // nothing else is done meanwhile, events of sockets included
  for (const end = performance.now() + Number(was.request.args.ms); performance.now() < end;);
  return "busy";
});
app.route("/stream", (was) => {
  let left = Number(was.request.args.parts);
  return new Response(
    new ReadableStream({
      async pull(controller) {
        if (left-- === 0) return controller.close();
        await new Promise((resolve) => setTimeout(resolve, 50));
        controller.enqueue(new TextEncoder().encode("part "));
      },
    }),
    { headers: { "content-type": "application/octet-stream" } },
  );
});

if (setup.limits !== undefined) skitai.setFrontLimits(setup.limits);
if (setup.keepAlive !== undefined) skitai.setKeepAlive(setup.keepAlive);
if (setup.requestTimeout !== undefined) skitai.setRequestTimeout(setup.requestTimeout);
if (setup.ssl !== undefined) skitai.enableSsl(...setup.ssl);
if (setup.forward !== undefined) skitai.enableForward(...setup.forward);
if (setup.files !== undefined) skitai.mount("/files", setup.files);
skitai.mount("/socket", (req: Request) => {
  const { socket, response } = Deno.upgradeWebSocket(req);
  socket.onmessage = ({ data }) => {
    socket.send(typeof data === "string" ? `${data}${data}` : data);
    if (data === "bye") socket.close();
  };
  return response;
});
skitai.mount("/", app);
skitai.logOff("/slow", "/stream", "/length");
const server = await skitai.run({ port: 0, ...setup.run });
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
