import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { ask, RawClient } from "../_support/fronts.ts";
import { BOUNDARY, CONTENT_TYPE, file, multipart } from "../_support/multipart.ts";
import { type ServiceProcess, until, Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/upload_service.ts", import.meta.url));
const MB = 1_000_000;

/** A service as a process of its own, and the directory of its uploads. */
class Station implements AsyncDisposable {
  readonly directory: string;
  readonly service: ServiceProcess;
  readonly #workshop: Workshop;
  port = 0;

  private constructor(workshop: Workshop, front: string) {
    this.#workshop = workshop;
    this.directory = `${workshop.path}/uploads`;
    Deno.mkdirSync(this.directory);
    this.service = workshop.start(SCRIPT, {
      env: { UPLOAD_DIR: this.directory, UPLOAD_FRONT: front },
    });
  }

  static async open(front: "fast" | "edge"): Promise<Station> {
    const station = new Station(await Workshop.open(), front);
    station.port = await station.service.port();
    return station;
  }

  /** Names of the temporary files there are. */
  names(): string[] {
    return [...Deno.readDirSync(this.directory)].map(({ name }) => name);
  }

  /** Waits until no temporary file is left. */
  async empty(): Promise<void> {
    await until(() => this.names(), (names) => names.length === 0, "files are left");
  }

  async json(path: string): Promise<Record<string, number>> {
    return await (await fetch(`http://127.0.0.1:${this.port}${path}`)).json();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#workshop[Symbol.asyncDispose]();
  }
}

async function curl(...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("curl", {
    args: ["-sS", "-m", "60", "-w", "\n%{http_code}", ...args],
  }).output();
  const decoder = new TextDecoder();
  return decoder.decode(stdout) + decoder.decode(stderr);
}

/** Sends a form with one file of that size over a plain socket, and gives the answer and the hash. */
async function sendLarge(port: number, size: number): Promise<{ answer: string; sha256: string }> {
  const head = new TextDecoder().decode(
    multipart([file("f", "large.bin", "")], { isClosed: false }),
  ).slice(0, -2);
  const tail = `\r\n--${BOUNDARY}--\r\n`;
  const client = await RawClient.connect(port);
  try {
    await client.send(
      `POST /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${CONTENT_TYPE}\r\n` +
        `Content-Length: ${head.length + size + tail.length}\r\n\r\n${head}`,
    );
    const hash = createHash("sha256");
    const chunk = crypto.getRandomValues(new Uint8Array(65536));
    const counter = new DataView(chunk.buffer);
    for (let sent = 0; sent < size; sent += chunk.byteLength) {
      counter.setUint32(0, sent);
      const piece = chunk.subarray(0, Math.min(chunk.byteLength, size - sent));
      hash.update(piece);
      await client.send(piece);
    }
    await client.send(tail);
    return { answer: await client.end(), sha256: hash.digest("hex") };
  } finally {
    client.close();
  }
}

for (const front of ["fast", "edge"] as const) {
  Deno.test(`UPL-01 UPL-03 ${front} an upload of 300 MB goes to disk and stays out of memory`, async () => {
    await using station = await Station.open(front);
    const { answer, sha256 } = await sendLarge(station.port, 300 * MB);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.ok(answer.includes(`"size":${300 * MB}`), answer);
    assert.ok(answer.includes(sha256));
    await station.empty();
    const { peak } = await station.json("/memory");
    assert.ok(peak! < 200_000, `${peak} KiB`);
  });

  Deno.test(`UPL-01 UPL-04 HTTP-07 ${front} forms of curl, one of them nested, and one that is too large`, async () => {
    await using station = await Station.open(front);
    const work = await Deno.makeTempDir({ prefix: "skitai-test-" });
    try {
      await Deno.writeTextFile(`${work}/a.txt`, "one");
      await Deno.writeTextFile(`${work}/b "q" é.txt`, "two");
      await Deno.writeFile(`${work}/big.bin`, crypto.getRandomValues(new Uint8Array(60_000)));
      await Deno.truncate(`${work}/big.bin`, 3 * MB);
      const url = `http://127.0.0.1:${station.port}`;
      const hash = async (name: string) =>
        createHash("sha256").update(await Deno.readFile(`${work}/${name}`)).digest("hex");

      const seen = JSON.parse(
        (await curl(
          "-F",
          "text=plain ü",
          "-F",
          `one=@${work}/big.bin;type=image/png`,
          "-F",
          `two=@${work}/a.txt`,
          "-F",
          // Several files of one field: curl nests them in a multipart/mixed part.
          `two=@${work}/a.txt,${work}/big.bin`,
          "-F",
          `odd=@"${work}/b \\"q\\" é.txt"`,
          `${url}/up`,
        )).replace(/\n200$/, ""),
      );
      assert.equal(seen.text, "plain ü");
      assert.deepEqual(seen.one, {
        name: "big.bin",
        size: 3 * MB,
        type: "image/png",
        sha256: await hash("big.bin"),
      });
      assert.deepEqual(seen.two.map(({ name }: { name: string }) => name), [
        "a.txt",
        "a.txt",
        "big.bin",
      ]);
      assert.equal(seen.two[2].sha256, await hash("big.bin"));
      assert.match(seen.odd.name, /^b .*q.* é\.txt$/);
      assert.equal(seen.odd.size, 3);
      await station.empty();

      const guarded = ["-H", "Expect: 100-continue", "-F", `f=@${work}/big.bin`, `${url}/guarded`];
      const sent = await curl("-w", "%{size_upload} %{http_code}", "-o", "/dev/null", ...guarded);
      // The edge front asks for a body only when somebody reads it.
      if (front === "edge") assert.equal(sent, "0 403");
      else assert.match(sent, / 403$/);
      assert.equal(await curl("-H", "x-key: good", ...guarded), `${3 * MB}\n200`);
      await station.empty();

      if (front === "fast") {
        const over2 = await curl(
          "--http2-prior-knowledge",
          "-F",
          `f=@${work}/big.bin`,
          `${url}/up`,
        );
        assert.ok(over2.endsWith("\n200") && over2.includes(await hash("big.bin")), over2);
      }
      for (const extra of [[], ["-H", "Transfer-Encoding: chunked"]]) {
        const refused = await curl(...extra, "-F", `f=@${work}/big.bin`, `${url}/small/up`);
        assert.match(refused, /big\.bin.*larger than 2000000 bytes/);
        assert.match(refused, /\n413/);
      }
      assert.equal(await curl("-F", `f=@${work}/a.txt`, `${url}/small/up`), "3\n200");
      await station.empty();
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  });

  Deno.test(`UPL-01 ${front} a client that leaves in the middle leaves no file`, async () => {
    await using station = await Station.open(front);
    const half = multipart([file("f", "x", new Uint8Array(3 * MB))], { isClosed: false });
    const client = await RawClient.connect(station.port);
    await client.send(
      `POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: ${CONTENT_TYPE}\r\nContent-Length: 9000000\r\n\r\n`,
    );
    await client.send(half);
    await until(() => station.names(), (names) => names.length === 1, "nothing was spooled");
    client.close();
    await station.empty();
    assert.match(await curl("-F", "a=1", `http://127.0.0.1:${station.port}/up`), /"a":"1"/);
    assert.ok(!station.service.lines.some((line) => /\[expt/.test(line)), "logged as an error");
  });

  Deno.test(`UPL-01 ${front} a server that stops in the middle leaves no file`, async () => {
    await using station = await Station.open(front);
    const client = await RawClient.connect(station.port);
    await client.send(
      `POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: ${CONTENT_TYPE}\r\nContent-Length: 9000000\r\n\r\n`,
    );
    await client.send(multipart([file("f", "x", new Uint8Array(3 * MB))], { isClosed: false }));
    await until(() => station.names(), (names) => names.length === 1, "nothing was spooled");
    await ask(station.port, "GET /stop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    // The client stays, and is not waited for.
    assert.equal(await station.service.code(), 0);
    client.close();
    assert.deepEqual(station.names(), []);
  });
}
