import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { testClient } from "../../src/server/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { curl } from "../_support/serve_handler.ts";
import { until } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/foreign_service.ts", import.meta.url));

Deno.test("EXT-01 EXT-04 MNT-16 apps of other frameworks run unchanged", async (t) => {
  await using client = await testClient(SCRIPT, freePort(), { startTimeoutMs: 60_000 });
  const { origin } = client;

  await t.step("EXT-01 Hono, h3, oak and a function answer at their full paths", async () => {
    assert.equal(await curl(`${origin}/hono/hi/ann?q=1`), "hono ann 1");
    assert.equal(await curl(`${origin}/h3/hi/ann`), "h3 ann");
    assert.deepEqual(JSON.parse(await curl(`${origin}/h3/json`)), { framework: "h3" });
    assert.equal(await curl(`${origin}/oak/hi/ann`), "oak ann");
    const plain = JSON.parse(await curl(`${origin}/plain/x`));
    assert.equal(plain.path, "/plain/x");
    assert.equal(plain.mountPoint, "/plain/");
    assert.equal((await client.get("/hono/none")).statusCode, 404);
  });

  await t.step("EXT-01 beside directories and on virtual hosts", async () => {
    assert.match(await curl("-I", `${origin}/files/demo.css`), /^HTTP\/1\.1 200 [\s\S]*text\/css/);
    assert.equal(
      await curl("-H", "Host: other.example", `${origin}/hono/hi/ann`),
      "another host",
    );
  });

  await t.step("EXT-01 bodies arrive, within the limits of each app", async () => {
    for (const name of ["hono", "h3", "oak"]) {
      const answer = await client.post(`/${name}/echo`, "x".repeat(50));
      assert.deepEqual(answer.data, { length: 50 }, name);
    }
    assert.equal((await client.post("/oak/echo", "x".repeat(101))).statusCode, 413);
    assert.deepEqual((await client.post("/hono/echo", "x".repeat(200_000))).data, {
      length: 200_000,
    });
    assert.equal(
      await curl("-H", "transfer-encoding: chunked", "-d", "chunked", `${origin}/h3/echo`),
      JSON.stringify({ length: 7 }),
    );
  });

  await t.step("EXT-04 status, headers and streams are sent as they are", async () => {
    const made = await client.get("/hono/created");
    assert.equal(made.statusCode, 201);
    assert.equal(made.headers.get("x-made"), "yes");
    assert.match(made.headers.get("server")!, /^Skitai$/);
    assert.equal(await curl(`${origin}/hono/stream`), "one two three");
    assert.equal(await curl(`${origin}/hono/later`), "later");
    assert.equal(await curl(`${origin}/hono/addr`), '"127.0.0.1"');
  });

  await t.step("EXT-04 pages are compressed and connections kept", async () => {
    const head = await curl("--compressed", "-D", "-", "-o", "/dev/null", `${origin}/hono/page`);
    assert.match(head, /content-encoding: gzip/i);
    const reused = await curl(
      ...["-o", "/dev/null", "-w", "%{num_connects}", `${origin}/h3/json`],
      ...["--next", "-s", "-o", "/dev/null", "-w", "%{num_connects}", `${origin}/oak/hi/x`],
    );
    assert.equal(reused, "10");
  });

  await t.step(
    "EXT-04 a thrown error is a 500 outside and an entry with its stack inside",
    async () => {
      for (const path of ["throw", "reject", "nothing"]) {
        const answer = await client.get(`/plain/${path}`);
        assert.equal(answer.statusCode, 500);
        assert.doesNotMatch(answer.text, /secret|Response/);
      }
      const fault = await client.get("/plain/throw", { headers: { accept: "application/json" } });
      assert.deepEqual(fault.data, { code: 50000, message: "Internal Server Error" });
      for (
        const line of [
          /Error: secret of the app\n\s+at plain \(/,
          /\/plain\/ answered \/plain\/nothing with undefined instead of/,
        ]
      ) {
        await until(() => client.output(), (text) => line.test(text), `${line} is logged`);
      }
    },
  );

  await t.step("MNT-16 the prefix is cut off where that is wanted", async () => {
    assert.equal(await curl(`${origin}/cut/a/b?c=1`), "/a/b");
    assert.equal(await curl(`${origin}/cut/`), "/");
  });

  await t.step("EXT-03 each request has an id of its own in the imported was", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.get("/plain/x")),
    );
    const ids = new Set(answers.map(({ data }) => data.id));
    assert.equal(ids.size, 20);
    for (const id of ids) assert.match(id, /^.+\/\d+$/);
  });
});
