import assert from "node:assert/strict";
import { join } from "node:path";
import { Revocations } from "../../src/store/revocations.ts";
import { canMount, SmallDisk } from "../_support/small_disk.ts";

const inAnHour = () => Date.now() / 1000 + 3600;

function fileIn(directory: string): string {
  const [file] = [...Deno.readDirSync(directory)].filter(({ name }) => /^\d+$/.test(name));
  return join(directory, file!.name);
}

Deno.test("SES-06 TOK-06 what a full disk has cut does not take the next revocation along", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const until = inAnHour();
    const first = new Revocations({ directory });
    first.revoke("one", until);
    await Deno.writeTextFile(fileIn(directory), "0123456789abcdef01", { append: true });
    first.revoke("two", until);
    const next = new Revocations({ directory });
    assert.deepEqual(["one", "two", "three"].map((id) => next.isRevoked(id)), [true, true, false]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test({
  name: "SES-06 TOK-06 what a full disk does not take is kept when there is room again",
  ignore: !await canMount(),
  async fn() {
    await using small = (await SmallDisk.mount(64))!;
    const directory = join(small.path, "revocations");
    const until = inAnHour();
    const first = new Revocations({ directory });
    first.revoke("one", until);
    await first.settle();
    await small.fill("filler");
    // Until the page is full in which the file ends there is room all the same.
    const ids = Array.from({ length: 200 }, (_, i) => `id ${i}`);
    for (const id of ids) first.revoke(id, until);
    assert.ok(ids.every((id) => first.isRevoked(id)));
    const early = new Revocations({ directory });
    assert.ok(early.isRevoked("one"));
    assert.equal(early.isRevoked(ids.at(-1)!), false, "the disk was not full");
    await Deno.remove(join(small.path, "filler"));
    first.refresh();
    const next = new Revocations({ directory });
    assert.deepEqual(ids.filter((id) => !next.isRevoked(id)), []);
  },
});

Deno.test("SES-06 TOK-06 a file that another worker removes meanwhile keeps none from being read", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const until = inAnHour();
    new Revocations({ directory }).revoke("one", until);
    // Names that lead nowhere are like files that are gone by the time they are looked at.
    for (let day = 80_000; day < 80_020; day++) {
      await Deno.symlink("/nowhere/at/all", join(directory, String(day)));
    }
    assert.ok(new Revocations({ directory }).isRevoked("one"));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
