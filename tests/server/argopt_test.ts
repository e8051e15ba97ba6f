import assert from "node:assert/strict";
import { argopt, commandOf } from "../../src/server/argopt.ts";

Deno.test("CLI-01 argopt parses short and long options by the rules of getopt", () => {
  const cases: [string, string[], string[], [string, string][], string[]][] = [
    ["", [], [], [], []],
    ["hf:", [], ["-h", "-f", "x"], [["-h", ""], ["-f", "x"]], []],
    ["hf:", [], ["-hfx", "rest"], [["-h", ""], ["-f", "x"]], ["rest"]],
    ["hf:", [], ["-hf", "-x"], [["-h", ""], ["-f", "-x"]], []],
    ["", ["ssl", "origin="], ["--ssl", "--origin", "a"], [["--ssl", ""], ["--origin", "a"]], []],
    ["", ["origin="], ["--origin=a=b"], [["--origin", "a=b"]], []],
    ["", ["origin="], ["--origin="], [["--origin", ""]], []],
    ["", ["origin=", "ssl"], ["--or=1", "--ss"], [["--origin", "1"], ["--ssl", ""]], []],
    ["h", [], ["a", "-h", "b"], [["-h", ""]], ["a", "b"]],
    ["h", [], ["--", "-h", "start"], [], ["-h"]],
    ["", [], ["-"], [], ["-"]],
  ];
  for (const [short, long, args, options, rest] of cases) {
    assert.deepEqual(argopt(short, long, args), [options, rest], args.join(" "));
  }
});

Deno.test("CLI-01 argopt throws for what was not declared, naming it", () => {
  const cases: [string, string[], string[], RegExp][] = [
    ["h", [], ["-x"], /unknown option -x/],
    ["", ["ssl"], ["--tls"], /unknown option --tls/],
    ["f:", [], ["-f"], /option -f requires a value/],
    ["", ["origin="], ["--origin"], /option --origin requires a value/],
    ["", ["ssl"], ["--ssl=1"], /option --ssl takes no value/],
    ["", ["port", "portal"], ["--por"], /--por is ambiguous: --port, --portal/],
  ];
  for (const [short, long, args, message] of cases) {
    assert.throws(() => argopt(short, long, args), { name: "RangeError", message });
  }
});

Deno.test("CLI-02 what belongs to the engine cannot be declared and is left out", () => {
  for (const short of ["d", "hd:", "xd"]) {
    assert.throws(() => argopt(short), { name: "TypeError", message: /-d belongs to the engine/ });
  }
  assert.throws(() => argopt("", ["skitai-profile"]), /--skitai-profile belongs to the engine/);
  assert.throws(() => argopt("", ["skitai-x="]), /--skitai-x belongs to the engine/);
  assert.deepEqual(
    argopt("h", ["debug"], [
      "start",
      "-dh",
      "--skitai-profile",
      "--skitai-a=b",
      "---production",
      "--debug",
      "-v",
      "stop",
      "file",
      "restart",
      "status",
    ]),
    [[["-h", ""], ["--debug", ""]], ["file"]],
  );
});

Deno.test("CLI-03 the first command among the plain arguments counts, and -d means start", () => {
  argopt("hf:", ["origin=", "debug"], []);
  const cases: [string[], string | undefined][] = [
    [[], undefined],
    [["file"], undefined],
    [["start"], "start"],
    [["file", "stop", "start"], "stop"],
    [["restart", "-d"], "start"],
    [["-hd"], "start"],
    [["-f", "stop"], undefined],
    [["-fstop", "status"], "status"],
    [["--origin", "stop", "restart"], "restart"],
    [["--debug", "status"], "status"],
    [["--unknown", "status"], "status"],
  ];
  for (const [args, command] of cases) assert.equal(commandOf(args), command, args.join(" "));
});

Deno.test("CLI-03 without a call of argopt only a -d of its own, before --, means start", async () => {
  // Declarations belong to the module: this one has seen none.
  const { href } = new URL("../../src/server/argopt.ts?undeclared", import.meta.url);
  const fresh: { commandOf: typeof commandOf } = await import(href);
  const cases: [string[], string | undefined][] = [
    [["-d"], "start"],
    [["-debug"], undefined],
    [["stop", "-d"], "start"],
    [["--", "-d"], undefined],
    [["status", "--", "-d"], "status"],
  ];
  for (const [args, command] of cases) assert.equal(fresh.commandOf(args), command, args.join(" "));
});
