/**
 * A service that takes uploads, set up by its environment: `UPLOAD_DIR` is where they go, `UPLOAD_FRONT`
 * the front, `UPLOAD_TLS` the JSON of the arguments of `enableSsl`. Prints
 * `listening <address> <port> <workers> <pid>` when it serves.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- tests read what it prints

import { createHash } from "node:crypto";
import * as skitai from "@skitai/skitai";
import { Atila, FILE, UploadedFile } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);
app.maxClientBodySize = 4_000_000_000;
app.config.uploadDir = Deno.env.get("UPLOAD_DIR");

async function sha256(file: UploadedFile): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of await file.stream()) hash.update(chunk);
  return hash.digest("hex");
}

/** Says of each file its name, size, type and hash, and gives text as it is. */
app.route("/up", { methods: ["POST"] }, async (was, args) => {
  const seen: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(args)) {
    const all = await Promise.all(
      [value].flat().map(async (one) =>
        one instanceof UploadedFile
          ? { name: one.name, size: one.size, type: one.mimetype, sha256: await sha256(one) }
          : one
      ),
    );
    seen[name] = Array.isArray(value) ? all : all[0];
  }
  return was.response.API(seen);
});

/** Takes the form of those who are allowed to. */
app.route("/guarded", {
  methods: ["POST"],
  stream: true,
  use: [
    app.runBefore((was) =>
      was.request.getHeader("x-key") === "good" ? null : was.response("403 Forbidden")
    ),
  ],
}, async (was) => {
  const { f } = await was.readForm();
  return String((f as UploadedFile).size);
});

/** Takes files of up to 2 MB. */
const small = new Atila(import.meta.url);
small.config.uploadDir = Deno.env.get("UPLOAD_DIR");
small.config.maxUploadFileSize = 2_000_000;
small.route("/up", { methods: ["POST"], args: { f: FILE } }, (_was, { f }) => String(f.size));

/** Highest and present memory of the process, in KiB. */
app.route("/memory", async (was) => {
  const status = await Deno.readTextFile("/proc/self/status");
  const of = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]);
  return was.response.API({ peak: of("VmHWM"), now: of("VmRSS") });
});

app.route("/stop", () => {
  server.shutdown(0.2).catch((error) => console.log("stopping failed", error));
  return "stopping";
});

const tls = Deno.env.get("UPLOAD_TLS");
if (tls !== undefined) skitai.enableSsl(...JSON.parse(tls) as [string, string]);
skitai.mount("/small", small);
skitai.mount("/", app);
const server = await skitai.run({
  port: 0,
  front: Deno.env.get("UPLOAD_FRONT") as "fast" | "edge",
});
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
