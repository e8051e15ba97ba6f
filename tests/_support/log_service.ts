/**
 * A start script for tests of the logs. Set by the environment: `LOG_DIR` (file logging, `default` for
 * the default directory), `LOG_WORKERS`, `LOG_PORT`, `LOG_NAME`, `LOG_OFF` (patterns, blank-separated),
 * `LOG_MOUNT` (a further script, mounted on `/more`), `LOG_FRONT`.
 *
 * @module
 */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

// Made while the script runs, before the service has opened its logs.
const audit = skitai.wac.logger.makeLogger("audit", "weekly");
const early = skitai.wac.logger.get("app");

export const app: Atila = new Atila(import.meta.url);

app.mounted(() => app.log(`mounted in ${skitai.wac.workerId}`, "note"));

app.route("/hello", () => "hello");
app.route("/hello.css", () => "hello");
app.route("/static/x", () => "hello");
app.route("/", () => "root");
app.route("/id", (was) => {
  was.log("told");
  return `${was.txnid()} ${was.request.gtxnid} ${was.request.ltxnid}`;
});
app.route("/worker", () => skitai.wac.workerId);

app.route("/log", (was) => {
  was.log("plain");
  was.log("a warning", "warn");
  was.log("to the server log", "debug", "server");
  was.log("to a log of its own", "info", "audit");
  audit.log("outside of requests", "info", "someone");
  early.log("from before the start");
  try {
    was.log("nowhere", "info", "nowhere");
  } catch (error) {
    return `${error}`;
  }
  return "written";
});

app.route("/traceback", (was) => {
  try {
    throw new RangeError("first", { cause: new TypeError("its cause") });
  } catch (error) {
    was.traceback(error);
    was.traceback(error, "import-7");
  }
  was.traceback();
  return "traced";
});

app.route("/throw", () => {
  throw new Error("unhandled in a handler");
});
app.route("/reject", async () => {
  await Promise.resolve();
  throw new Error("unhandled in a promise");
});
app.route("/throw-nothing", () => Promise.reject());
app.route("/throw-object", () => Promise.reject({ wrong: "thing" }));
app.route("/stream", () => {
  let left = 5;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (left-- === 0) controller.close();
      else controller.enqueue(new TextEncoder().encode("0123456789"));
    },
  });
});
app.route("/big", () => new Uint8Array(300_000));
app.route("/echo", { methods: ["POST"] }, (was) => `${was.request.body.length}`);
app.route("/user", (was) => {
  Object.assign(was.ctx!, { user: { name: 'Jürgen "J" Ö' }, token: "...c0ffee" });
  return "known";
});
app.users = new Map([["Jürgen M", "secret"]]);
app.bearerHandler(() => undefined);
app.route("/basic", { authenticate: "basic" }, () => "in");
app.route("/bearer", { authenticate: "bearer" }, () => "in");
app.route("/exit", () => Deno.exit(9));
app.route("/rotate", () => {
  skitai.wac.logger.rotate();
  return "rotated";
});
app.route("/make", (was) => {
  const [name, cycle] = String(was.request.args.get("log")).split(" ");
  try {
    skitai.wac.logger.makeLogger(name!, cycle as "daily");
    return "made";
  } catch (error) {
    return `${error}`;
  }
});

/** Asks other services, one after the other: `/ask?at=<url>&at=<url>`; gives what they say. */
app.route("/ask", async (was) => {
  const urls = [was.request.args.get("at")].flat().map(String);
  const answers: string[] = [was.txnid()];
  was.log("asks");
  for (const url of urls) answers.push((await was.get(url).fetch()) as string);
  return answers.join("\n");
});

const directory = Deno.env.get("LOG_DIR");
if (directory === "default") skitai.enableFileLogging();
else if (directory !== undefined) skitai.enableFileLogging(directory);
const off = Deno.env.get("LOG_OFF");
if (off !== undefined) skitai.logOff(...off.split(" "));
skitai.mount("/", app);
const more = Deno.env.get("LOG_MOUNT");
if (more !== undefined) skitai.mount("/more", more);
const name = Deno.env.get("LOG_NAME");
await skitai.run({
  ...(name === undefined ? {} : { name }),
  port: Number(Deno.env.get("LOG_PORT") ?? 0),
  workers: Number(Deno.env.get("LOG_WORKERS") ?? 1),
  front: (Deno.env.get("LOG_FRONT") ?? "auto") as "auto",
});
