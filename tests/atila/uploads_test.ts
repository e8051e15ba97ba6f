import assert from "node:assert/strict";
import { Atila, FILE, FILES, REQUIRED, UploadedFile } from "../../src/atila/mod.ts";
import { readMultipart } from "../../src/atila/multipart.ts";
import { safeFileName } from "../../src/atila/upload_name.ts";
import { HttpError } from "../../src/core/errors.ts";
import {
  CONTENT_TYPE,
  field,
  file,
  inPieces,
  join,
  multipart,
  type RawPart,
} from "../_support/multipart.ts";

const MIB = 1024 * 1024;

/** Limits that no form here reaches, and nothing is kept as it was sent. */
const UNLIMITED = {
  maxBytes: 1e8,
  maxFileBytes: 1e8,
  maxTextBytes: 1e6,
  maxParts: 100,
  maxRawBytes: 0,
};

/** An app whose uploads go to a directory of their own. */
class Desk implements AsyncDisposable {
  readonly app = new Atila(import.meta.url);
  readonly directory = Deno.makeTempDirSync({ prefix: "skitai-test-" });

  constructor() {
    this.app.config.uploadDir = this.directory;
  }

  /** Sends a body and gives status and text of the answer. */
  async send(
    body: BodyInit,
    type: string = CONTENT_TYPE,
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const answer = await this.app.makeClient().post("/", body, {
      headers: type === "" ? {} : { "content-type": type },
    });
    return { status: answer.statusCode, text: answer.text, headers: answer.headers };
  }

  /** Names of the files that are in the directory. */
  names(): string[] {
    return [...Deno.readDirSync(this.directory)].map((entry) => entry.name).sort();
  }

  /** Waits until the temporary files are gone. */
  async empty(): Promise<void> {
    for (let i = 0; this.names().length > 0; i++) {
      assert.ok(i < 3000, `left behind: ${this.names()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

function random(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65536)));
  }
  return bytes;
}

Deno.test("UPL-01 ATL-25 a file arrives as an object with name, path, size and type", async () => {
  await using desk = new Desk();
  const content = random(3 * MIB);
  let seen: UploadedFile | undefined;
  desk.app.route("/", { methods: ["POST"] }, async (was, args) => {
    seen = args.photo as UploadedFile;
    assert.ok(seen instanceof UploadedFile);
    assert.equal(was.request.form()!.photo, seen);
    assert.equal(was.request.args.photo, seen);
    assert.equal(args.title, "Ünïcode");
    assert.equal(seen.file, seen.path);
    assert.deepEqual(new Uint8Array(await Deno.readFile(seen.path)), content);
    assert.equal((await Deno.stat(seen.path)).mode! & 0o777, 0o600);
    return was.response.API({ name: seen.name, size: seen.size, type: seen.mimetype });
  });
  const { status, text } = await desk.send(multipart([
    field("title", "Ünïcode"),
    file("photo", "Zürich 1.jpg", content, "image/jpeg"),
  ]));
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text), {
    name: "Zürich 1.jpg",
    size: 3 * MIB,
    type: "image/jpeg",
  });
  await desk.empty();
  // What is gone says so.
  assert.throws(() => seen!.path, /was removed.*save\(\) keeps it/);
  await assert.rejects(seen!.read(), /was removed/);
  await seen!.remove();
});

Deno.test("UPL-01 names of files are harmless whatever the client sends", () => {
  const long = "a".repeat(10_000);
  for (
    const [sent, safe] of [
      ["a.txt", "a.txt"],
      ["../../etc/passwd", "passwd"],
      ["/etc/shadow", "shadow"],
      ["..", "unnamed"],
      [".", "unnamed"],
      ["", "unnamed"],
      ["...", "unnamed"],
      [".htaccess", "htaccess"],
      ["..hidden..", "hidden"],
      ["C:\\Users\\me\\x.doc", "x.doc"],
      ["\\\\server\\share\\y", "y"],
      ["a\0.php\0.png", "a_.php_.png"],
      ["a\r\nSet-Cookie: x", "a__Set-Cookie_ x"],
      ["$(rm -rf ~)`id`;|&.sh", "__rm -rf ___id____.sh"],
      ["-rf", "_rf"],
      ["--help", "_help"],
      ["nul", "_nul"],
      ["COM1.txt", "_COM1.txt"],
      ["e\u0301.txt", "é.txt"],
      ["invoice\u202efdp.exe", "invoice_fdp.exe"],
      ["  spaced   name .txt ", "spaced name .txt"],
      ["日本語.txt", "日本語.txt"],
      [`${long}.jpeg`, `${"a".repeat(235)}.jpeg`],
      [long, "a".repeat(240)],
      [`a.${long}`, `a.${"a".repeat(238)}`],
      ["\ud83d\ude00".repeat(200), "\ud83d\ude00".repeat(60)],
      ["*?<>|", "unnamed"],
    ] as const
  ) {
    assert.equal(safeFileName(sent), safe, JSON.stringify(sent.slice(0, 40)));
  }
});

Deno.test("UPL-01 making a name safe takes no longer for one that was made to be slow", () => {
  // What takes the square of the length would need minutes for each of these.
  const runs = 1_000_000;
  for (
    const [sent, safe] of [
      [`a${".".repeat(runs)}b.txt`, `a${".".repeat(235)}.txt`],
      [`a${". ".repeat(runs)}b`, `a${". ".repeat(118)}. b`],
      [`e${"\u0315\u0334".repeat(runs)}.png`, `e${"\u0334".repeat(117)}.png`],
      [`a${"\ud83d\ude00".repeat(runs)}`, `a${"\ud83d\ude00".repeat(59)}`],
    ] as const
  ) {
    const name = safeFileName(sent);
    assert.equal(name, safe, JSON.stringify(name));
    assert.ok(name.isWellFormed());
  }
});

Deno.test("UPL-01 tricky names reach the handler safe, and saving them stays in the directory", async () => {
  await using desk = new Desk();
  const into = Deno.makeTempDirSync({ dir: desk.directory });
  const paths: string[] = [];
  desk.app.route("/", { methods: ["POST"], args: { f: FILE } }, async (_was, { f }) => {
    paths.push(await f.save(into));
    return f.sentName;
  });
  const tricks = [
    "../../../../tmp/evil",
    "/etc/cron.d/evil",
    "C:\\windows\\evil.exe",
    "evil\0.png",
    "x".repeat(10_240),
    'quo\\"te.txt',
  ];
  for (const trick of tricks) {
    const { status, text } = await desk.send(multipart([file("f", trick, "x")]));
    assert.equal(status, 200);
    assert.equal(text, trick.replace('\\"', '"'));
  }
  for (const path of paths) assert.equal(path.slice(0, path.lastIndexOf("/")), into);
  assert.deepEqual([...Deno.readDirSync(into)].length, tricks.length);
});

Deno.test("UPL-02 save moves a file, finds a free name or overwrites, and makes directories", async () => {
  await using desk = new Desk();
  const into = `${desk.directory}/a/b`;
  const results: string[] = [];
  desk.app.route("/", { methods: ["POST"], args: { f: FILE } }, async (_was, { f }) => {
    await assert.rejects(f.save(into), Deno.errors.NotFound);
    const temporary = f.size > MIB ? f.path : undefined;
    results.push(await f.save(into, { mkdir: true }));
    // A move, not a copy.
    if (temporary !== undefined) {
      await assert.rejects(Deno.stat(temporary), Deno.errors.NotFound);
    }
    assert.equal(f.path, results.at(-1));
    await assert.rejects(f.save(into), /was saved as/);
    await f.remove();
    assert.equal((await f.read()).byteLength, f.size);
    await Deno.remove(into, { recursive: true });

    return "";
  });
  for (const size of [10, 2 * MIB]) {
    const { status } = await desk.send(multipart([file("f", "x.tar.gz", random(size))]));
    assert.equal(status, 200);
  }
  assert.deepEqual(results, [`${into}/x.tar.gz`, `${into}/x.tar.gz`]);
  await Deno.remove(`${desk.directory}/a`, { recursive: true });

  const other = Deno.makeTempDirSync({ dir: desk.directory });
  const saved: string[] = [];
  const app = new Atila(import.meta.url);
  app.config.uploadDir = desk.directory;
  app.route("/<name>/<dup>", { methods: ["POST"] }, async (_was, args) => {
    const { f, name, dup } = args as unknown as { f: UploadedFile; name: string; dup: "u" | "o" };
    const path = await f.save(other, name === "own" ? { dup } : { dup, name });
    saved.push(path.slice(other.length + 1));
    return "";
  });
  const post = async (path: string, content: string | Uint8Array) => {
    const answer = await app.makeClient().post(path, multipart([file("f", "x.txt", content)]), {
      headers: { "content-type": CONTENT_TYPE },
    });
    return answer.statusCode;
  };
  const big = random(2 * MIB);
  assert.equal(await post("/own/u", "1"), 200);
  assert.equal(await post("/own/u", "2"), 200);
  assert.equal(await post("/own/u", big), 200);
  assert.equal(await post("/own/o", "4"), 200);
  assert.equal(await post("/noext/u", "5"), 200);
  assert.equal(await post("/noext/u", "6"), 200);
  assert.equal(await post("/noext/o", big), 200);
  assert.deepEqual(saved, ["x.txt", "x.1.txt", "x.2.txt", "x.txt", "noext", "noext.1", "noext"]);
  assert.equal(await Deno.readTextFile(`${other}/x.txt`), "4");
  assert.equal(await Deno.readTextFile(`${other}/x.1.txt`), "2");
  assert.deepEqual(new Uint8Array(await Deno.readFile(`${other}/x.2.txt`)), big);
  assert.deepEqual(new Uint8Array(await Deno.readFile(`${other}/noext`)), big);
  // As readable as any other file the app writes, although the temporary one was not.
  assert.equal((await Deno.stat(`${other}/x.2.txt`)).mode! & 0o777, 0o666 & ~Deno.umask());

  // Many at once never take each other's name.
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, i) => post("/same.txt/u", String(i))),
  );
  assert.ok(many.every((status) => status === 200));
  const names = [...Deno.readDirSync(other)].map(({ name }) => name)
    .filter((name) => name.startsWith("same"));
  assert.equal(names.length, 20);
  const contents = names.map((name) => Deno.readTextFileSync(`${other}/${name}`));
  assert.equal(new Set(contents).size, 20);
});

Deno.test("UPL-02 names that are paths and unknown modes are refused, and nothing is lost", async () => {
  await using desk = new Desk();
  desk.app.route("/", { methods: ["POST"], args: { f: FILE } }, async (_was, { f }) => {
    for (const name of ["../x", "a/b", "a\\b", "..", ".", "", "a\0b", 5, null]) {
      await assert.rejects(f.save(desk.directory, { name: name as string }), /without a directory/);
    }
    await assert.rejects(f.save(desk.directory, { dup: "x" as "u" }), /dup is "u" or "o"/);
    return new TextDecoder().decode(await f.read());
  });
  assert.equal((await desk.send(multipart([file("f", "x", "kept")]))).text, "kept");
});

Deno.test("UPL-03 small files stay in memory until their path is asked for; removed files are gone", async () => {
  await using desk = new Desk();
  const small = random(MIB);
  const large = random(MIB + 1);
  desk.app.route(
    "/",
    { methods: ["POST"], args: { small: FILE, large: FILE } },
    async (_was, { small: one, large: two }) => {
      assert.equal(desk.names().length, 1);
      assert.deepEqual(new Uint8Array(await one.read()), small);
      assert.deepEqual(new Uint8Array(await two.read()), large);
      assert.deepEqual(await new Response(await one.stream()).bytes(), small);
      assert.deepEqual(await new Response(await two.stream()).bytes(), large);
      assert.equal(desk.names().length, 1);
      assert.deepEqual(new Uint8Array(await Deno.readFile(one.path)), small);
      assert.equal(one.path, one.path);
      assert.equal(desk.names().length, 2);
      assert.deepEqual(new Uint8Array(await one.read()), small);
      await one.remove();
      await one.remove();
      assert.equal(desk.names().length, 1);
      await assert.rejects(one.read(), /was removed/);
      await assert.rejects(one.save(desk.directory), /was removed/);
      await two.remove();
      assert.equal(desk.names().length, 0);
      return "done";
    },
  );
  const body = multipart([file("small", "s", small), file("large", "l", large)]);
  assert.equal((await desk.send(body)).text, "done");
});

Deno.test("UPL-03 many small files do not pile up in memory", async () => {
  await using desk = new Desk();
  desk.app.route("/", { methods: ["POST"], args: { f: FILES } }, (_was, { f }) => {
    assert.equal(f.length, 12);
    // Eight of them go beyond what one request may hold.
    assert.equal(desk.names().length, 8);
    return String(f.reduce((sum, one) => sum + one.size, 0));
  });
  const parts = Array.from({ length: 12 }, (_, i) => file("f", `${i}`, random(MIB)));
  assert.equal((await desk.send(multipart(parts))).text, String(12 * MIB));
  await desk.empty();
});

Deno.test("UPL-04 ATL-25 a repeated field and a nested multipart/mixed give a list", async () => {
  await using desk = new Desk();
  desk.app.route("/", { methods: ["POST"] }, async (_was, args) => {
    const f = args.f as UploadedFile[];
    assert.ok(Array.isArray(f));
    const texts = await Promise.all(
      f.map(async (one) => new TextDecoder().decode(await one.read())),
    );
    return f.map((one, i) => `${one.name}:${one.mimetype}:${texts[i]}`).join(" ");
  });
  const repeated = [file("f", "a.txt", "one", "text/plain"), file("f", "b.bin", "two")];
  assert.equal(
    (await desk.send(multipart(repeated))).text,
    "a.txt:text/plain:one b.bin:application/octet-stream:two",
  );
  const inner = multipart([
    {
      headers: ['Content-Disposition: file; filename="a.txt"', "Content-Type: text/plain"],
      content: "one",
    },
    {
      headers: ['Content-Disposition: attachment; filename="../b.bin"', "Content-Type: image/png"],
      content: "two",
    },
  ], { boundary: "inner" });
  const nested: RawPart = {
    headers: [
      'Content-Disposition: form-data; name="f"',
      "Content-Type: multipart/mixed; boundary=inner",
    ],
    content: inner,
  };
  assert.equal(
    (await desk.send(multipart([field("x", "1"), nested, field("y", "2")]))).text,
    "a.txt:text/plain:one b.bin:image/png:two",
  );
  // One level only: deeper ones serve nobody but an attacker.
  const deep: RawPart = {
    headers: ["Content-Type: multipart/mixed; boundary=c"],
    content: multipart([], { boundary: "c" }),
  };
  const tooDeep = await desk.send(multipart([{
    headers: nested.headers,
    content: multipart([deep], { boundary: "inner" }),
  }]));
  assert.equal(tooDeep.status, 400);
  assert.match(tooDeep.text, /nests multipart too deep/);
});

Deno.test("ATL-25 declared files are checked and typed; a field left empty is not given", async () => {
  await using desk = new Desk();
  desk.app.route(
    "/",
    { methods: ["POST"], args: { one: FILE, all: FILES, note: REQUIRED } },
    (_was, { one, all, note }) => `${one.size satisfies number} ${all.length} ${note}`,
  );
  const note = field("note", "n");
  const answer = async (parts: RawPart[]) => {
    const { status, text } = await desk.send(multipart(parts));
    return status === 200 ? text : `${status} ${/Argument.*?</.exec(text)?.[0].slice(0, -1)}`;
  };
  const unescaped = async (parts: RawPart[]) => (await answer(parts)).replaceAll("&quot;", '"');
  assert.equal(await unescaped([file("one", "a", "abc"), note]), "3 0 n");
  assert.equal(
    await unescaped([file("one", "a", "abc"), file("all", "b", ""), file("all", "", ""), note]),
    "3 1 n",
  );
  assert.equal(await unescaped([note]), '400 Argument "one" is required');
  // What a browser sends where no file was chosen.
  assert.equal(await unescaped([file("one", "", ""), note]), '400 Argument "one" is required');
  assert.equal(
    await unescaped([field("one", "text"), note]),
    '400 Argument "one" (body): expected a file',
  );
  assert.equal(
    await unescaped([file("one", "a", ""), file("one", "b", ""), note]),
    '400 Argument "one" (body): given more than once',
  );
  assert.equal(
    await unescaped([file("one", "a", ""), field("all", "text"), note]),
    '400 Argument "all" (body): expected files',
  );
  await desk.empty();
});

Deno.test("UPL-01 forms of browsers and of the platform arrive the same, in any chunks", async () => {
  const nasty = join([
    new TextEncoder().encode("\r\n--\r\n------frontier\r\r\n\r\n--"),
    random(70_000),
    new TextEncoder().encode("\r\n----frontier7MA4YWxkTrZu0g\r\n\r"),
  ]);
  const body = multipart([
    field("a", "1"),
    file("f", "n.bin", nasty),
    field("__proto__", "2"),
    field("empty", ""),
    field("constructor", "3"),
    file("big", "b.bin", join([nasty, random(1_500_000), nasty])),
    field("é", "ü"),
  ]);
  const limits = {
    maxBytes: 1e8,
    maxFileBytes: 1e8,
    maxTextBytes: 1e6,
    maxParts: 100,
    maxRawBytes: 0,
  };
  const directory = Deno.makeTempDirSync({ prefix: "skitai-test-" });
  try {
    const whole = body.slice();
    for (const sizes of [[1e9], [65536], [1, 2, 3, 5, 7, 1021], [64], [4096, 1]]) {
      const form = await readMultipart(inPieces(body, sizes), CONTENT_TYPE, limits, directory);
      assert.deepEqual(Object.keys(form.values), [
        "a",
        "f",
        "__proto__",
        "empty",
        "constructor",
        "big",
        "é",
      ]);
      assert.equal(form.values["__proto__"], "2");
      assert.equal(form.values.constructor, "3");
      assert.equal(form.values.empty, "");
      assert.equal(form.values["é"], "ü");
      assert.equal(({} as Record<string, unknown>)["2"], undefined);
      const [small, big] = form.files;
      assert.deepEqual(new Uint8Array(await small!.read()), nasty);
      assert.equal((await big!.read()).byteLength, 1_500_000 + 2 * nasty.byteLength);
      assert.deepEqual(
        new Uint8Array((await big!.read()).subarray(0, nasty.byteLength)),
        nasty,
      );
      for (const one of form.files) await one.remove();
      assert.deepEqual(body, whole);
    }
    // What another implementation writes, and an epilogue.
    const data = new FormData();
    data.append("text", "line\r\nline");
    data.append("file", new File([nasty], 'ü"q.bin', { type: "image/png" }));
    const req = new Request("http://a/", { method: "POST", body: data });
    const bytes = join([await req.bytes(), new TextEncoder().encode("\r\nepilogue\r\n--x\r\n")]);
    const form = await readMultipart(
      inPieces(bytes, [100]),
      req.headers.get("content-type")!,
      limits,
      directory,
    );
    assert.equal(form.values.text, "line\r\nline");
    assert.equal(form.files[0]!.name, "ü_22q.bin");
    assert.deepEqual(new Uint8Array(await form.files[0]!.read()), nasty);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("UPL-01 what is not a form is answered 400 and says what is wrong", async () => {
  await using desk = new Desk();
  desk.app.route("/", { methods: ["POST"] }, () => "reached");
  const whole = multipart([file("f", "big.bin", random(2 * MIB)), field("a", "1")]);
  const flood = Array.from({ length: 200 }, (_, i) => `X-${i}: y`);
  const cases: [string, BodyInit, RegExp, string?][] = [
    ["truncated in a file", whole.slice(0, MIB), /ends in part 1: the last boundary is missing/],
    ["no last boundary", multipart([field("a", "1")], { isClosed: false }), /ends in part|no part/],
    ["truncated in a header", whole.slice(0, 60), /ends in part 1|no part|complete header/],
    ["wrong boundary", multipart([field("a", "1")], { boundary: "other" }), /has no part/],
    ["not multipart at all", '{"a":1}', /has no part/],
    ["no boundary", whole, /multipart\/form-data has no boundary/, "multipart/form-data"],
    ["empty boundary", whole, /has no boundary/, 'multipart/form-data; boundary=""'],
    [
      "long boundary",
      whole,
      /a boundary that cannot be one/,
      `multipart/form-data; boundary=${"x".repeat(300)}`,
    ],
    [
      "no disposition",
      multipart([{ headers: ["Content-Type: text/plain"], content: "x" }]),
      /Part 1 of the form has no Content-Disposition/,
    ],
    [
      "no name",
      multipart([field("a", "1"), { headers: ["Content-Disposition: form-data"], content: "x" }]),
      /Part 2 of the form has no name/,
    ],
    [
      "another disposition",
      multipart([{ headers: ['Content-Disposition: attachment; name="a"'], content: "x" }]),
      /no Content-Disposition: form-data/,
    ],
    ["no header at all", multipart([{ headers: [], content: "x" }]), /Content-Disposition|header/],
    [
      "many headers",
      multipart([{ headers: [...field("a", "").headers, ...flood], content: "x" }]),
      /Part 1 of the form has more than 20 headers/,
    ],
    [
      "a long header",
      multipart([{
        headers: [...field("a", "").headers, `X: ${"y".repeat(17_000)}`],
        content: "x",
      }]),
      /header of part 1 of the form is longer than 16384 bytes/,
    ],
    [
      "an endless header",
      inPieces(
        multipart([{ headers: [...field("a", "").headers, "y".repeat(500_000)], content: "x" }]),
        [16_384],
      ),
      /header of part 1 of the form is longer than 16384 bytes/,
    ],
    [
      "base64",
      multipart([{
        headers: [...field("a", "").headers, "Content-Transfer-Encoding: base64"],
        content: "eA==",
      }]),
      /Part 1 .*Content-Transfer-Encoding.*base64/,
    ],
  ];
  for (const [label, body, message, type] of cases) {
    const { status, text, headers } = await desk.send(body, type ?? CONTENT_TYPE);
    assert.equal(status, 400, `${label}: ${text}`);
    assert.match(text, message, label);
    assert.equal(headers.get("connection"), "close", label);
    assert.deepEqual(desk.names(), [], label);
  }
  // The next request is unaffected; nothing but an empty form is an empty form.
  assert.equal((await desk.send(multipart([field("a", "1")]))).text, "reached");
  assert.equal((await desk.send(multipart([]))).text, "reached");
});

Deno.test("HTTP-06 HTTP-07 UPL-01 what is too large is answered 413 while it arrives and says what", async () => {
  await using desk = new Desk();
  const { app } = desk;
  app.route("/", { methods: ["POST"] }, () => "reached");
  app.config.maxUploadFileSize = 2 * MIB;
  app.config.maxMultipartBodySize = 10 * MIB;
  app.config.maxPostBodySize = 100_000;

  /** A body that never ends, and how much of it was taken. */
  const endless = (parts: RawPart[]) => {
    const start = multipart(parts, { isClosed: false }).slice(0, -2);
    const state = { sent: 0, isCancelled: false };
    const chunk = new Uint8Array(65536);
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(state.sent === 0 ? start : chunk.slice());
        state.sent += chunk.byteLength;
      },
      cancel() {
        state.isCancelled = true;
      },
    });
    return { state, body };
  };
  const file1 = endless([field("a", "1"), file("photo", "../huge.iso", "")]);
  const tooBig = await desk.send(file1.body);
  assert.equal(tooBig.status, 413);
  assert.match(tooBig.text, /huge\.iso.*photo.*larger than 2097152 bytes/);
  assert.ok(file1.state.sent < 3 * MIB, `${file1.state.sent}`);
  assert.ok(file1.state.isCancelled);
  assert.deepEqual(desk.names(), []);

  const text = endless([field("story", "")]);
  const tooLong = await desk.send(text.body);
  assert.equal(tooLong.status, 413);
  assert.match(tooLong.text, /100000 bytes.*story/);
  assert.ok(text.state.sent < MIB);

  app.config.maxUploadFileSize = 100 * MIB;
  const whole = endless([file("photo", "huge.iso", "")]);
  const tooMuch = await desk.send(whole.body);
  assert.equal(tooMuch.status, 413);
  assert.match(tooMuch.text, /multipart body may have 10485760 bytes/);
  assert.ok(whole.state.sent < 11 * MIB);
  assert.deepEqual(desk.names(), []);

  // Exactly at the limit is fine.
  app.config.maxUploadFileSize = 2 * MIB;
  const exact = multipart([file("photo", "x", random(2 * MIB))]);
  assert.equal((await desk.send(exact)).text, "reached");
  assert.equal((await desk.send(multipart([file("photo", "x", random(2 * MIB + 1))]))).status, 413);

  const parts = Array.from({ length: 10_000 }, (_, i) => field(`f${i}`, "x"));
  const many = await desk.send(multipart(parts));
  assert.equal(many.status, 413);
  assert.match(many.text, /more than 1000 parts/);
  assert.equal((await desk.send(multipart(parts.slice(0, 1000)))).text, "reached");
  // Nested ones count too.
  const nested = await desk.send(multipart([{
    headers: [...field("f", "").headers, "Content-Type: multipart/mixed; boundary=i"],
    content: multipart(parts.map(({ content }) => ({ headers: ["X: y"], content })), {
      boundary: "i",
    }),
  }]));
  assert.equal(nested.status, 413);
  // A multipart body that is no form stays in memory, so the limit of memory counts.
  const mixed = await desk.send(
    multipart([field("a", "x".repeat(200_000))]),
    "multipart/mixed; boundary=b",
  );
  assert.equal(mixed.status, 413);
  await desk.empty();
});

Deno.test("HTTP-08 multipart bodies up to maxCacheSize also stay available raw", async () => {
  await using desk = new Desk();
  desk.app.config.maxCacheSize = 10_000;
  desk.app.route("/", { methods: ["POST"] }, (was) => {
    const again = was.request.body;
    assert.equal(was.request.getBody(), again);
    assert.equal(was.request.payload, again);
    assert.equal(
      (was.request.dict()!.f as UploadedFile).size,
      (was.request.args.f as UploadedFile).size,
    );
    return again as Uint8Array<ArrayBuffer>;
  });
  const small = multipart([file("f", "x", random(5000))]);
  const answer = await desk.app.makeClient().post("/", inPieces(small, [700]), {
    headers: { "content-type": CONTENT_TYPE },
  });
  assert.deepEqual(answer.content, small);

  let message = "";
  desk.app.route("/big", { methods: ["POST"] }, (was) => {
    try {
      was.request.body;
    } catch (error) {
      message = (error as Error).message;
    }
    return String((was.request.form()!.f as UploadedFile).size);
  });
  const large = multipart([file("f", "x", random(20_000))]);
  const other = await desk.app.makeClient().post("/big", large, {
    headers: { "content-type": CONTENT_TYPE },
  });
  assert.equal(other.text, "20000");
  assert.match(message, /multipart body of \d+ bytes is not kept, config\.maxCacheSize is 10000/);
});

Deno.test("UPL-01 temporary files are gone after success, errors, hooks that throw, and streams", async () => {
  await using desk = new Desk();
  const { app } = desk;
  app.config.maxUploadFileSize = 5 * MIB;
  const body = () => multipart([file("f", "x", random(2 * MIB))]);
  const send = (path: string) =>
    app.makeClient().post(path, body(), { headers: { "content-type": CONTENT_TYPE } });
  app.route("/throws", { methods: ["POST"] }, () => {
    assert.equal(desk.names().length, 1);
    throw new Error("on purpose");
  });
  app.route("/http", { methods: ["POST"] }, (was) => was.response.throw("409 Conflict"));
  app.route("/bad", { methods: ["POST"], args: { g: FILE } }, () => "never");
  app.route("/own", { methods: ["POST"] }, (_was, args) => {
    // The app may move the file itself.
    Deno.renameSync((args.f as UploadedFile).path, `${desk.directory}/mine`);
    return "moved";
  });
  app.route("/stream", { methods: ["POST"] }, async function (_was, args) {
    const source = await (args.f as UploadedFile).stream();
    return source;
  });
  assert.equal((await send("/throws")).statusCode, 500);
  await desk.empty();
  assert.equal((await send("/http")).statusCode, 409);
  await desk.empty();
  assert.equal((await send("/bad")).statusCode, 400);
  await desk.empty();
  assert.equal((await send("/own")).text, "moved");
  assert.deepEqual(desk.names(), ["mine"]);
  await Deno.remove(`${desk.directory}/mine`);
  assert.equal((await send("/stream")).content.byteLength, 2 * MIB);
  await desk.empty();
  app.beforeRequest(() => {
    throw new Error("a hook");
  });
  assert.equal((await send("/own")).statusCode, 500);
  await desk.empty();
});

Deno.test("UPL-01 a directory that cannot be written fails the request, not the server", async () => {
  await using desk = new Desk();
  desk.app.config.uploadDir = `${desk.directory}/missing`;
  desk.app.route("/", { methods: ["POST"] }, () => "reached");
  const { status, text } = await desk.send(multipart([file("f", "x", random(2 * MIB))]));
  assert.equal(status, 500);
  assert.doesNotMatch(text, /missing/);
  assert.equal((await desk.send(multipart([file("f", "x", "small")]))).text, "reached");
});

Deno.test("UPL-01 a body that breaks off is the client's error", async () => {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(multipart([file("f", "x", random(2 * MIB))], { isClosed: false }));
    },
    pull(controller) {
      controller.error(new TypeError("connection reset"));
    },
  });
  await using desk = new Desk();
  await assert.rejects(
    readMultipart(body, CONTENT_TYPE, UNLIMITED, desk.directory),
    (error) =>
      error instanceof HttpError && error.status === 400 && /ended early/.test(error.detail),
  );
  assert.deepEqual(desk.names(), []);
});

Deno.test("UPL-01 what the splitter still holds when a body breaks off makes no new file", async () => {
  await using desk = new Desk();
  const nested: RawPart = {
    headers: [
      'Content-Disposition: form-data; name="f"',
      "Content-Type: multipart/mixed; boundary=inner",
    ],
    content: multipart([file("f", "x", random(3 * MIB))], { boundary: "inner", isClosed: false }),
  };
  for (const part of [file("f", "x", random(3 * MIB)), nested]) {
    const whole = multipart([part], { isClosed: false });
    const broken = Array.from({ length: 30 }, (_, i) => {
      const pieces = inPieces(whole.subarray(0, 2 * MIB + i * 20_000), [65_536]).getReader();
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const { done, value } = await pieces.read();
          if (done) controller.error(new TypeError("connection reset"));
          else controller.enqueue(value);
        },
      });
      return assert.rejects(
        readMultipart(body, CONTENT_TYPE, UNLIMITED, desk.directory),
        HttpError,
      );
    });
    await Promise.all(broken);
    // Whatever was going to be written is written within this time.
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(desk.names(), []);
  }
});

Deno.test("UPL-01 under bare Deno.serve a stream may read the upload until it was sent", async () => {
  await using desk = new Desk();
  desk.app.route("/", { methods: ["POST"], args: { f: FILE } }, (_was, { f }) => {
    const { path } = f;
    return (async function* () {
      yield "first ";
      const { size } = await Deno.stat(path);
      yield `${size}`;
    })();
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, desk.app.fetch);
  try {
    const response = await fetch(`http://127.0.0.1:${server.addr.port}/`, {
      method: "POST",
      body: multipart([file("f", "x", random(3 * MIB))]),
      headers: { "content-type": CONTENT_TYPE },
    });
    assert.equal(await response.text(), `first ${3 * MIB}`);
    await desk.empty();
  } finally {
    await server.shutdown();
  }
  // And with the client for tests.
  const { text } = await desk.send(multipart([file("f", "x", random(2 * MIB))]));
  assert.equal(text, `first ${2 * MIB}`);
  await desk.empty();
});

Deno.test("UPL-01 ATL-25 a route that streams reads its form after its checks", async () => {
  await using desk = new Desk();
  const { app } = desk;
  const guard = app.runBefore((was) =>
    was.request.getHeader("x-key") === "good" ? null : was.response("403 Forbidden")
  );
  app.route("/", { methods: ["POST"], stream: true, use: [guard] }, async (was) => {
    const form = await was.readForm();
    assert.equal(await was.readForm(), form);
    const { size, path } = form.f as UploadedFile;
    return `${size} ${(await Deno.stat(path)).size} ${form.a}`;
  });
  app.route("/fails", { methods: ["POST"], stream: true }, async (was) => {
    await was.readForm();
    throw new Error("on purpose");
  });
  const client = app.makeClient();
  const body = () => multipart([field("a", "1"), file("f", "x", random(2 * MIB))]);
  const headers = { "content-type": CONTENT_TYPE };
  let taken = 0;
  const watched = new ReadableStream({
    pull(controller) {
      taken++;
      controller.enqueue(body());
    },
  }, { highWaterMark: 0 });
  assert.equal((await client.post("/", watched, { headers })).statusCode, 403);
  assert.equal(taken, 0);
  const good = await client.post("/", body(), { headers: { ...headers, "x-key": "good" } });
  assert.equal(good.text, `${2 * MIB} ${2 * MIB} 1`);
  await desk.empty();
  assert.equal((await client.post("/fails", body(), { headers })).statusCode, 500);
  await desk.empty();
  const json = await client.post("/", { a: 1 }, { headers: { "x-key": "good" } });
  assert.equal(json.statusCode, 415);
  const broken = multipart([field("a", "1")], { boundary: "other" });
  const bad = await client.post("/", broken, { headers: { ...headers, "x-key": "good" } });
  assert.equal(bad.statusCode, 400);
});
