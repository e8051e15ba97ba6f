import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { mostConnections } from "../../src/server/open_files.ts";

const SERVICE = fileURLToPath(new URL("../_support/front_service.ts", import.meta.url));

Deno.test("HTTP-37 connections get half of the files a process may open", () => {
  const limits = (soft: string) =>
    `Max processes             31     31     processes\nMax open files            ${soft}  4096  files\n`;
  assert.equal(mostConnections(1, limits("1024")), 512);
  assert.equal(mostConnections(4, limits("1024")), 128);
  assert.equal(mostConnections(1024, limits("20")), 1);
  assert.equal(mostConnections(1, limits("unlimited")), Infinity);
  assert.equal(mostConnections(1, ""), Infinity);
});

/** What a GET on this connection is answered; `""` when it is closed. */
async function ask(conn: Deno.Conn): Promise<string> {
  try {
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    const buffer = new Uint8Array(4096);
    const size = await conn.read(buffer);
    return size === null ? "" : new TextDecoder().decode(buffer.subarray(0, size));
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) {
      return "";
    }
    throw error;
  }
}

Deno.test({
  name: "HTTP-37 SRV-05 edge serves on when there are more clients than files it may open",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "skitai-" });
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", 'ulimit -n 128; exec "$@"', "sh", Deno.execPath(), "run", "-A", SERVICE],
      env: {
        FRONT_TEST: JSON.stringify({ run: { front: "edge", port: 0 } }),
        SKITAI_VAR: directory,
        NO_COLOR: "1",
      },
      stdout: "piped",
    }).spawn();
    let output = "";
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    while (!/^listening .*\n/m.test(output)) {
      const { done, value } = await reader.read();
      assert.ok(!done, output);
      output += value;
    }
    const port = Number(/^listening \S+ (\d+)/m.exec(output)![1]);
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        output += value;
      }
    })();
    const clients: Deno.Conn[] = [];
    let served = 0;
    for (let i = 0; i < 200; i++) {
      const client = await Deno.connect({ port });
      clients.push(client);
      if ((await ask(client)).includes("index")) served++;
    }
    assert.equal(served, 64);
    for (const client of clients) client.close();
    let text = "";
    for (let i = 0; i < 100 && text === ""; i++) {
      using client = await Deno.connect({ port });
      text = await ask(client);
    }
    assert.match(text, /index/);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
    await reading;
    assert.match(output, /\[warn:front\] front edge takes at most 64 connections for each worker/);
    await Deno.remove(directory, { recursive: true });
  },
});
