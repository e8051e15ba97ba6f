import assert from "node:assert/strict";
import { join } from "node:path";
import * as skitai from "@skitai/skitai";
import { launch, testClient } from "../../src/server/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { testTls } from "../_support/fronts.ts";
import { curl } from "../_support/serve_handler.ts";
import { isMissing } from "../_support/services.ts";

const SCRIPT = new URL("../_support/client_service.ts", import.meta.url);
/** The machine may be busy; what is shown does not depend on the time. */
const PATIENT = { startTimeoutMs: 60_000 };

/** Whether a process still exists. */
function lives(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("TST-01 TST-06 a client starts a script as a process of its own, and ends it once", async () => {
  const port = freePort();
  let pid: number;
  {
    await using client = await skitai.testClient(SCRIPT, port, PATIENT);
    pid = client.pid!;
    assert.equal(client.origin, `http://127.0.0.1:${port}`);
    assert.equal(client.started, true);
    assert.notEqual(pid, Deno.pid);
    // Another program sees it, too.
    assert.equal(await curl(`${client.origin}/status/201`), "as told");
    assert.match(client.output(), /127\.0\.0\.1/);
    await client.get("/print");
    assert.match(client.output(), /printed by the app/);
    await Promise.all([client.stop(), client.stop()]);
    assert.equal(lives(pid), false);
    await client.stop();
  }
  await assert.rejects(
    Deno.connect({ hostname: "127.0.0.1", port }),
    Deno.errors.ConnectionRefused,
  );
  assert.equal(launch, testClient);
});

Deno.test("TST-01 an option that the client does not have is refused, and nothing is started", async () => {
  await assert.rejects(
    testClient("./none.ts", 1, { startTimeout: 5 } as Parameters<typeof testClient>[2]),
    /testClient: unknown option "startTimeout"; known are ssl, silent, dry, args, startTimeoutMs/,
  );
});

Deno.test("TST-01 TST-02 several workers, a path relative to the working directory, arguments", async () => {
  const script = join("tests", "_support", "client_service.ts");
  await using client = await testClient(script, freePort(), {
    ...PATIENT,
    args: ["--workers", "2", "--wait", "300"],
  });
  // The first answer is one of the app: nothing was asked while it was still starting.
  assert.equal((await client.get("/echo")).data.method, "GET");
});

Deno.test("TST-02 the port given replaces the script's own, so a running service is not disturbed", async () => {
  await using running = await testClient(SCRIPT, freePort(), PATIENT);
  const taken = new URL(running.origin).port;
  await using client = await testClient(SCRIPT, freePort(), {
    ...PATIENT,
    args: ["--port", taken],
  });
  assert.notEqual(client.origin, running.origin);
  assert.equal((await client.get("/echo")).statusCode, 200);
  assert.equal((await running.get("/echo")).statusCode, 200);
});

Deno.test("TST-01 what does not serve is an error with the output of the script", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const broken = join(directory, "broken.ts");
    await Deno.writeTextFile(broken, `throw new Error("no such " + "thing");`);
    await assert.rejects(
      testClient(broken, freePort(), PATIENT),
      /broken\.ts ended with code 1 before it served:\n[\s\S]*no such thing/,
    );
    const idle = join(directory, "idle.ts");
    await Deno.writeTextFile(idle, `console.log(Deno.pid); setInterval(() => {}, 1000);`);
    const error = await testClient(idle, freePort(), { startTimeoutMs: 1000 }).then(
      () => assert.fail("it cannot have started"),
      (error: Error) => error,
    );
    assert.match(error.message, /idle\.ts did not answer on port \d+ within 1000 ms:/);
    const pid = /^\d+$/m.exec(error.message)?.[0];
    if (pid !== undefined) assert.equal(lives(Number(pid)), false);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("TST-03 TST-04 TST-05 TST-06 requests of every kind to one server", async (t) => {
  await using client = await testClient(SCRIPT, freePort(), PATIENT);
  const { origin } = client;

  await t.step("TST-03 every method, and what an answer offers", async () => {
    for (const method of ["get", "options"] as const) {
      const { data } = await client[method]("/echo?a=1", { headers: { "x-custom": "yes" } });
      assert.deepEqual(
        [data.method, data.uri, data.custom],
        [method.toUpperCase(), "/echo?a=1", "yes"],
      );
    }
    for (const method of ["post", "put", "patch", "delete"] as const) {
      const { data } = await client[method]("/echo", { name: "Rex", tags: [1] });
      assert.deepEqual(
        [data.method, data.type, data.body],
        [method.toUpperCase(), "application/json", '{"name":"Rex","tags":[1]}'],
      );
    }
    const head = await client.head("/status/200");
    assert.deepEqual([head.statusCode, head.text, head.content.length], [200, "", 0]);
    assert.equal(head.headers.get("content-length"), "7");
    const answer = await client.get(`${origin}/status/418`);
    assert.deepEqual(
      [answer.statusCode, answer.reason, answer.text, answer.data, answer.url],
      [418, "I'm a teapot", "as told", "as told", `${origin}/status/418`],
    );
    assert.match(answer.headers.get("server")!, /^Skitai/);
  });

  await t.step("TST-03 bodies go as they are, with the type that belongs to them", async () => {
    const bodies: [unknown, string | null, string][] = [
      ["text", "text/plain;charset=UTF-8", "text"],
      [
        new URLSearchParams({ a: "1 2" }),
        "application/x-www-form-urlencoded;charset=UTF-8",
        "a=1+2",
      ],
      [new TextEncoder().encode("bytes"), null, "bytes"],
      [[1, 2], "application/json", "[1,2]"],
      [new Blob(["blob"], { type: "text/x-blob" }), "text/x-blob", "blob"],
    ];
    for (const [body, type, text] of bodies) {
      const { data } = await client.post("/echo", body);
      assert.deepEqual([data.type ?? null, data.body], [type, text]);
    }
    const form = new FormData();
    form.set("file", new File(["content"], "a.txt"));
    const { data } = await client.post("/echo", form);
    assert.match(data.type, /^multipart\/form-data; ?boundary=/);
    const told = await client.post("/echo", { a: 1 }, {
      headers: { "content-type": "application/vnd.pets+json" },
    });
    assert.equal(told.data.type, "application/vnd.pets+json");
  });

  await t.step(
    "TST-03 a path is sent as it was written, a broken body can be looked at",
    async () => {
      assert.equal((await client.get("/echo/../echo")).statusCode, 404);
      assert.equal((await client.get("//echo")).statusCode, 404);
      assert.equal((await client.get("/apis/é ü?q=ä")).data.uri, "/apis/%C3%A9%20%C3%BC?q=%C3%A4");
      const broken = await client.get("/broken");
      assert.equal(broken.text, "{");
      assert.throws(() => broken.data, SyntaxError);
    },
  );

  await t.step("TST-03 cookies are kept by path until they end", async () => {
    const set = (...lines: string[]) =>
      client.get(`/set?${new URLSearchParams(lines.map((line) => ["cookie", line]))}`);
    assert.equal((await set("a=1")).data.cookie, "a=1");
    assert.equal((await set("b=2; Path=/echo; HttpOnly")).data.cookie, "b=2; a=1");
    assert.equal((await set("c=3; Path=/echoes")).data.cookie, "b=2; a=1");
    assert.deepEqual([...client.cookies], [["a", "1"], ["b", "2"], ["c", "3"]]);
    assert.equal((await set("a=4; Max-Age=3600")).data.cookie, "b=2; a=4");
    assert.equal((await set("a=; Max-Age=0")).data.cookie, "b=2");
    const past = "Thu, 01 Jan 1970 00:00:00 GMT";
    assert.equal((await set(`b=; path=/echo; expires=${past}`)).data.cookie ?? null, null);
    const own = await client.get("/echo", { headers: { cookie: "mine=1" } });
    assert.equal(own.data.cookie, "mine=1");
  });

  await t.step(
    "TST-03 redirects are followed or shown, and tell other servers nothing",
    async () => {
      const shown = await client.get("/to?url=/echo", { redirect: false });
      assert.deepEqual([shown.statusCode, shown.headers.get("location")], [302, "/echo"]);
      const after = await client.post("/to?url=/echo", { a: 1 });
      assert.deepEqual([after.data.method, after.data.body], ["GET", ""]);
      const kept = await client.post("/to?url=/echo&status=307", { a: 1 });
      assert.deepEqual([kept.data.method, kept.data.body], ["POST", '{"a":1}']);
      assert.equal((await client.head("/to?url=/echo&status=303")).text, "");
      await assert.rejects(client.get("/loop"), /\/loop redirects more than 10 times/);
      await using other = await testClient(SCRIPT, freePort(), PATIENT);
      await client.get("/set?cookie=secret%3D1%3B+Path%3D/");
      const moved = await client.get(`/to?url=${other.origin}/echo`, {
        headers: { authorization: "Bearer secret", "x-custom": "stays" },
      });
      assert.equal(moved.url, `${other.origin}/echo`);
      assert.deepEqual([moved.data.cookie ?? null, moved.data.custom], [null, "stays"]);
    },
  );

  await t.step("TST-04 a path by properties and calls", async () => {
    const api = client.api();
    assert.deepEqual(await api.apis.pets(45).get(), {
      method: "GET",
      uri: "/apis/pets/45",
      body: null,
    });
    assert.equal(
      (await api.apis.pets.get({ kind: "big dog", tags: [1, 2], age: 3 })).uri,
      "/apis/pets?kind=big+dog&tags=1&tags=2&age=3",
    );
    assert.equal((await api.apis.pets.get({ kind: undefined, age: 0 })).uri, "/apis/pets?age=0");
    assert.deepEqual(await api.apis.pets.post({ name: "Rex" }, { dry: true }), {
      method: "POST",
      uri: "/apis/pets?dry=true",
      body: { name: "Rex" },
    });
    assert.deepEqual((await api.apis.pets(1).put({ a: 1 })).body, { a: 1 });
    assert.deepEqual((await api.apis.pets(1).patch({ a: 2 })).method, "PATCH");
    assert.equal((await api.apis.pets(1).delete({ soon: 1 })).uri, "/apis/pets/1?soon=1");
    // What would be a method, or is no name, goes through a call; values are encoded.
    assert.equal((await api.apis("get", "a/b c").get()).uri, "/apis/get/a%2Fb%20c");
    assert.equal((await client.api("/apis/v1/").pets.get()).uri, "/apis/v1/pets");
    assert.equal(await Promise.resolve(api.apis).then((stub) => typeof stub), "function");
    await assert.rejects(api.status(404).get(), /GET \/status\/404 answered 404: as told/);
    const error = await api.status(503).post({}).catch((error: Error) => error);
    assert.equal((error.cause as { statusCode: number }).statusCode, 503);
  });

  await t.step(
    "TST-05 TST-06 a dry client uses the server that runs and leaves it running",
    async () => {
      const port = Number(new URL(origin).port);
      for (const options of [{ dry: true }, {}]) {
        {
          await using second = await testClient("no such script", port, options);
          assert.deepEqual([second.started, second.pid, second.output()], [false, undefined, ""]);
          assert.equal((await second.get("/status/200")).text, "as told");
          await second.stop();
        }
        assert.equal((await client.get("/status/200")).statusCode, 200);
      }
      await assert.rejects(
        testClient(SCRIPT, freePort(), { dry: true }),
        /Cannot test .*client_service\.ts dry: nothing listens on port \d+/,
      );
    },
  );
});

Deno.test("TST-01 ssl asks over TLS and does not check the certificate", {
  ignore: isMissing("openssl"),
}, async () => {
  const directory = await Deno.makeTempDir();
  try {
    const { cert, key } = await testTls();
    const certFile = join(directory, "cert.pem");
    const keyFile = join(directory, "key.pem");
    await Deno.writeTextFile(certFile, String(cert));
    await Deno.writeTextFile(keyFile, String(key));
    await using client = await testClient(SCRIPT, freePort(), {
      ...PATIENT,
      ssl: true,
      args: ["--cert", certFile, "--key", keyFile],
    });
    assert.match(client.origin, /^https:/);
    assert.equal((await client.get("/echo")).data.method, "GET");
    assert.equal((await client.api().apis.pets.get()).method, "GET");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("TST-05 a client that is not silent shows what the server prints", async () => {
  const program = `
import { testClient } from "@skitai/skitai/testing";
await using client = await testClient(${JSON.stringify(SCRIPT.href)}, ${freePort()}, {
  silent: Deno.args[0] === "silent",
  startTimeoutMs: 60_000,
});
await client.get("/print");
`;
  for (const silent of [true, false]) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--ext=ts", "-", ...(silent ? ["silent"] : [])],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(program));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    const shown = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    assert.equal(code, 0, shown);
    assert.equal(shown.includes("printed by the app"), !silent, shown);
  }
});
