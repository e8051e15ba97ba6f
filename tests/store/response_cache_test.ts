import assert from "node:assert/strict";
import { ResponseCache, type ResponseCacheOptions } from "../../src/store/response_cache.ts";
import { SmallDisk } from "../_support/small_disk.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);
const noHeaders = () => undefined;

function response(body: string | Uint8Array, headers: Record<string, string> = {}) {
  const all = { "content-type": "text/plain", "cache-control": "max-age=60", ...headers };
  return {
    status: 200,
    headers: Object.entries(all).flat(),
    body: typeof body === "string" ? bytes(body) : body,
  };
}

async function mark(cache: ResponseCache, key: string): Promise<string | undefined> {
  const found = await cache.lookup(key, noHeaders);
  const at = found?.headers.indexOf("x-skitaid-cache-lookup") ?? -1;
  return at === -1 ? undefined : found!.headers[at + 1];
}

/** Incompressible bytes. */
function noise(length: number): Uint8Array {
  const all = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(all.subarray(at, Math.min(length, at + 65536)));
  }
  return all;
}

const binary = { "content-type": "application/octet-stream" };

async function directory(test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("CACHE-01 CACHE-04 CACHE-05 memory first, then disk, each within its bounds", async () => {
  await directory(async (path) => {
    await using cache = new ResponseCache({ memmax: 20_000, diskmax: 100_000, path });
    for (let i = 0; i < 4; i++) {
      assert.ok(cache.store(`k${i}`, noHeaders, response(noise(8000), binary)));
    }
    await cache.settled();
    assert.deepEqual(await Promise.all(["k0", "k1", "k2", "k3"].map((key) => mark(cache, key))), [
      ...["MEM_HIT", "MEM_HIT", "HIT", "HIT"],
    ]);
    assert.ok(cache.status.bytes <= 20_000);
    for (let i = 0; i < 60; i++) {
      cache.store(`d${i}`, noHeaders, response(noise(8000), binary));
      await cache.settled();
      let total = 0;
      for await (const { name } of Deno.readDir(path)) {
        total += (await Deno.stat(`${path}/${name}`)).size;
      }
      assert.ok(total <= 100_000, `${total} bytes on disk`);
    }
    assert.equal(await mark(cache, "d59"), "HIT", "the newest is there");
  });
  await using off = new ResponseCache({});
  off.store("k", noHeaders, response("x"));
  assert.equal(await mark(off, "k"), undefined, "sizes are 0 by default: off");
});

Deno.test("CACHE-04 without a disk the entry used longest ago makes room", async () => {
  await using cache = new ResponseCache({ memmax: 20_000 });
  for (const key of ["a", "b"]) cache.store(key, noHeaders, response(noise(8000), binary));
  await mark(cache, "a");
  cache.store("c", noHeaders, response(noise(8000), binary));
  assert.deepEqual(await Promise.all(["a", "b", "c"].map((key) => mark(cache, key))), [
    ...["MEM_HIT", undefined, "MEM_HIT"],
  ]);
  cache.store("huge", noHeaders, response(noise(30_000), binary));
  assert.equal(await mark(cache, "a"), "MEM_HIT", "what fits nowhere drives nobody out");
});

Deno.test("CACHE-04 text is kept compressed, small and large, and comes back as it was", async () => {
  await using cache = new ResponseCache({ memmax: 100_000 });
  const small = "hello ".repeat(2000);
  const large = JSON.stringify(Array.from({ length: 60_000 }, (_, i) => i % 10));
  cache.store("small", noHeaders, response(small));
  cache.store("large", noHeaders, response(large, { "content-type": "application/json" }));
  await cache.settled();
  assert.equal(text((await cache.lookup("small", noHeaders))!.body), small);
  assert.equal(text((await cache.lookup("large", noHeaders))!.body), large);
  assert.ok(cache.status.bytes < 10_000, `${cache.status.bytes}`);
  const first = (await cache.lookup("small", noHeaders))!;
  first.body.fill(0);
  assert.equal(
    text((await cache.lookup("small", noHeaders))!.body),
    small,
    "everybody gets a copy",
  );
});

Deno.test("CACHE-02 CACHE-05 entries end with their lifetime and tell their age", async () => {
  let now = 1_000_000_000_000;
  await directory(async (path) => {
    for (const options of [{ memmax: 9999 }, { diskmax: 9999, path }] as ResponseCacheOptions[]) {
      await using cache = new ResponseCache({ ...options, now: () => now });
      cache.store("k", noHeaders, response("x", { age: "20", "content-type": "text/x" }));
      await cache.settled();
      now += 10_500;
      const { headers } = (await cache.lookup("k", noHeaders))!;
      assert.equal(headers[headers.indexOf("age") + 1], "30");
      assert.equal(headers[headers.indexOf("content-type") + 1], "text/x");
      now += 30_000;
      assert.equal(await cache.lookup("k", noHeaders), undefined);
    }
    assert.deepEqual(await Array.fromAsync(Deno.readDir(path)), [], "removed");
  });
});

Deno.test("CACHE-04 what has expired is swept every ten minutes, and unfinished files too", async () => {
  // the age of a file begins when it is written, which may take long
  let now = Date.now() + 60_000;
  await directory(async (path) => {
    await using cache = new ResponseCache({ diskmax: 99_999, path, now: () => now });
    cache.store("short", noHeaders, response("x"));
    cache.store("long", noHeaders, response("x", { "cache-control": "max-age=9999" }));
    await cache.settled();
    await Deno.writeTextFile(`${path}/1-1.tmp`, "half");
    now += 599_000;
    cache.maintain();
    await cache.settled();
    assert.equal((await Array.fromAsync(Deno.readDir(path))).length, 3);
    now += 2000;
    cache.maintain();
    await cache.settled();
    assert.equal((await Array.fromAsync(Deno.readDir(path))).length, 1);
    assert.equal(await mark(cache, "long"), "HIT");
  });
});

Deno.test("CACHE-04 an unfinished file is swept, too, when its end was set before its writer was killed", async () => {
  await directory(async (path) => {
    const file = `${path}/1-1.tmp`;
    await Deno.writeTextFile(file, "whole, but not renamed");
    await Deno.utime(file, new Date(), new Date(Date.now() + 365 * 86_400_000));
    let now = Date.now();
    await using cache = new ResponseCache({ diskmax: 99_999, path, now: () => now });
    now += 601_000;
    cache.maintain();
    await cache.settled();
    assert.deepEqual(await Array.fromAsync(Deno.readDir(path)), []);
  });
});

Deno.test("CACHE-04 what happens to an entry on disk happens in the order it was asked for", async () => {
  await directory(async (path) => {
    await using cache = new ResponseCache({ memmax: 3000, diskmax: 99_999, path });
    const onDisk = async (key: string) => {
      await using other = new ResponseCache({ diskmax: 99_999, path });
      return (await other.lookup(key, noHeaders))?.body.length;
    };
    // too large for the memory, and then not any more
    cache.store("smaller", noHeaders, response(noise(4000), binary));
    cache.store("smaller", noHeaders, response(noise(10), binary));
    cache.store("deleted", noHeaders, response(noise(4000), binary));
    await cache.delete("deleted");
    cache.store("newer", noHeaders, response(noise(50_000), binary));
    cache.store("newer", noHeaders, response(noise(4000), binary));
    await cache.settled();
    assert.deepEqual(
      [await onDisk("smaller"), await onDisk("deleted"), await onDisk("newer")],
      [undefined, undefined, 4000],
    );
  });
});

Deno.test("CACHE-04 a text that takes long to compress does not replace what came after it", async () => {
  await using cache = new ResponseCache({ memmax: 1_000_000 });
  const long = response("long ".repeat(40_000));
  cache.store("newer", noHeaders, long);
  cache.store("newer", noHeaders, response("short"));
  cache.store("last", noHeaders, long);
  cache.store("last", noHeaders, response("last ".repeat(40_000)));
  cache.store("deleted", noHeaders, long);
  await cache.delete("deleted");
  await cache.settled();
  const start = async (key: string) => {
    const found = await cache.lookup(key, noHeaders);
    return found && text(found.body).slice(0, 5);
  };
  assert.deepEqual(
    [await start("newer"), await start("last"), await start("deleted")],
    ["short", "last ", undefined],
  );
});

Deno.test("CACHE-04 entries on disk survive a restart and are shared by all who use the directory", async () => {
  await directory(async (path) => {
    const options = { diskmax: 1_000_000, path, workers: 2 };
    {
      await using before = new ResponseCache(options);
      before.store("k", noHeaders, response("kept"));
    }
    await using one = new ResponseCache(options);
    await using two = new ResponseCache(options);
    assert.equal(text((await one.lookup("k", noHeaders))!.body), "kept");
    two.store("n", noHeaders, response("from two"));
    await two.settled();
    assert.equal(text((await one.lookup("n", noHeaders))!.body), "from two");
    // two writers of the same keys, readers meanwhile
    const sizes = [3000, 4000];
    const writing = [one, two].map(async (cache, who) => {
      for (let i = 0; i < 60; i++) {
        const body = new Uint8Array(sizes[who]!).fill(65 + who);
        cache.store(`shared ${i % 3}`, noHeaders, response(body, binary));
        await cache.settled();
      }
    });
    let seen = 0;
    let isWritten = false;
    const reading = (async () => {
      // and all keys once more at the end
      for (let i = 0, left = 3; left > 0; i++) {
        if (isWritten) left--;
        const found = await one.lookup(`shared ${i % 3}`, noHeaders);
        if (found === undefined) continue;
        seen++;
        const who = found.body[0]! - 65;
        assert.equal(found.body.length, sizes[who], "whole");
        assert.ok(found.body.every((byte) => byte === 65 + who), "and of one writer");
      }
    })();
    await Promise.all(writing).finally(() => isWritten = true);
    await reading;
    assert.ok(seen > 0);
    const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
    assert.equal(names.length, 5);
    assert.ok(names.every((name) => name.endsWith(".entry")));
  });
});

Deno.test("CACHE-04 a damaged entry is ignored and removed, wherever the damage is", async () => {
  await directory(async (path) => {
    await using cache = new ResponseCache({ diskmax: 1_000_000, path });
    cache.store("k", noHeaders, response("precious ".repeat(10)));
    await cache.settled();
    const [{ name }] = await Array.fromAsync(Deno.readDir(path)) as [Deno.DirEntry];
    const file = `${path}/${name}`;
    const good = await Deno.readFile(file);
    for (let at = 0; at < good.length; at++) {
      const bad = good.slice();
      bad[at]! ^= 0x55;
      await Deno.writeFile(file, bad);
      assert.equal(await cache.lookup("k", noHeaders), undefined, `byte ${at}`);
    }
    for (const length of [0, 5, 12, good.length - 1]) {
      await Deno.writeFile(file, good.subarray(0, length));
      assert.equal(await cache.lookup("k", noHeaders), undefined, `${length} bytes`);
      await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
    }
    await Deno.writeFile(file, good);
    assert.equal(await mark(cache, "k"), "HIT");
    cache.store("other", noHeaders, response("other"));
    await cache.settled();
    const other = (await Array.fromAsync(Deno.readDir(path))).find((entry) => entry.name !== name)!;
    await Deno.copyFile(file, `${path}/${other.name}`);
    assert.equal(await cache.lookup("other", noHeaders), undefined, "the entry of another key");
  });
});

Deno.test("CACHE-04 a full disk, or one that cannot be written, is said once and tolerated", async () => {
  const disk = await SmallDisk.mount(128);
  if (disk === undefined) {
    // deno-lint-ignore no-console -- a part that did not run must be visible
    console.warn("no small disk can be mounted here: a full one was not tried");
  } else {
    await using small = disk;
    let now = Date.now();
    const failures: string[] = [];
    await using cache = new ResponseCache({
      diskmax: 10_000_000,
      path: small.path,
      now: () => now,
      failed: (error) => void failures.push(error.message),
    });
    for (let i = 0; i < 20; i++) {
      cache.store(`k${i}`, noHeaders, response(noise(20_000), binary));
      await cache.settled();
    }
    assert.equal(failures.length, 1, failures.join("; "));
    assert.match(failures[0]!, /No space left/);
    assert.equal(await mark(cache, "k0"), "HIT", "what is there can be read");
    for await (const { name } of Deno.readDir(small.path)) assert.ok(!name.endsWith(".tmp"));
    for await (const { name } of Deno.readDir(small.path)) {
      await Deno.remove(`${small.path}/${name}`);
    }
    now += 61_000;
    cache.store("later", noHeaders, response("x", { "cache-control": "max-age=600" }));
    await cache.settled();
    assert.equal(await mark(cache, "later"), "HIT", "and written again when there is room");
  }
  await directory(async (path) => {
    await Deno.writeTextFile(`${path}/file`, "");
    const failures: string[] = [];
    await using cache = new ResponseCache({
      diskmax: 9999,
      path: `${path}/file/below`,
      failed: (error) => void failures.push(error.message),
    });
    for (let i = 0; i < 3; i++) cache.store("k", noHeaders, response("x"));
    await cache.settled();
    assert.equal(await cache.lookup("k", noHeaders), undefined);
    assert.equal(failures.length, 1);
  });
});

Deno.test("CACHE-04 a directory that was taken away is made again a minute after that was said", async () => {
  await directory(async (path) => {
    let now = Date.now();
    const failures: string[] = [];
    await using cache = new ResponseCache({
      diskmax: 99_999,
      path: `${path}/cache`,
      now: () => now,
      failed: (error) => void failures.push(error.message),
    });
    cache.store("a", noHeaders, response("x"));
    await cache.settled();
    assert.equal(await mark(cache, "a"), "HIT");
    await Deno.remove(`${path}/cache`, { recursive: true });
    cache.store("b", noHeaders, response("x"));
    await cache.settled();
    assert.deepEqual([await mark(cache, "b"), failures.length], [undefined, 1]);
    now += 61_000;
    cache.store("b", noHeaders, response("x"));
    await cache.settled();
    assert.deepEqual([await mark(cache, "b"), failures.length], ["HIT", 1]);
  });
});

Deno.test("CACHE-03 who sends cookies or credentials gets public entries only; Vary is heeded", async () => {
  await using cache = new ResponseCache({ memmax: 99_999 });
  const as = (headers: Record<string, string>) => (name: string) => headers[name];
  cache.store("own", noHeaders, response("x"));
  cache.store("public", noHeaders, response("x", { "cache-control": "public, max-age=9" }));
  for (const who of [as({ cookie: "a=1" }), as({ authorization: "Basic x" })]) {
    assert.equal(await cache.lookup("own", who), undefined);
    assert.ok(await cache.lookup("public", who));
    assert.equal(cache.store("theirs", who, response("x")), false);
  }
  const english = as({ "accept-language": "en" });
  cache.store("varied", english, response("hello", { vary: "Accept-Language, X-A" }));
  assert.equal(await cache.lookup("varied", as({ "accept-language": "de" })), undefined);
  assert.equal(
    await cache.lookup("varied", as({ "accept-language": "en", "x-a": "1" })),
    undefined,
  );
  assert.ok(await cache.lookup("varied", english));
  assert.equal(await cache.lookup("varied", as({ "cache-control": "no-cache" })), undefined);
  assert.equal(cache.store("big", noHeaders, response(new Uint8Array(10_000_001))), false);
});
