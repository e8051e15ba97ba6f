import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { chooseFront, type FrontChoiceOptions, isLoopback } from "../../src/server/choose_front.ts";
import type { FrontServiceSetup } from "../_support/front_service.ts";
import { curl } from "../_support/fronts.ts";
import { Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/front_service.ts", import.meta.url));

function choose(options: Partial<FrontChoiceOptions>) {
  return chooseFront({
    front: "auto",
    address: "0.0.0.0",
    trustProxies: [],
    needsEdge: [],
    ...options,
  });
}

Deno.test("SRV-02 chooseFront() takes fast where every client can be trusted, else edge", () => {
  for (const address of ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"]) {
    assert.equal(choose({ address }).kind, "fast", address);
  }
  for (
    const address of [
      "0.0.0.0",
      "::",
      "10.0.0.1",
      "192.168.1.1",
      "128.0.0.1",
      "example.org",
      "127.example.org",
      "::ffff:10.0.0.1",
      "::2",
    ]
  ) {
    assert.equal(choose({ address }).kind, "edge", address);
    assert.equal(choose({ address, trustProxies: ["10.0.0.0/8"] }).kind, "fast", address);
  }
});

Deno.test("SRV-02 chooseFront() does as told, unless a feature needs edge", () => {
  for (const front of ["fast", "edge"] as const) {
    for (const address of ["127.0.0.1", "0.0.0.0"]) {
      assert.equal(choose({ front, address }).kind, front);
      assert.match(choose({ front, address }).reason, /as run was told/);
    }
  }
  for (const front of ["auto", "fast", "edge"] as const) {
    const needsEdge = ["client certificates", "the forward proxy"];
    assert.equal(choose({ front, address: "127.0.0.1", needsEdge }).kind, "edge");
  }
  assert.match(
    choose({ front: "fast", needsEdge: ["client certificates"] }).reason,
    /^front edge: client certificates needs it$/,
  );
});

Deno.test("SRV-02 chooseFront() says in one line what it chose, why, and how to choose", () => {
  assert.equal(
    choose({}).reason,
    'front edge: 0.0.0.0 is open to strangers; choose with run({ front: "fast" | "edge" })',
  );
  assert.match(choose({ address: "::1" }).reason, /^front fast: ::1 is loopback; choose with/);
  assert.match(choose({ trustProxies: ["10.1.0.0/16"] }).reason, /behind 10\.1\.0\.0\/16.*choose/);
});

Deno.test("SRV-02 isLoopback() is not fooled by names and ranges", () => {
  for (const address of ["127.0.0.1", "127.255.255.254", "::1", "localhost"]) {
    assert.ok(isLoopback(address), address);
  }
  for (
    const address of ["", "127", "127.0.0", "127.0.0.1.evil.org", "1.127.0.0", "localhost.org"]
  ) {
    assert.ok(!isLoopback(address), address);
  }
});

Deno.test("SRV-02 a service logs its front once, whatever the number of workers", async () => {
  const cases: [FrontServiceSetup["run"], RegExp, "fast" | "edge"][] = [
    [{}, /\[info\] front fast: 127\.0\.0\.1 is loopback; choose with run\(/, "fast"],
    [{ address: "0.0.0.0" }, /\[info\] front edge: 0\.0\.0\.0 is open to strangers; /, "edge"],
    [{ address: "0.0.0.0", trustProxies: ["10.0.0.0/8"] }, /front fast: behind 10/, "fast"],
    [{ front: "edge", workers: 2 }, /front edge: as run was told/, "edge"],
  ];
  await using workshop = await Workshop.open();
  await Promise.all(cases.map(async ([options, line, kind]) => {
    const service = workshop.start(SCRIPT, {
      env: { FRONT_TEST: JSON.stringify({ run: options }) },
    });
    const port = await service.port();
    assert.equal(await curl(`http://127.0.0.1:${port}/`), "index");
    assert.equal(service.lines.filter((text) => line.test(text)).length, 1);
    assert.equal(
      service.lines.filter((text) => /\[info\] front (?:fast|edge)/.test(text)).length,
      1,
    );
    // The fronts differ in what they know of HTTP/1.0: `edge` takes a request without a host.
    const old = await curl("--http1.0", "-H", "Host:", "-o", "/dev/null", "-w", "%{http_code}", ...[
      `http://127.0.0.1:${port}/`,
    ]);
    assert.equal(old, kind === "edge" ? "200" : "400");
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
  }));
});
