import assert from "node:assert/strict";
import { ConfigError } from "../../src/core/errors.ts";
import { curl, serveHandler } from "../_support/serve_handler.ts";
import { type MountWords, PlaceApp, tableOf } from "../_support/mounts.ts";

/** A directory with files, removed at the end of the block. */
function directory(content: Record<string, string>): { path: string } & AsyncDisposable {
  const path = Deno.makeTempDirSync();
  for (const [name, text] of Object.entries(content)) {
    const file = `${path}/${name}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const say = (text: string) => () => new Response(text);

Deno.test("MNT-01 MNT-12 the longest prefix decides, in any order of mounts", async () => {
  const mounts: MountWords[] = [
    ["/", say("root")],
    ["/a", say("a")],
    ["/a/b/", say("ab")],
    ["/ab", say("other")],
  ];
  for (const order of [mounts, mounts.toReversed()]) {
    const { text } = await tableOf(order);
    assert.equal(await text("/"), "root");
    assert.equal(await text("/x/a/"), "root");
    assert.equal(await text("/a/"), "a");
    assert.equal(await text("/a/x"), "a");
    assert.equal(await text("/a/b/c"), "ab");
    assert.equal(await text("/ab/"), "other");
    assert.equal(await text("/abc"), "root");
  }
});

Deno.test("MNT-01 relative targets start at the given directory, URLs and file: stand alone", async () => {
  await using dir = directory({
    "files/a.txt": "file",
    "app.ts": "export const app = () => new Response('app');",
  });
  const { text } = await tableOf(
    [["/files", "files"], ["/app", "app.ts"], ["/again", "./files/"]],
    {
      directory: dir.path,
    },
  );
  assert.equal(await text("/files/a.txt"), "file");
  assert.equal(await text("/app/"), "app");
  assert.equal(await text("/again/a.txt"), "file");
  const url = new URL(`file://${dir.path}/files`);
  const both = await tableOf([["/u", url], ["/s", url.href]]);
  assert.equal(await both.text("/u/a.txt"), "file");
  assert.equal(await both.text("/s/a.txt"), "file");
});

Deno.test("MNT-02 MNT-03 the longest directory decides, without falling back to a shorter one", async () => {
  await using dir = directory({
    "up/a.txt": "short",
    "up/big/b.txt": "shadowed",
    "big/c.txt": "long",
  });
  const { text, ask } = await tableOf([["/up", "up"], ["/up/big", "big"]], { directory: dir.path });
  assert.equal(await text("/up/a.txt"), "short");
  assert.equal(await text("/up/big/c.txt"), "long");
  assert.equal((await ask("/up/big/b.txt")).status, 404);
});

Deno.test("MNT-04 HTTP-25 on one prefix files come first, everything else goes to the app", async () => {
  await using dir = directory({ "index.html": "index", "a.txt": "file", "sub/x.txt": "x" });
  const { text, ask } = await tableOf([
    ["/", new PlaceApp()],
    ["/", dir.path],
    ["/api", new PlaceApp("/srv/api.ts")],
  ]);
  assert.equal(await text("/"), "index");
  assert.equal(await text("/a.txt"), "file");
  assert.equal(await text("/a.txt", { method: "POST" }), "place@/ POST /a.txt");
  assert.equal(await text("/b"), "place@/ GET /b");
  assert.equal(await text("/sub/"), "place@/ GET /sub/");
  assert.equal((await ask("/sub")).status, 301);
  assert.equal(await text("/api/a.txt"), "api@/api/ GET /api/a.txt");
  assert.equal(
    (await ask("/a.txt", { method: "HEAD" })).headers.get("content-type"),
    "text/plain; charset=utf-8",
  );
});

Deno.test("MNT-04 files of a longer prefix fall through to the app around them", async () => {
  await using dir = directory({ "a.txt": "file" });
  const { text } = await tableOf([["/", new PlaceApp()], ["/static", dir.path]]);
  assert.equal(await text("/static/a.txt"), "file");
  assert.equal(await text("/static/none"), "place@/ GET /static/none");
});

Deno.test("MNT-13 a missing final slash is redirected with 308, which keeps method and body", async () => {
  await using dir = directory({ "a.txt": "file" });
  const { ask, handler } = await tableOf([
    ["/skitai", async (req: Request) => new Response(`${req.method} ${await req.text()}`)],
    ["/files", dir.path],
  ]);
  for (const path of ["/skitai", "/files"]) {
    const res = await ask(`${path}?a=1&b`);
    assert.equal(res.status, 308);
    assert.equal(res.headers.get("location"), `${path}/?a=1&b`);
  }
  assert.equal((await ask("/skitai")).headers.get("location"), "/skitai/");
  assert.equal((await ask("/skitai2")).status, 404);
  await using server = serveHandler(handler);
  assert.equal(await curl("-L", "-d", "body", `${server.url}/skitai`), "POST body");
});

Deno.test("MNT-14 where nothing is mounted there is an error page, or a fault for JSON clients", async () => {
  const { ask } = await tableOf([["/x", say("x")]]);
  const page = await ask("/y");
  assert.equal(page.status, 404);
  assert.match(page.headers.get("content-type")!, /^text\/html/);
  assert.match(await page.text(), /404[\s\S]*Not Found[\s\S]*Skitai/);
  const fault = await ask("/y", { headers: { accept: "application/json" } });
  assert.deepEqual(await fault.json(), { code: 40400, message: "Not Found" });
});

Deno.test("MNT-14 only reading is possible where there are only files", async () => {
  await using dir = directory({ "a.txt": "file" });
  const { ask } = await tableOf([["/", dir.path]]);
  assert.equal((await ask("/a.txt", { method: "PUT", body: "x" })).status, 405);
  assert.equal((await ask("/none")).status, 404);
});

Deno.test("MNT-15 an app sees the prefix it is mounted at", async () => {
  const { text } = await tableOf([["/x/y", new PlaceApp()], ["/z", new PlaceApp("/srv/z.ts")]]);
  assert.equal(await text("/x/y/hello"), "place@/x/y/ GET /x/y/hello");
  assert.equal(await text("/z/"), "z@/z/ GET /z/");
});

Deno.test("MNT-01 a prefix outside of ASCII is compared as clients send it", async () => {
  const { text } = await tableOf([["/é x", new PlaceApp()]]);
  assert.equal(await text("/%C3%A9%20x/a"), "place@/%C3%A9%20x/ GET /%C3%A9%20x/a");
});

Deno.test("MNT-03 MNT-12 HTTP-32 no spelling of a prefix leads around its mount", async () => {
  await using dir = directory({
    "site/x/secret.txt": "secret",
    "up/big/hidden.txt": "hidden",
    "big/b.txt": "big",
  });
  const { text, ask } = await tableOf([
    ["/", "site"],
    ["/x", say("guarded")],
    ["/@me/~a b", say("odd")],
    ["/up", "up"],
    ["/up/big", "big"],
  ], { directory: dir.path });
  for (
    const [sent, usual] of [
      ["/%78/secret.txt", "/x/secret.txt"],
      ["/%78", "/x/"],
      ["/%78/a%2Fb%20c?d=%20", "/x/a%2Fb%20c?d=%20"],
      ["/up/%62ig/hidden.txt", "/up/big/hidden.txt"],
      ["/%75p/%62%69g/b.txt", "/up/big/b.txt"],
      ["/%40me/%7ea%20b/", "/@me/~a%20b/"],
    ] as const
  ) {
    const res = await ask(sent, { method: "POST" });
    assert.equal(res.status, 308, sent);
    assert.equal(res.headers.get("location"), usual);
  }
  assert.equal(await text("/x/secret.txt"), "guarded");
  assert.equal(await text("/@me/~a%20b/x%20y"), "odd");
  assert.equal(await text("/up/big/%62.txt"), "big");
  for (const path of ["/x%2Fsecret.txt", "/x%2fsecret.txt", "/up/big%2Fhidden.txt"]) {
    assert.equal((await ask(path)).status, 404, path);
  }
});

Deno.test("MNT-01 a prefix may be given in any spelling", async () => {
  const { text } = await tableOf([["/%7Eme", say("me")], ["/%c3%a9", say("é")], [
    "/{a}",
    say("a"),
  ]]);
  assert.equal(await text("/~me/"), "me");
  assert.equal(await text("/%C3%A9/"), "é");
  assert.equal(await text("/%7Ba%7D/"), "a");
});

Deno.test("MNT-18 MNT-22 each host has mounts of its own", async () => {
  const { text, ask } = await tableOf([
    ["/", say("default")],
    ["/only", say("default only")],
    ["/", say("one"), { host: "www.one.com one.com" }],
    ["/", say("any two"), { host: ".two.com" }],
    ["/deep", say("deep one"), { host: "one.com" }],
  ]);
  assert.equal(await text("http://elsewhere.org/"), "default");
  assert.equal(await text("http://one.com/"), "one");
  assert.equal(await text("http://WWW.ONE.com:81/only/"), "one");
  assert.equal(await text("http://one.com/deep/"), "deep one");
  assert.equal(await text("http://www.one.com/deep/"), "one");
  assert.equal(await text("http://x.two.com/"), "any two");
  const none = await tableOf([["/", say("one"), { host: "one.com" }]]);
  assert.equal((await none.ask("http://other.com/")).status, 404);
  assert.equal((await ask("http://one.com/deep")).status, 308);
});

Deno.test("MNT-05 an app object is attached once and answers", async () => {
  const app = new PlaceApp("/srv/shop.ts");
  const { table, text } = await tableOf([["/shop", app, { host: "a.com b.com" }]]);
  assert.equal(app.attached, 1);
  assert.equal(app.info?.mountPoint, "/shop/");
  assert.equal(app.info?.name, "shop");
  assert.equal(app.info?.host, "a.com b.com");
  assert.deepEqual(table.apps, [app]);
  assert.deepEqual(table.mounts.map(({ name, mountPoint }) => [name, mountPoint]), [[
    "shop",
    "/shop/",
  ]]);
  assert.equal(await text("http://b.com/shop/"), "shop@/shop/ GET /shop/");
});

Deno.test("MNT-05 MNT-23 the same object at two prefixes is mounted at the first only", async () => {
  const app = new PlaceApp();
  const { log, ask, text } = await tableOf([["/a", app], ["/b", app], ["/a", app, {
    host: "x.com",
  }]]);
  assert.equal(app.attached, 1);
  assert.equal((await ask("/b/")).status, 404);
  assert.equal(await text("/a/"), "place@/a/ GET /a/");
  assert.equal(await text("http://x.com/a/"), "place@/a/ GET /a/");
  assert.equal(log.lines.length, 1);
  assert.match(log.lines[0]!, /^error:.*mount\("\/b"\).*mounted at \/a\/ already/);
});

Deno.test("MNT-23 MNT-27 apps of a host know each other by file name", async () => {
  const [one, two, other] = [
    new PlaceApp("/srv/one.ts"),
    new PlaceApp("/srv/two.ts"),
    new PlaceApp("/srv/other.ts"),
  ];
  await tableOf([["/", one], ["/admin", two], ["/", other, { host: "other.com" }]]);
  assert.deepEqual([...one.info!.apps.keys()], ["one", "two"]);
  assert.equal(one.info!.apps.get("two"), two);
  assert.deepEqual([...other.info!.apps.keys()], ["other"]);
});

Deno.test("MNT-23 the same file name twice in one host: the second is skipped with an error", async () => {
  const source = (text: string) => `export const app = () => new Response("${text}");`;
  await using dir = directory({ "v1/app.ts": source("v1"), "v2/app.ts": source("v2") });
  const { text, ask, log } = await tableOf([
    ["/v1", "v1/app.ts"],
    ["/v2", "v2/app.ts"],
    ["/v2", "v2/app.ts", { host: "two.com" }],
  ], { directory: dir.path });
  assert.equal(await text("/v1/"), "v1");
  assert.equal((await ask("/v2/")).status, 404);
  assert.equal(await text("http://two.com/v2/"), "v2");
  assert.deepEqual(log.lines.length, 1);
  assert.match(log.lines[0]!, /^error:.*mount\("\/v2"\) is skipped: .*"app"/);
});

Deno.test("MNT-23 the same prefix twice: a warning, and the last wins", async () => {
  await using dir = directory({ "a/x.txt": "a", "b/x.txt": "b" });
  const { text, log } = await tableOf([
    ["/", say("first")],
    ["/", say("last")],
    ["/s", "a"],
    ["/s/", "b"],
  ], { directory: dir.path });
  assert.equal(await text("/"), "last");
  assert.equal(await text("/s/x.txt"), "b");
  assert.equal(log.lines.filter((line) => line.startsWith("warn:")).length, 2);
});

Deno.test("MNT-23 an app whose place was taken has no life", async () => {
  const [first, last] = [new PlaceApp("/srv/a.ts"), new PlaceApp("/srv/b.ts")];
  const { table, text } = await tableOf([["/", first], ["/", last]]);
  assert.deepEqual(table.apps, [last]);
  assert.deepEqual([...last.info!.apps.keys()], ["b"]);
  assert.equal(await text("/"), "b@/ GET /");
});

Deno.test("MNT-05 MNT-16 a function may be mounted at several prefixes", async () => {
  const where = (_: Request, info: { mountPoint: string }) => new Response(info.mountPoint);
  const { text, log } = await tableOf([["/a", where], ["/b", where]]);
  assert.equal(await text("/a/"), "/a/");
  assert.equal(await text("/b/"), "/b/");
  assert.deepEqual(log.lines, []);
});

Deno.test("MNT-24 an app that fails to load is logged with its stack, the others start", async () => {
  await using dir = directory({
    "throws.ts": "throw new Error('at import');",
    "syntax.ts": "export const app = ;",
    "empty.ts": "export const other = 1;",
    "wrong.ts": "export const app = 42;",
    "good.ts": "export const app = () => new Response('good');",
  });
  const failing = new PlaceApp("/srv/failing.ts");
  failing.attach = () => {
    throw new Error("at attach");
  };
  const { text, ask, log } = await tableOf([
    ["/throws", "throws.ts"],
    ["/syntax", "syntax.ts"],
    ["/empty", "empty.ts"],
    ["/wrong", "wrong.ts"],
    ["/attach", failing],
    ["/good", "good.ts"],
  ], { directory: dir.path });
  assert.equal(await text("/good/"), "good");
  for (const name of ["throws", "syntax", "empty", "wrong", "attach"]) {
    assert.equal((await ask(`/${name}/`)).status, 404, name);
  }
  const all = log.lines.join("\n");
  assert.match(all, /expt:mount Error: at import\n\s+at .*throws\.ts:1/);
  assert.match(all, /error: mount\("\/syntax"\) failed/);
  assert.match(all, /mount\("\/empty"\): .*empty\.ts has no export "app"; it has other/);
  assert.match(all, /mount\("\/wrong"\): export "app" of .*wrong\.ts is no app/);
  assert.match(all, /at attach/);
});

Deno.test("MNT-24 SRV-01 when nothing at all can be mounted the start fails in one line", async () => {
  await using dir = directory({ "throws.ts": "throw new Error('no database');" });
  await assert.rejects(
    tableOf([["/", "throws.ts"]], { directory: dir.path }),
    (error) =>
      error instanceof ConfigError && (error.cause as Error).message === "no database" &&
      error.message === 'mount("/"): nothing could be mounted: no database',
  );
});

Deno.test("MNT-01 what cannot be mounted is refused before any app is loaded", async () => {
  await using dir = directory({ "app.ts": "globalThis.loaded = true;", "data.csv": "a,b" });
  const wrong: [MountWords, RegExp][] = [
    [["/", "missing"], /^mount\("\/"\): there is no directory and no script .*missing$/],
    [["/", "missing.ts"], /there is no directory and no script .*missing\.ts$/],
    [["/", "data.csv"], /data\.csv is neither a directory nor a script$/],
    [["/", "@search"], /reverse-proxy mounts such as @search are not supported/],
    [["/", ["module", "file.ts"]], /installed modules are not supported/],
    [["/a//b", "app.ts"], /a mount point is a plain path/],
    [["/a?b", "app.ts"], /a mount point is a plain path/],
    [["/a/../b", "app.ts"], /a mount point is a plain path/],
    [["/a/%2e%2e/b", "app.ts"], /a mount point is a plain path/],
    [["/a%2Fb", "app.ts"], /a mount point is a plain path/],
    [["/100%", "app.ts"], /a mount point is a plain path/],
    [["/a\nb", "app.ts"], /a mount point is a plain path/],
    [["/", "app.ts", { host: "a.com:80" }], /is no host name/],
  ];
  for (const [words, message] of wrong) {
    await assert.rejects(
      tableOf([["/first", "app.ts"], words], { directory: dir.path }),
      (error) => error instanceof ConfigError && message.test(error.message),
      String(words[1]),
    );
  }
  assert.equal((globalThis as { loaded?: boolean }).loaded, undefined);
});

Deno.test("MNT-25 preferences reach the app as they are", async () => {
  const app = new PlaceApp();
  const pref = { debug: true, title: "Shop", config: { uploadDirectory: "/tmp" } };
  await tableOf([["/", app, { pref }]]);
  assert.equal(app.debug, true);
  assert.equal((app as unknown as { title: string }).title, "Shop");
  assert.deepEqual(app.info!.pref.config, { uploadDirectory: "/tmp" });
  const plain = new PlaceApp();
  await tableOf([["/", plain]]);
  assert.deepEqual(plain.info!.pref, { config: {} });
});

Deno.test("SRV-28 MNT-25 production forces debug and the reloader off, whatever stands where", async () => {
  const given = new PlaceApp("/srv/given.ts");
  const own = new PlaceApp("/srv/own.ts");
  own.debug = own.useReloader = true;
  const foreign = Object.assign(() => {
    throw new Error("secret");
  }, { debug: true, useReloader: true });
  const mounts: MountWords[] = [
    ["/given", given, { pref: { debug: true, useReloader: true, config: {} } }],
    ["/own", own],
    ["/foreign", foreign],
  ];
  const production = await tableOf(mounts, { isDevel: false });
  for (const app of [given, own]) {
    assert.equal(app.debug, false);
    assert.equal(app.useReloader, false);
  }
  assert.equal(foreign.debug, false);
  assert.deepEqual(production.table.watched, []);
  assert.doesNotMatch(await production.text("/foreign/"), /secret/);
});

Deno.test("SRV-28 EXT-02 while developing both are honoured", async () => {
  const own = new PlaceApp("/srv/own.ts");
  own.useReloader = true;
  const foreign = Object.assign(() => {
    throw new Error("shown");
  }, { debug: true });
  const { table, text } = await tableOf([["/own", own], ["/foreign", foreign]]);
  assert.deepEqual(table.watched, ["/srv/own.ts"]);
  assert.match(await text("/foreign/"), /shown/);
});

Deno.test("MNT-26 body limits of the preferences hold for the app, not for its neighbours", async () => {
  const size = async (req: Request) => new Response(String((await req.text()).length));
  const { handler } = await tableOf([
    ["/small", { fetch: size }, { pref: { maxClientBodySize: 10, config: {} } }],
    ["/large", { fetch: size }],
  ]);
  await using server = serveHandler(handler);
  const send = (path: string, bytes: number) =>
    curl("-o", "/dev/null", "-w", "%{http_code}", "-d", "x".repeat(bytes), server.url + path);
  assert.equal(await send("/small/", 10), "200");
  assert.equal(await send("/small/", 11), "413");
  assert.equal(await send("/large/", 11), "200");
});
