import assert from "node:assert/strict";
import { childCommand } from "../../../src/server/supervision/respawn.ts";

Deno.test("SRV-04 an engine gets the flags of its parent and those it needs itself", () => {
  const cases: [string[], string[], string[]][] = [
    [
      ["deno", "run", "-A", "app.ts", "start", "-x"],
      ["start", "-x"],
      ["run", "--unstable-net", "--unstable-no-legacy-abort", "-A", "app.ts", "start", "-x"],
    ],
    [
      ["deno", "-A", "app.ts"],
      [],
      ["run", "--unstable-net", "--unstable-no-legacy-abort", "-A", "app.ts"],
    ],
    [
      ["deno", "run", "--watch", "--inspect=1:1", "--unstable-net", "--config", "c", "app.ts"],
      [],
      ["run", "--unstable-net", "--unstable-no-legacy-abort", "--config", "c", "app.ts"],
    ],
  ];
  for (const [argv, args, expected] of cases) {
    assert.deepEqual(childCommand(argv, args), { program: Deno.execPath(), args: expected });
  }
});

Deno.test("SRV-04 without a known command line the permissions become flags", () => {
  const { args } = childCommand(undefined, ["x"]);
  assert.ok(args.includes("--allow-net") && args.includes(Deno.mainModule));
  assert.equal(args.at(-1), "x");
});

Deno.test("SRV-04 a process that is no start script says so", () => {
  assert.throws(() => childCommand(["deno", "test", "-A"], []), {
    name: "ConfigError",
    message: /need a start script; this is "deno test"/,
  });
});
