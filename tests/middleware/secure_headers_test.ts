import assert from "node:assert/strict";
import { join } from "node:path";
import { createContext } from "../../src/core/context.ts";
import type { Handler } from "../../src/core/handler.ts";
import { secureHeaders, type SecureHeadersOptions } from "../../src/middleware/secure_headers.ts";
import { freePort } from "../_support/free_port.ts";
import { until, Workshop } from "../_support/service_process.ts";

async function headersOf(
  handler: Handler,
  options?: SecureHeadersOptions,
  url = "http://h/",
  init?: RequestInit,
): Promise<Record<string, string>> {
  const req = new Request(url, init);
  const res = await secureHeaders(options)(handler)(req, createContext({ url }));
  await res.body?.cancel();
  return Object.fromEntries(res.headers);
}

const ALL = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "SAMEORIGIN",
  "referrer-policy": "strict-origin-when-cross-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "content-security-policy": "base-uri 'self'; object-src 'none'; frame-ancestors 'self'",
};

Deno.test("OPS-28 security headers on every kind of response; what a response says itself stays", async () => {
  const plain = () => new Response(null);
  assert.deepEqual(await headersOf(plain), ALL);
  assert.deepEqual(await headersOf(() => Promise.resolve(new Response(null))), ALL);
  assert.deepEqual(
    await headersOf(() => new Response(null, { headers: { "X-Frame-Options": "DENY" } })),
    { ...ALL, "x-frame-options": "DENY" },
  );
  const unchangeable = await headersOf(() => Response.redirect("http://h/x"));
  assert.deepEqual(unchangeable, { ...ALL, location: "http://h/x" });
});

Deno.test("OPS-28 TLS only for a year, where it came over TLS", async () => {
  const plain = () => new Response(null);
  const hsts = { ...ALL, "strict-transport-security": "max-age=31536000" };
  assert.deepEqual(await headersOf(plain, {}, "https://h/"), hsts);
  const forwarded = { headers: { "x-forwarded-proto": "https, http" } };
  assert.deepEqual(await headersOf(plain, {}, "http://h/", forwarded), hsts);
  assert.deepEqual(await headersOf(plain, { strictTransportSecurity: false }, "https://h/"), ALL);
});

Deno.test("OPS-28 options change, add and leave out headers; wrong ones say so", async () => {
  const plain = () => new Response(null);
  const some = await headersOf(plain, {
    contentSecurityPolicy: "default-src 'self'",
    frameOptions: false,
    crossOriginOpenerPolicy: false,
    crossOriginResourcePolicy: "cross-origin",
    permissionsPolicy: "camera=()",
    referrerPolicy: undefined,
  });
  assert.deepEqual(some, {
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-resource-policy": "cross-origin",
    "content-security-policy": "default-src 'self'",
    "permissions-policy": "camera=()",
  });
  for (const bad of [{ frame: "x" }, { frameOptions: "a\r\nb: c" }, { frameOptions: "" }]) {
    assert.throws(() => secureHeaders(bad as SecureHeadersOptions), { name: "ConfigError" });
  }
});

Deno.test("OPS-28 secure defaults of a real server, on both fronts, with and without the headers", async () => {
  await using workshop = await Workshop.open();
  const root = new URL("../../", import.meta.url);
  await Deno.mkdir(join(workshop.appPath, "files"));
  await Deno.writeTextFile(join(workshop.appPath, "files", "secret.txt"), "content");
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from "${new URL("mod.ts", root)}";
     import { Atila } from "${new URL("src/atila/mod.ts", root)}";
     const app = new Atila(import.meta.url);
     app.route("/", (was) => "home");
     app.route("/to", (was) => was.redirect(was.request.args.to));
     app.route("/set", (was) => {
       was.response.setHeader("x-name", was.request.args.value);
       return "set";
     });
     app.route("/raw", (was) => new Response("x", { headers: { "x-name": was.request.args.value } }));
     app.route("/fault", (was) => {
       throw new skitai.HttpError(400, "", { headers: { "x-name": was.request.args.value } });
     });
     skitai.mount("/", app);
     skitai.mount("/files", "./files");
     skitai.mount("/fetch", (req) => {
       const value = decodeURIComponent(new URL(req.url).searchParams.get("value"));
       return new Response("x", { headers: { "x-name": value } });
     });
     const [port, front, secure] = Deno.args;
     if (secure === "yes") skitai.secureHeaders({ frameOptions: "DENY" });
     skitai.run({ port: Number(port), front, name: "secure" + port, threads: 0 });`,
  );
  const flags = ["--unstable-net", "--config", new URL("deno.json", root).pathname];
  for (const [front, secure] of [["fast", "no"], ["edge", "yes"]] as const) {
    const port = freePort();
    workshop.start(script, { flags, args: [`${port}`, front, secure] });
    const curl = async (path: string, ...args: string[]) => {
      const { stdout } = await new Deno.Command("curl", {
        args: ["-si", "-m", "10", "--path-as-is", ...args, `http://127.0.0.1:${port}${path}`],
      }).output();
      const text = new TextDecoder().decode(stdout);
      const [head = "", ...body] = text.split("\r\n\r\n");
      return { status: Number(head.split(" ")[1]), head, body: body.join("\r\n\r\n") };
    };
    await until(() => curl("/"), ({ body }) => body === "home", "the server did not start");

    assert.equal((await curl("/", "-X", "TRACE")).status, 405, `${front} refuses TRACE`);
    assert.equal((await curl("/files/")).status, 404, "no directory listing");
    assert.equal((await curl("/files/secret.txt")).body, "content");
    for (const path of ["/", "/nowhere", "/files/", "/files/secret.txt"]) {
      const { head, body } = await curl(path, "-H", "Accept: text/html");
      assert.match(head, /^server: Skitai\r?$/im, path);
      assert.doesNotMatch(body, /Skitai\/\d/, "no version on pages");
      assert.equal(/^x-frame-options: DENY\r?$/im.test(head), secure === "yes", path);
      assert.equal(/^x-content-type-options: nosniff\r?$/im.test(head), secure === "yes", path);
    }
    const broken = "a%0D%0ASet-Cookie:%20stolen=1%0D%0A%0D%0A<script>";
    for (
      const path of [
        `/to?to=/${broken}`,
        `/to?to=https://x/${broken}`,
        `/set?value=${broken}`,
        `/raw?value=${broken}`,
      ]
    ) {
      const { status, head } = await curl(path);
      assert.doesNotMatch(head, /^set-cookie/im, path);
      assert.equal(status, path.startsWith("/to") ? 302 : 500, path);
    }
    // The runtime takes these into Headers, and ends the process when it is to send them.
    for (const value of ["a%01b", "a%0Bb", "a%1Fb", "a%7Fb"]) {
      for (const path of ["/set", "/raw", "/fault", "/fetch/"]) {
        assert.equal((await curl(`${path}?value=${value}`)).status, 500, path + value);
      }
    }
    assert.match((await curl("/set?value=a%09%C3%BC")).head, /^x-name: a\t.*\r?$/m);
    const { head } = await curl(`/to?to=/${broken}`);
    assert.match(head, /^location: \/a%0D%0ASet-Cookie:%20stolen=1%0D%0A%0D%0A%3Cscript%3E\r?$/im);
  }
});
