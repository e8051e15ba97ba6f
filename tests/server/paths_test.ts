import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  abspath,
  getProcTitle,
  getswd,
  getVarPath,
  joinpath,
  setServiceName,
  VAR_ENV,
} from "../../src/server/paths.ts";
import { overrideEnv } from "../_support/env_override.ts";

const here = dirname(fileURLToPath(Deno.mainModule));

Deno.test("SRV-12 getswd is the directory of the start script, before run too", () => {
  assert.equal(getswd(), here);
});

Deno.test("SRV-13 abspath joins onto that directory and normalises", () => {
  assert.equal(abspath("a", "b.txt"), join(here, "a", "b.txt"));
  assert.equal(abspath("a/./../c//d"), join(here, "c", "d"));
  assert.equal(abspath("a", "/etc", "motd"), "/etc/motd");
  assert.equal(abspath(), here);
  assert.equal(joinpath("x"), join(here, "x"));
});

Deno.test("SRV-19 the runtime directory is made of the name, without colons and blanks", () => {
  {
    using _unset = overrideEnv(VAR_ENV, "");
    assert.equal(getVarPath("my app:1"), "/var/tmp/skitai/my-app-1");
    assert.equal(getVarPath("../x"), "/var/tmp/skitai/..-x");
  }
  using _set = overrideEnv(VAR_ENV, "/somewhere");
  assert.equal(getVarPath("shop"), "/somewhere/shop");
});

Deno.test("SRV-09 a name given to run is in the title and keys the directories", () => {
  setServiceName("shop");
  try {
    assert.equal(getProcTitle(), "skitai/shop");
    assert.match(getVarPath(), /\/shop$/);
  } finally {
    setServiceName(undefined);
  }
});
