import assert from "node:assert/strict";
import { createContext } from "../../src/core/context.ts";
import { alias, aliases } from "../../src/was/aliases.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";

const was = new Was(createContext({ url: "http://a.test/x" }));

/** A backend that tells what it was asked, in the type and size `?type=` and `?size=` say. */
function echo() {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (req) => {
    const { searchParams } = new URL(req.url);
    const size = Number(searchParams.get("size") ?? 0);
    const told = JSON.stringify({
      method: req.method,
      type: req.headers.get("content-type"),
      accept: req.headers.get("accept"),
      body: await req.text(),
    });
    return new Response(size > 0 ? "x".repeat(size) : told, {
      status: Number(searchParams.get("status") ?? 200),
      headers: { "content-type": searchParams.get("type") ?? "application/json" },
    });
  });
  const logs = recordLogs();
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    async [Symbol.asyncDispose]() {
      logs[Symbol.dispose]();
      await wac.backends[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

Deno.test("WAS-09 the older names of requests say what is sent and accepted", async () => {
  await using backend = echo();
  const form = "application/x-www-form-urlencoded";
  const table = [
    ["getjson", "GET", null, "application/json"],
    ["getxml", "GET", null, "text/xml, application/xml"],
    ["deletejson", "DELETE", null, "application/json"],
    ["optionsjson", "OPTIONS", null, "application/json"],
    ["postjson", "POST", "application/json", "application/json"],
    ["putjson", "PUT", "application/json", "application/json"],
    ["patchjson", "PATCH", "application/json", "application/json"],
    ["postform", "POST", form, "*/*"],
    ["putform", "PUT", form, "*/*"],
    ["patchform", "PATCH", form, "*/*"],
  ] as const;
  for (const [name, method, type, accept] of table) {
    const { data } = await was[name]<Record<string, string | null>>(
      name === "getxml" ? `${backend.url}?type=text/xml` : backend.url,
      { a: "1 2" },
    );
    const told = typeof data === "string" ? JSON.parse(data) : data;
    assert.deepEqual([told.method, told.type, told.accept], [method, type, accept], name);
    if (type === form) assert.equal(told.body, "a=1+2");
    if (type === "application/json") assert.equal(told.body, '{"a":"1 2"}');
  }
  for (const name of ["postxml", "putxml", "patchxml", "deletexml"] as const) {
    const answer = name === "putxml" ? "application/xml" : "text/xml";
    const { text } = await was[name](`${backend.url}?type=${answer}`, "<a/>");
    const told = JSON.parse(text);
    assert.equal(told.accept, "text/xml, application/xml", name);
    if (name !== "deletexml") assert.deepEqual([told.type, told.body], ["text/xml", "<a/>"]);
  }
  const own = await was.getjson<{ accept: string }>(backend.url, undefined, {
    headers: { Accept: "application/*" },
  });
  assert.equal(own.data.accept, "application/*");
});

Deno.test("WAS-10 an answer of a type that was not accepted is 718, one that is too long 719", async () => {
  await using backend = echo();
  const get = (query: string, headers: Record<string, string>) =>
    was.get(`${backend.url}?${query}`, undefined, { headers });
  const bad = await get("type=text/html", { Accept: "application/json" });
  assert.deepEqual([bad.status, bad.statusCode, bad.reason], [2, 718, "Content Type Not Accepted"]);
  assert.match(bad.error!.message, /is of type text\/html, accepted was application\/json/);
  const fine: [string, string][] = [
    ["type=text/html", "text/*"],
    ["type=text/html;charset=utf-8", "application/json, TEXT/HTML;q=0.5"],
    ["type=text/html", "*/*"],
    ["type=application/problem%2Bjson", "application/json"],
    ["type=text/html&status=404", "application/json"],
  ];
  for (const [query, accept] of fine) {
    assert.equal((await get(query, { Accept: accept })).status, 3, `${query} ${accept}`);
  }
  assert.equal((await get("type=text/html", { Accept: "text/html;q=0, a/b" })).statusCode, 718);
  assert.equal(
    (await was.get(`${backend.url}?type=text/html`)).status,
    3,
    "only what is asked for",
  );
  const long = await get("size=1001&type=text/plain", { "Accept-Content-Length": "1000" });
  assert.deepEqual([long.status, long.statusCode], [2, 719]);
  const short = await get("size=1000&type=text/plain", { "Accept-Content-Length": "1000" });
  assert.equal(short.text.length, 1000);
  assert.equal((await get("", { "Accept-Content-Length": "many" })).status, -1);
});

Deno.test("RES-19 tasks are waited for together, with common options, as a list", async () => {
  await using backend = echo();
  alias("@tasks", "http", backend.url.slice(7, -1));
  try {
    const tasks = was.Tasks([
      was.get(backend.url),
      was.get(`${backend.url}?status=500`),
      was.get.map("@tasks/"),
    ], 20);
    assert.equal(tasks.length, 3);
    assert.equal(tasks[1], tasks.at(-2));
    assert.equal([...tasks][2], tasks[2]);
    const [one, two, three] = await tasks;
    assert.deepEqual([one!.statusCode, two!.statusCode, three!.statusCode], [200, 500, [200]]);
    await assert.rejects(tasks.wait(), /answered 500/);
    await tasks.wait(20, false);
    await assert.rejects(tasks.fetch(), { status: 502 });
    const good = was.Tasks([was.get(backend.url), was.get(backend.url)], 10, { cache: 60 });
    assert.equal((await good.fetch()).length, 2);
    await good.dispatch();
    assert.equal((await was.get(backend.url)).cached, true);
    assert.equal((await was.Tasks([was.get(backend.url)]).one() as unknown[]).length, 1);
    const late = was.Tasks([was.get("http://127.0.0.1:1/"), was.get(backend.url, { late: 1 })]);
    assert.deepEqual((await late.dispatch(20)).map(({ status }) => status), [2, 3]);
    assert.throws(() => was.Tasks([1 as never]), /task 0: it is no future/);
  } finally {
    aliases.delete("@tasks");
    (await import("../../src/was/kept_outcome.ts")).resultCache.clear();
  }
});

Deno.test("UTL-01 the status is a page with tables, or an object, of the sections asked for", () => {
  alias("@status", "http", ["user:secret@10.0.0.1:80 3", "<b>.test"]);
  try {
    const page = was.status();
    for (const name of ["server", "workers", "clusters", "caches", "sockets", "environment"]) {
      assert.ok(page.includes(`<h2>${name}</h2>`), name);
    }
    assert.ok(page.includes("10.0.0.1:80") && page.includes(Deno.version.deno));
    assert.ok(!page.includes("secret") && !page.includes("<b>"));
    const facts = was.status("clusters, sockets", false) as {
      clusters: { name: string; node: string; weight: number; state: string }[];
      sockets: { open: number };
    };
    assert.deepEqual(Object.keys(facts), ["clusters", "sockets"]);
    const [first] = facts.clusters.filter(({ name }) => name === "@status");
    assert.deepEqual([first!.node, first!.weight, first!.state], ["10.0.0.1:80", 3, "active"]);
    assert.ok(was.status("sockets").includes("<th>open</th>"));
    assert.throws(() => was.status("secrets"), /there are server, workers, clusters/);
  } finally {
    aliases.delete("@status");
  }
});

Deno.test("UTL-02 temporary names are unique, in a directory of our own, and nothing is there yet", async () => {
  const directory = await Deno.makeTempDir();
  wac.temporaryDirectory = `${directory}/tmp`;
  try {
    const names = new Set(Array.from({ length: 100 }, () => was.gentemp()));
    assert.equal(names.size, 100);
    for (const name of names) assert.ok(name.startsWith(`${directory}/tmp/`));
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${directory}/tmp`)), []);
    await Deno.writeTextFile(was.gentemp(), "usable");
  } finally {
    wac.temporaryDirectory = undefined;
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("UTL-03 restart and shutdown need an engine", () => {
  assert.throws(() => was.restart(), /Cannot restart: no engine runs here/);
  assert.throws(() => was.shutdown(5), /Cannot shutdown: no engine runs here/);
  assert.throws(() => was.shutdown(-1), RangeError);
});

Deno.test("UTL-04 UTL-05 values as JSON and XML-RPC and back", () => {
  const date = new Date("2026-01-31T12:30:45.678Z");
  assert.equal(
    was.tojson({ date, big: 12n, u: undefined }),
    `{"date":"${date.toISOString()}","big":"12"}`,
  );
  assert.deepEqual(was.fromjson('{"a":[1,null]}'), { a: [1, null] });
  assert.throws(() => was.fromjson("{"), SyntaxError);
  const value = {
    text: "a <b> & ü 😀",
    list: [1, -2.5, true, null, ""],
    bytes: new Uint8Array([0, 255]),
    "__proto__ ": { deep: [[], {}] },
  };
  assert.deepEqual(was.fromxml(was.toxml(value)), value);
  assert.equal(was.fromxml(was.toxml(date)), date.toISOString());
  assert.ok(was.toxml(date, true).includes("<dateTime.iso8601>20260131T12:30:45<"));
  assert.deepEqual(was.fromxml(was.toxml(date, true), true), new Date("2026-01-31T12:30:45Z"));
  assert.equal(was.fromxml(was.toxml(date, true)), "20260131T12:30:45");
  for (
    const bad of [
      "",
      "<value><int>x</int></value>",
      "<value><int>1</value></int>",
      "<value>1",
      '<!DOCTYPE a [<!ENTITY x "y">]><value>&x;</value>',
      "<value>1</value><value>2</value>",
      `${"<value><array><data>".repeat(200)}`,
    ]
  ) assert.throws(() => was.fromxml(bad), SyntaxError, bad);
});

Deno.test("UTL-05 Python's XML-RPC is understood, and understands us", async () => {
  const script = `
import sys, xmlrpc.client as x, datetime
v = {"n": 1, "f": 2.5, "s": "ä<&>", "l": [True, None, b"\\x00\\xff"], "d": x.DateTime(datetime.datetime(2026, 1, 31, 12, 30, 45))}
print(x.dumps((v,), methodresponse=True, allow_none=True))
print("=====")
print(x.dumps((1, "two"), "add"))
print("=====")
print(x.dumps(x.Fault(4, "too much")))
print("=====")
(value,), name = x.loads(sys.stdin.read(), use_builtin_types=True)
print(repr(value))
`;
  const sent = was.toxml({ a: [1, 2.5, "ü&"], b: new Uint8Array([1]), d: new Date(0) }, true);
  const child = new Deno.Command("python3", {
    args: ["-c", script],
    stdin: "piped",
    stdout: "piped",
    env: { PYTHONIOENCODING: "utf-8" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(sent));
  await writer.close();
  const { stdout, success } = await child.output();
  assert.ok(success);
  const [answer, call, fault, back] = new TextDecoder().decode(stdout).split("=====\n");
  assert.deepEqual(was.fromxml(answer!, true), {
    n: 1,
    f: 2.5,
    s: "ä<&>",
    l: [true, null, new Uint8Array([0, 255])],
    d: new Date("2026-01-31T12:30:45Z"),
  });
  assert.deepEqual(was.fromxml(call!), [1, "two"]);
  assert.deepEqual(was.fromxml(fault!), { faultCode: 4, faultString: "too much" });
  assert.match(
    back!,
    /\{'a': \[1, 2\.5, 'ü&'\], 'b': b'\\x01', 'd': datetime\.datetime\(1970, 1, 1/,
  );
});

Deno.test("UTL-06 messages of protocol buffers, of libraries that go about it differently", () => {
  class Static {
    n = 0;
    static encode(message: Static) {
      return { finish: () => new Uint8Array([8, message.n]) };
    }
    static decode(bytes: Uint8Array): Static {
      return Object.assign(new Static(), { n: bytes[1] });
    }
  }
  const message = Object.assign(new Static(), { n: 5 });
  assert.deepEqual(was.togrpc(message), new Uint8Array([8, 5]));
  assert.equal(was.fromgrpc(Static, new Uint8Array([8, 7])).n, 7);
  assert.deepEqual(was.togrpc({ n: 6 }, Static as never), new Uint8Array([8, 6]));
  const google = { serializeBinary: () => new Uint8Array([1]) };
  assert.deepEqual(was.togrpc(google), new Uint8Array([1]));
  assert.equal(
    was.fromgrpc({ deserializeBinary: (bytes: Uint8Array) => bytes.length }, new Uint8Array(3)),
    3,
  );
  assert.throws(() => was.togrpc({ n: 1 }), /no known kind/);
  assert.throws(() => was.fromgrpc({}, new Uint8Array()), /no known kind/);
});

Deno.test("UTL-07 UTL-08 the time in milliseconds, and identifiers that begin with it", () => {
  const before = Date.now();
  const { timestamp, uniqid } = was;
  assert.ok(Number.isInteger(timestamp) && timestamp >= before && timestamp <= Date.now());
  assert.match(uniqid, /^\d{13}[0-9a-z]{7}$/);
  assert.ok(Number(uniqid.slice(0, 13)) >= before);
  assert.equal(new Set(Array.from({ length: 1000 }, () => was.uniqid)).size, 1000);
});

Deno.test("UTL-10 an error as text, HTML or a list, with its causes", () => {
  const cause = new TypeError("<script>");
  const error = new Error("outer", { cause });
  const text = was.renderEi(error);
  assert.match(text, /^Error: outer\n {2}at .*\n[\s\S]*Caused by: TypeError: <script>\n {2}at /);
  const html = was.renderEi(error, 1);
  assert.ok(html.includes("&lt;script&gt;") && !html.includes("<script>"));
  const list = was.renderEi(error, 2);
  assert.deepEqual([list[0], list.includes("Caused by: TypeError: <script>")], [
    "Error: outer",
    true,
  ]);
  assert.equal(was.renderEi("thrown text", 2).length > 0, true);
  for (const cause of ["text", 0, null, { code: 1 }]) {
    const lines = was.renderEi(new Error("outer", { cause }), 2);
    const last = lines.findLast((line) => !line.startsWith("  at "));
    assert.match(last!, /^Caused by: Error: A value that is not an error was thrown: /);
    assert.equal(lines.filter((line) => line.startsWith("Caused by: ")).length, 1, "and no more");
  }
  error.cause = error;
  assert.equal(was.renderEi(error, 2).filter((line) => line.includes("Error: outer")).length, 1);
});

Deno.test("UTL-16 what was cloned stays bound to its request after that is over", async () => {
  await using backend = echo();
  const ctx = createContext({ url: "http://a.test/x", gtxnid: "mine" });
  const kept = new Was(ctx).clone();
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(kept.ctx, ctx);
  assert.equal(kept.txnid(), new Was(ctx).txnid());
  assert.equal((await kept.get(backend.url)).statusCode, 200);
});
