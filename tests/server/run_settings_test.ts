import assert from "node:assert/strict";
import {
  checkService,
  resolveRunOptions,
  TEST_ADDRESS_ENV,
  TEST_PORT_ENV,
} from "../../src/server/run_settings.ts";
import { type RunOptions, type Service, service } from "../../src/server/service.ts";
import { overrideEnv } from "../_support/env_override.ts";

Deno.test("SRV-02 SRV-03 SRV-04 SRV-07 options of run have defaults", () => {
  assert.deepEqual(resolveRunOptions(), {
    address: "127.0.0.1",
    port: 5000,
    workers: 1,
    threads: 4,
    name: undefined,
    front: "auto",
    trustProxies: [],
    daemon: false,
  });
  assert.equal(resolveRunOptions({ address: "[::1]" }).address, "::1");
  assert.equal(resolveRunOptions({ threads: 0 }).threads, 0);
});

Deno.test("SRV-01 unusable options of run are named", () => {
  const cases: [unknown, string, RegExp][] = [
    [{ prot: 80 }, "ConfigError", /run: unknown option "prot"; known are address, port, /],
    ["5000", "TypeError", /run: options are one object/],
    [{ port: "5000" }, "TypeError", /run\(\{ port \}\): expected a number, got "5000"/],
    [{ port: 65536 }, "RangeError", /run\(\{ port \}\): expected 0 to 65535, got 65536/],
    [{ port: 80.5 }, "RangeError", /run\(\{ port \}\): expected a whole number/],
    [{ port: NaN }, "RangeError", /run\(\{ port \}\)/],
    [{ workers: 0 }, "RangeError", /run\(\{ workers \}\): expected 1 to/],
    [{ threads: -1 }, "RangeError", /run\(\{ threads \}\): expected 0 to/],
    [{ address: 5 }, "TypeError", /run\(\{ address \}\)/],
    [{ name: "a/b" }, "ConfigError", /run\(\{ name \}\): "a\/b"/],
    [{ name: "" }, "ConfigError", /run\(\{ name \}\)/],
    [{ front: "fats" }, "ConfigError", /run\(\{ front \}\): "fats" is none of auto, fast, edge/],
    [{ trustProxies: "10.0.0.1" }, "TypeError", /run\(\{ trustProxies \}\)/],
  ];
  for (const [options, name, message] of cases) {
    assert.throws(() => resolveRunOptions(options as RunOptions), { name, message });
  }
});

Deno.test("SRV-01 SRV-24 a service without a mount, or with an unusable critical point, does not run", () => {
  assert.throws(() => checkService(service), { name: "ConfigError", message: /No mount point/ });
  const with_ = (criticalPoint: Service["criticalPoint"]): Service => ({
    ...service,
    mounts: [{} as Service["mounts"][number]],
    criticalPoint,
  });
  checkService(with_({ cpuPercent: 90, continuous: 3, interval: 20 }));
  checkService(with_({ cpuPercent: 90, continuous: 3, interval: 0 }));
  for (
    const point of [
      { cpuPercent: 0, continuous: 3, interval: 20 },
      { cpuPercent: 101, continuous: 3, interval: 20 },
      { cpuPercent: 90, continuous: 0, interval: 20 },
      { cpuPercent: 90, continuous: 1.5, interval: 20 },
      { cpuPercent: 90, continuous: 3, interval: -1 },
    ]
  ) {
    assert.throws(() => checkService(with_(point)), {
      name: "RangeError",
      message: /setWorkerCriticalPoint/,
    });
  }
});

Deno.test("TST-02 a test run overrides address and port", () => {
  {
    using _port = overrideEnv(TEST_PORT_ENV, "6001");
    using _address = overrideEnv(TEST_ADDRESS_ENV, "127.0.0.2");
    const { address, port } = resolveRunOptions({ port: 80, address: "0.0.0.0" });
    assert.deepEqual([address, port], ["127.0.0.2", 6001]);
  }
  using _wrong = overrideEnv(TEST_PORT_ENV, "http");
  assert.throws(() => resolveRunOptions(), /environment SKITAI_TEST_PORT: "http" is not a port/);
});
