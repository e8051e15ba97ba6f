import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../../src/core/errors.ts";
import { startForward } from "../../src/server/forward.ts";
import { DEFAULT_FRONT_LIMITS } from "../../src/server/front.ts";
import { freePort } from "../_support/free_port.ts";
import { ask, curl, RawClient, testTls } from "../_support/fronts.ts";
import { listLog } from "../_support/list_log.ts";
import { until, Workshop } from "../_support/service_process.ts";

const ROOT = new URL("../../", import.meta.url);

function start(
  { toPort = 443, fromPort = 0, ip = "127.0.0.1", reusePort = false, limits = {}, server = "" } =
    {},
) {
  return startForward({
    fromPort,
    toPort,
    ip,
    reusePort,
    limits: { ...DEFAULT_FRONT_LIMITS, ...limits },
    server,
    log: listLog(),
  });
}

async function locationOf(port: number, target: string, host: string): Promise<string> {
  const text = await ask(
    port,
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  );
  assert.match(text, /^HTTP\/1\.1 301 /);
  return /\r\nlocation: (.*)\r\n/i.exec(text)![1]!;
}

Deno.test("HTTP-14 every request is answered 301 to the same host and target under https", async () => {
  await using front = await start();
  const { port } = front.address;
  const cases: [host: string, target: string, location: string][] = [
    ["example.org", "/", "https://example.org/"],
    ["example.org:80", "/a/b?c=d", "https://example.org/a/b?c=d"],
    ["Example.ORG:8080", "/?", "https://example.org/"],
    ["example.org", "/a%2Fb//c/../d?x=%20&y=/?z", "https://example.org/a%2Fb//c/../d?x=%20&y=/?z"],
    ["127.0.0.1:80", "/x", "https://127.0.0.1/x"],
    ["[::1]:80", "/x", "https://[::1]/x"],
    ["example.org", "//evil.org/x", "https://example.org//evil.org/x"],
    ["ignored", "http://example.org:81/p?q", "https://example.org/p?q"],
  ];
  for (const [host, target, location] of cases) {
    assert.equal(await locationOf(port, target, host), location);
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]) {
    const text = await ask(
      port,
      `${method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1\.1 301 [^]*location: https:\/\/a\/x\r\n/i, method);
  }
});

Deno.test("HTTP-14 a port other than 443 is part of the target", async () => {
  await using front = await start({ toPort: 8443 });
  assert.equal(
    await locationOf(front.address.port, "/x", "example.org:8080"),
    "https://example.org:8443/x",
  );
  assert.equal(await locationOf(front.address.port, "/", "[::1]"), "https://[::1]:8443/");
});

Deno.test("HTTP-14 HTTP-23 the redirect carries Server and Date, and what it refuses does", async () => {
  await using front = await start({ server: "Skitai" });
  for (const request of ["GET / HTTP/1.1\r\nHost: a", "GET / HTTP/1.0", "BREW / HTTP/1.1"]) {
    const text = await ask(front.address.port, `${request}\r\nConnection: close\r\n\r\n`);
    assert.match(text, /\r\nserver: Skitai\r\n/i, request);
    assert.match(text, /\r\ndate: [^\r]* GMT\r\n/i, request);
  }
});

Deno.test("HTTP-14 HTTP-02 the redirecting port keeps connections as long as the other one", async () => {
  await using workshop = await Workshop.open();
  const tls = await testTls();
  const pem = join(workshop.path, "both.pem");
  await Deno.writeTextFile(pem, tls.cert + tls.key);
  const ports = [freePort(), freePort()] as const;
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from ${JSON.stringify(new URL("mod.ts", ROOT).href)};
skitai.enableSsl(${JSON.stringify(pem)});
skitai.enableForward(${ports[0]}, ${ports[1]}, "127.0.0.1");
skitai.setKeepAlive(1);
skitai.mount("/", () => new Response("ok"));
await skitai.run({ port: ${ports[1]}, front: "edge" });
`,
  );
  const flags = ["--config", fileURLToPath(new URL("deno.json", ROOT))];
  const service = workshop.start(script, { flags });
  await service.line(/serving on /);
  using client = await RawClient.connect(ports[0]);
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(/ 301 [^]*\r\n\r\n/);
  await service.line(/cut: 127\.0\.0\.1, idle/);
  await client.end();
  service.signal("SIGTERM");
  assert.equal(await service.code(), 0);
});

Deno.test("HTTP-14 what names no host, or no usable one, is answered 400", async () => {
  await using front = await start();
  for (
    const request of [
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost:\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: evil.org/x?\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a@evil.org\r\n\r\n",
      // TLS on the plain port.
      "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ]
  ) {
    const text = await ask(front.address.port, request);
    assert.match(text, /^HTTP\/1\.1 400 /, JSON.stringify(request));
    assert.doesNotMatch(text, /location/i);
  }
});

Deno.test("HTTP-14 HTTP-04 it faces strangers: silent and idle connections are cut", async () => {
  await using front = await start({
    limits: { headerTimeoutSeconds: 1.5, keepAliveSeconds: 1.5 },
  });
  using silent = await RawClient.connect(front.address.port);
  using half = await RawClient.connect(front.address.port);
  await half.send("GET / HT");
  using idle = await RawClient.connect(front.address.port);
  await idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await idle.until(/ 301 /);
  assert.equal(await silent.end(), "");
  assert.match(await half.end(), / 408 /);
  await idle.end();
});

Deno.test("HTTP-14 a port that cannot be had is a clear error", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const fromPort = listener.addr.port;
  await assert.rejects(start({ fromPort }), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /enableForward\(\d+\) on 127\.0\.0\.1: the address is in use/);
    return true;
  });
  await using shared = await start({ reusePort: true });
  await using second = await start({ reusePort: true, fromPort: shared.address.port });
  assert.equal(second.address.port, shared.address.port);
});

Deno.test("HTTP-14 HTTP-39 a reload keeps the forwarding listener: every request is answered", async () => {
  await using workshop = await Workshop.open();
  const tls = await testTls();
  const pem = join(workshop.path, "both.pem");
  await Deno.writeTextFile(pem, tls.cert + tls.key);
  const ports = [freePort(), freePort()] as const;
  const script = join(workshop.appPath, "app.ts");
  const module = join(workshop.appPath, "handler.ts");
  const version = (name: string) =>
    Deno.writeTextFile(
      module,
      `import { Atila } from ${JSON.stringify(new URL("src/atila/mod.ts", ROOT).href)};
export const app = new Atila(import.meta.url);
app.useReloader = true;
app.route("/", () => ${JSON.stringify(name)});
`,
    );
  await version("one");
  await Deno.writeTextFile(
    script,
    `import * as skitai from ${JSON.stringify(new URL("mod.ts", ROOT).href)};
skitai.enableSsl(${JSON.stringify(pem)});
skitai.enableForward(${ports[0]}, ${ports[1]}, "127.0.0.1");
skitai.mount("/", "./handler.ts");
await skitai.run({ port: ${ports[1]} });
`,
  );
  const service = workshop.start(script, {
    env: { SKITAI_ENV: "" },
    flags: ["--config", fileURLToPath(new URL("deno.json", ROOT))],
  });
  const ask = () => curl("-L", "--max-redirs", "2", `http://127.0.0.1:${ports[0]}/`);
  // Its supervisor has a look at the files before it says so.
  await service.line(/serving on /);
  assert.equal(await ask(), "one");
  const answers = new Set<string>();
  await version("two");
  await until(
    async () => {
      const answer = await ask();
      answers.add(answer);
      return answer;
    },
    (text) => text === "two",
    "the new version",
  );
  // For as long as the old engine drains, both listen.
  await service.line(/is replaced: /);
  for (let count = 0; count < 20; count++) answers.add(await ask());
  assert.deepEqual(answers, new Set(["one", "two"]));
  assert.ok(!service.lines.some((line) => /in use|did not start/.test(line)));
  service.signal("SIGTERM");
  assert.equal(await service.code(), 0);
  await assert.rejects(
    Deno.connect({ hostname: "127.0.0.1", port: ports[0] }),
    Deno.errors.ConnectionRefused,
  );
});
