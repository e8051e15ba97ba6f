/**
 * Every program of `examples/` as a process of its own, and what its pages say. An example that is new
 * gets an entry here: a start script in `PROGRAMS`, a file that belongs to one in `PARTS`.
 */

import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type TestClient, testClient } from "../../src/server/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { testTls } from "../_support/fronts.ts";
import { curl } from "../_support/serve_handler.ts";
import { until } from "../_support/service_process.ts";
import { isMissing } from "../_support/services.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));

/** How a program is started and what is expected of it. */
interface Program {
  /** Asks and checks. */
  check(client: TestClient, directory: string): Promise<void>;
  /** Programs of the system that it needs; without them its test is skipped. */
  needs?: string[];
  /** Speaks TLS. */
  ssl?: boolean;
  /** Arguments, made in a directory that is removed after the test. */
  args?(directory: string): Promise<string[]> | string[];
}

/** Modules that programs import or mount; not started on their own. */
const PARTS: readonly string[] = [
  "api/api.d.ts",
  "api/client.ts",
  "demo/services.ts",
  "demo/timeline.ts",
  "forum/passwords.ts",
  "forum/pictures.ts",
  "sites/blog.ts",
  "sites/shop.ts",
];

/** Started by tests of their own, with the servers they need. */
const ELSEWHERE: readonly string[] = [
  // database_examples_test.ts
  "dashboard/app.ts",
];

const PROGRAMS: Record<string, Program> = {
  "hello.ts": {
    async check(client) {
      const answer = await client.get("/");
      assert.equal(answer.text, "Hello, World!\n");
      assert.equal(await curl(`${client.origin}/any/path`), "Hello, World!\n");
    },
  },

  "sharded_map.ts": {
    async check(client) {
      const { data } = await client.get("/search?q=sea");
      assert.deepEqual(data, {
        hits: [
          { title: "Sea Birds", score: 9 },
          { title: "By the Sea", score: 7 },
          { title: "The Sea", score: 3 },
        ],
        missing: 1,
      });
    },
  },

  "static_site.ts": {
    async check(client) {
      const page = await client.get("/about.html");
      assert.match(page.text, /A static page/);
      assert.equal(page.headers.get("cache-control"), "max-age=60");
      const etag = page.headers.get("etag")!;
      const again = await client.get("/about.html", { headers: { "if-none-match": etag } });
      assert.deepEqual([again.statusCode, again.text], [304, ""]);
      const script = await client.get("/assets/site.js", { headers: { range: "bytes=0-7" } });
      assert.deepEqual([script.statusCode, script.text], [206, "document"]);
      assert.equal(script.headers.get("cache-control"), "max-age=86400");
      assert.equal((await client.get("/none.html")).statusCode, 404);
    },
  },

  // Its page is used in a browser, see api_page_test.ts.
  "json_api.ts": {
    async check(client) {
      const { pets } = client.api().apis;
      assert.deepEqual(await pets.get(), { pets: [{ id: 1, name: "Rex", kind: "dog" }] });
      assert.deepEqual(await pets.post({ name: "Tom", kind: "cat" }), {
        id: 2,
        name: "Tom",
        kind: "cat",
      });
      assert.equal(
        (await client.post("/apis/pets", new URLSearchParams({ name: "Ann" }))).statusCode,
        201,
      );
      assert.deepEqual(await pets(2).get(), { id: 2, name: "Tom", kind: "cat" });
      assert.deepEqual((await pets.get({ kind: "dog" })).pets.map(({ id }: { id: number }) => id), [
        1,
        3,
      ]);
      const json = { headers: { accept: "application/json" } };
      const missing = await client.post("/apis/pets", { kind: "cat" }, json);
      assert.equal(missing.statusCode, 400);
      assert.match(JSON.stringify(missing.data), /name/);
      assert.deepEqual((await client.get("/apis/pets/9", json)).data, {
        code: 40400,
        message: "no pet 9",
      });
      assert.equal((await client.get("/apis/pets/rex")).statusCode, 404);
      assert.equal((await client.post("/apis/pets", { name: "Kim", kind: "cow" })).statusCode, 400);
      const { paths } = (await client.get("/apis/docs/openapi.json")).data;
      assert.deepEqual(Object.keys(paths), ["/pets", "/pets/{id}"]);
      const refused = await client.delete("/apis/pets");
      assert.equal(refused.statusCode, 405);
      assert.match(refused.headers.get("allow")!, /GET.*POST/);
    },
  },

  "pages/app.ts": {
    async check(client) {
      const index = await client.get("/");
      assert.match(index.text, /<li><a href="\/city\/Seoul">Seoul<\/a><\/li>/);
      assert.match(index.text, /\d{4}-\d\d-\d\d/);
      assert.match((await client.get("/city/Oslo")).text, /<h1>Oslo<\/h1>[\s\S]*href="\/"/);
      assert.match((await client.get("/city/<b>")).text, /&lt;b&gt;/);
      assert.match((await client.get("/about.html")).text, /A static page/);
      assert.match((await client.get("/site.css")).headers.get("content-type")!, /^text\/css/);
      const missing = await client.get("/nowhere");
      assert.equal(missing.statusCode, 404);
      assert.match(missing.text, /\/nowhere is not here; <a href="\/">/);
    },
  },

  "backends.ts": {
    async check(client) {
      const { data } = await client.get("/");
      assert.deepEqual(data.waited, [10, 20, 30, 40, 50]);
      assert.ok(data.took >= 49, "it has waited for the slowest");
    },
  },

  "sqlite.ts": {
    async check(client) {
      const { notes } = client.api();
      assert.deepEqual(await notes.get(), { notes: [] });
      const text = "it's; drop table notes";
      assert.deepEqual(await notes.post({ text }), { id: 1, text });
      assert.deepEqual(await notes.get(), { notes: [{ id: 1, text }] });
      assert.equal((await client.post("/notes", {})).statusCode, 400);
    },
  },

  "foreign_apps.ts": {
    async check(client) {
      const { data } = await client.get("/api/hello");
      assert.equal(data.framework, "Hono");
      assert.match(data.transaction, /^.+\/\d+$/);
      assert.ok(Date.parse((await client.get("/now")).text) > 0);
      assert.match((await client.get("/about.html")).text, /A static page/);
    },
  },

  "virtual_hosts.ts": {
    async check({ origin }) {
      const ask = (host: string, path: string) => curl("-H", `Host: ${host}`, origin + path);
      assert.equal(await ask("shop.example.com", "/"), "the shop");
      assert.equal(await ask("example.org", "/"), "the blog");
      assert.equal(await ask("WWW.example.org:80", "/2026/Hello_World"), "Hello World, 2026");
      assert.match(await ask("elsewhere.example", "/about.html"), /A static page/);
      assert.doesNotMatch(await ask("shop.example.com", "/about.html"), /A static page/);
    },
  },

  "workers.ts": {
    async check(client) {
      const seen = new Set<string>();
      await until(
        async () => seen.add((await client.get("/")).data.worker).size,
        (size) => size === 2,
        "not both workers have answered",
      );
      assert.deepEqual([...seen].sort(), ["W0", "W1"]);
    },
  },

  "uploads/app.ts": {
    needs: ["curl"],
    args: (directory) => ["--into", directory],
    async check(client, directory) {
      const photo = crypto.getRandomValues(new Uint8Array(50_000));
      const file = await Deno.makeTempFile({ suffix: "_a b.jpg" });
      try {
        await Deno.writeFile(file, photo);
        const names = [`photos=@${file};filename=../a b.jpg`, `photos=@${file};filename=a b.jpg`];
        const form = names.flatMap((name) => ["-F", name]);
        const sent = await curl("-o", "/dev/null", "-w", "%{http_code}", ...form, client.origin);
        assert.equal(sent, "303");
      } finally {
        await Deno.remove(file);
      }
      const page = await client.get("/");
      assert.deepEqual([...page.text.matchAll(/">(.*)<\/a>/g)].map(([, name]) => name), [
        "a b.1.jpg",
        "a b.jpg",
      ]);
      const back = await client.get("/photos/a%20b.1.jpg");
      assert.deepEqual(new Uint8Array(back.content), photo);
      assert.match(
        back.headers.get("content-disposition")!,
        /^attachment; filename="a b\.1\.jpg"$/,
      );
      assert.equal((await client.get("/photos/..%2Fapp.ts")).statusCode, 404);
      assert.equal((await Array.fromAsync(Deno.readDir(directory))).length, 2);
    },
  },

  "https.ts": {
    ssl: true,
    needs: ["openssl", "curl"],
    async args(directory) {
      const { cert, key } = await testTls();
      await Deno.writeTextFile(join(directory, "cert.pem"), String(cert));
      await Deno.writeTextFile(join(directory, "key.pem"), String(key));
      const forward = String(freePort());
      await Deno.writeTextFile(join(directory, "forward"), forward);
      return ["cert.pem", "key.pem"].flatMap((name) => [
        `--${name.replace(".pem", "")}`,
        join(directory, name),
      ]).concat("--forward", forward);
    },
    async check({ origin }, directory) {
      const trusted = ["--cacert", join(directory, "cert.pem"), "-w", " %{http_version}"];
      assert.equal(await curl(...trusted, `${origin}/`), "private\n 2");
      assert.equal(await curl(...trusted, "--http1.1", `${origin}/`), "private\n 1.1");
      const forward = await Deno.readTextFile(join(directory, "forward"));
      const plain = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
      assert.match(
        await curl(...plain, `http://127.0.0.1:${forward}/a?b=c`),
        /^30\d https:\/\/127\.0\.0\.1:5000\/a\?b=c$/,
      );
    },
  },

  // Browsed, tried out and asked by its typed client in api_test.ts.
  "api/app.ts": {
    async check(client) {
      assert.equal((await client.get("/books?author=Lem")).data.books[0].title, "Solaris");
      assert.equal((await client.post("/books", { title: "T", author: "A" })).statusCode, 401);
      const secrets = { client: "demo", secret: "let-me-in" };
      const { token } = (await client.post("/tokens", secrets)).data;
      const headers = { authorization: `Bearer ${token}` };
      assert.equal((await client.post("/books", { title: 1 }, { headers })).statusCode, 400);
      const added = await client.post("/books", { title: "T", author: "A" }, { headers });
      assert.deepEqual(added.data, { id: 3, title: "T", author: "A" });
      assert.equal((await client.get("/books/3")).headers.get("x-frame-options"), "SAMEORIGIN");
      assert.equal((await client.get("/docs/openapi.json")).data.info.title, "Books");
    },
  },

  // With PostgreSQL in database_examples_test.ts.
  "one_alias.ts": {
    async check(client) {
      const { items } = client.api();
      assert.deepEqual(await items.post({ name: "tea", price: 4 }), { name: "tea", price: 4 });
      await items.post({ name: "cake", price: 30 });
      assert.deepEqual(await items.post({ name: "tea", price: 5 }), { name: "tea", price: 5 });
      assert.deepEqual(await items.get({ most: 10 }), { items: [{ name: "tea", price: 5 }] });
    },
  },

  "shards.ts": {
    async check(client) {
      const { orders } = client.api();
      for (const [i, customer] of ["ann", "ben", "ann", "ann", "ben"].entries()) {
        await orders.post({ id: i + 1, customer, amount: 10 * i });
      }
      const { orders: found, missing } = await orders.get({ customer: "ann" });
      assert.deepEqual(found.map(({ id }: { id: number }) => id), [1, 3, 4]);
      assert.equal(missing, 0);
    },
  },

  // Used by two people in a browser, see forum_test.ts.
  "forum/app.ts": {
    async check(client) {
      assert.match((await client.get("/")).text, /<title>[^<]*Forum[\s\S]*Log in/);
    },
  },

  "demo/app.ts": {
    async check(client) {
      assert.match((await client.get("/")).text, /<h1>42 mountains<\/h1>/);
      const peak = await client.get("/peak/1");
      assert.match(peak.text, /HTTP: sun[\s\S]*This page[\s\S]*One after the other/);
      assert.doesNotMatch(peak.text, /not available/);
      assert.equal((await client.get("/peak/999")).statusCode, 404);
      assert.equal((await client.get("/api/peaks")).data.length, 42);
      assert.match((await client.get("/static/demo.css")).text, /\.row/);
    },
  },
};

async function scripts(directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (isDirectory) found.push(...await scripts(path));
    else if (name.endsWith(".ts")) found.push(relative(EXAMPLES, path));
  }
  return found.sort();
}

Deno.test("SRV-01 every example has its test, and its line in the list of examples", async () => {
  const known = [...Object.keys(PROGRAMS), ...ELSEWHERE, ...PARTS];
  assert.deepEqual(await scripts(EXAMPLES), known.sort());
  const list = await Deno.readTextFile(join(EXAMPLES, "README.md"));
  for (const name of [...Object.keys(PROGRAMS), ...ELSEWHERE]) {
    assert.ok(list.includes(`(${name})`), `${name} is not in examples/README.md`);
  }
});

for (const [name, program] of Object.entries(PROGRAMS)) {
  const { needs = [], ssl = false } = program;
  Deno.test(`SRV-01 example ${name}`, { ignore: isMissing("curl", ...needs) }, async () => {
    const directory = await Deno.makeTempDir();
    try {
      await using client = await testClient(join(EXAMPLES, name), freePort(), {
        ssl,
        args: await program.args?.(directory) ?? [],
        startTimeoutMs: 60_000,
      });
      await program.check(client, directory);
      await client.stop();
      // Nothing went wrong unseen, neither while it served nor while it stopped.
      assert.doesNotMatch(client.output(), /\[(error|expt|fatal)\]|[Uu]ncaught/, client.output());
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
