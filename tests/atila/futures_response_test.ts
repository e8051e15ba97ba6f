import assert from "node:assert/strict";
import { Atila, type ResponsePromise } from "../../src/atila/mod.ts";
import { tracebackOf } from "../../src/core/error_page.ts";
import { aliases } from "../../src/was/aliases.ts";
import type { Result } from "../../src/was/result.ts";
import { wac } from "../../src/was/wac.ts";
import { eventually } from "../_support/fronts.ts";
import { recordLogs } from "../_support/log_recorder.ts";

/** A backend that answers each path when the test says so. */
class Backend implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #gates = new Map<string, PromiseWithResolvers<void>>();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (req) => {
      const { pathname } = new URL(req.url);
      this.asked.push(pathname);
      if (pathname.startsWith("/gate")) await this.#gate(pathname).promise;
      if (pathname === "/404") return new Response("nothing", { status: 404 });
      return Response.json({ path: pathname, sent: await req.text() });
    },
  );

  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  open(path: string): void {
    this.#gate(path).resolve();
  }

  #gate(path: string): PromiseWithResolvers<void> {
    const known = this.#gates.get(path) ?? Promise.withResolvers<void>();
    this.#gates.set(path, known);
    return known;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await wac.backends[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }
}

interface Path {
  path: string;
}

/** Everything that was logged, errors with their causes. */
function recordTraces(): { text: string } & Disposable {
  const before = wac.logger;
  const logs = { text: "", [Symbol.dispose]: () => void (wac.logger = before) };
  const get = () => ({
    log: (line: string) => void (logs.text += `${line}\n`),
    trace: (error: unknown) => void (logs.text += `${tracebackOf(error)}\n`),
  });
  wac.logger = { get, makeLogger: get, rotate: () => {} };
  return logs;
}

/** Reads a body piece by piece. */
class Pieces {
  text = "";
  isOver = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(response: Response) {
    this.#reader = response.body!.getReader();
  }

  async next(): Promise<string> {
    const { done, value } = await this.#reader.read();
    this.isOver = done;
    const piece = value === undefined ? "" : new TextDecoder().decode(value);
    this.text += piece;
    return piece;
  }

  async rest(): Promise<string> {
    while (!this.isOver) await this.next();
    return this.text;
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

Deno.test("FUT-01 WAS-25 one function gets all answers, in order and typed", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  app.route("/sync", (was) =>
    was.futures([
      was.get<Path>(`${backend.origin}/gate/a`),
      was.post<Path>(`${backend.origin}/gate/b`, { x: 1 }),
      was.sqlite3<{ n: number }[]>(":memory:").execute("select 7 as n"),
      Promise.resolve("plain"),
    ]).then(([a, b, rows, plain]) => {
      a satisfies Result<Path>;
      return was.response(
        "201 Created",
        `${a.data.path} ${b.data.path} ${rows.data[0]!.n} ${plain}`,
        {
          "x-made": "late",
        },
      );
    }));
  app.route("/async", async (was) => {
    await Promise.resolve();
    return was.futures([was.get<Path>(`${backend.origin}/c`)]).then(([c]) =>
      was.response.API({ path: c.data.path })
    );
  });
  app.route("/awaited", async (was) => {
    const [a, b] = await was.futures([
      was.get<Path>(`${backend.origin}/a`),
      was.get<Path>(`${backend.origin}/404`),
    ]);
    return `${a.data.path} ${b.statusCode}`;
  });
  const client = app.makeClient();
  const answer = client.get("/sync");
  // Both are asked before either answers, and the second answer comes first.
  await eventually(() => backend.asked.length === 2, "both to be asked");
  backend.open("/gate/b");
  backend.open("/gate/a");
  const { statusCode, text, headers } = await answer;
  assert.deepEqual([statusCode, text], [201, "/gate/a /gate/b 7 plain"]);
  assert.equal(headers.get("x-made"), "late");
  assert.equal((await client.get("/async")).data.path, "/c");
  assert.equal((await client.get("/awaited")).text, "/a 404");
});

Deno.test("FUT-01 the timeout counts for every request, bad lists and options are refused", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  app.route("/late", async (was) => {
    const never = was.get(`${backend.origin}/gate/never`);
    const soon = was.get(`${backend.origin}/now`);
    await soon;
    return was.futures([never, soon], { timeout: 0.1 })
      .then(([late, now]) => `${late.status} ${late.statusCode} ${now.statusCode}`);
  });
  app.route("/<kind>", (was, { kind }) => {
    const bad: Record<string, () => unknown> = {
      list: () => was.futures("x" as never),
      item: () => was.futures([was.get(backend.origin), 5 as never]),
      option: () => was.futures([], { timeOut: 3 } as never),
      timeout: () => was.futures([was.get(backend.origin)], { timeout: -1 }),
    };
    try {
      bad[kind]!();
      return "accepted";
    } catch (error) {
      return (error as Error).message;
    }
  });
  const client = app.makeClient();
  assert.equal((await client.get("/late")).text, "1 730 200");
  assert.match((await client.get("/list")).text, /takes a list of requests/);
  assert.match((await client.get("/item")).text, /item 1 is 5/);
  assert.match(
    (await client.get("/option")).text,
    /unknown option "timeOut"; known are timeout, cache/,
  );
  assert.match((await client.get("/timeout")).text, /-1 seconds/);
  backend.open("/gate/never");
});

Deno.test("FUT-01 results are kept as the options say", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  app.route(
    "/",
    (was) =>
      was.futures([was.get<Path>(`${backend.origin}/kept`)], { cache: 60, cacheIf: [200] })
        .then(([a]) => a.data.path),
  );
  app.route("/not", (was) =>
    was.futures([was.get(`${backend.origin}/404`)], { cache: 60 })
      .then(([a]) => String(a.statusCode)));
  const client = app.makeClient();
  for (let i = 0; i < 3; i++) {
    assert.equal((await client.get("/")).text, "/kept");
    assert.equal((await client.get("/not")).text, "404");
  }
  assert.deepEqual(backend.asked, ["/kept", "/404", "/404", "/404"]);
});

Deno.test("FUT-02 HTTP errors of the function are the response, others are logged and answered 502", async () => {
  using logs = recordTraces();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  const futures = (was: { get: (url: string) => PromiseLike<Result> }) => [
    was.get(`${backend.origin}/404`),
  ];
  app.route(
    "/http",
    (was) =>
      was.futures(futures(was)).then(([a]) => was.response.throw(a!.statusCode, "no such thing")),
  );
  app.route("/broken", (was) =>
    was.futures(futures(was)).then(() => {
      throw new RangeError("the function broke");
    }));
  app.route("/reraise", (was) => was.futures(futures(was)).then(([a]) => a!.reraise().text));
  app.route(
    "/rejected",
    (was) => was.futures([Promise.reject(new Error("a promise broke"))]).then(() => "never"),
  );
  app.route("/none", (was) => was.futures(futures(was)));
  app.route("/none/async", async (was) => {
    await Promise.resolve();
    was.response.setHeader("x-a", "1");
    return was.futures(futures(was));
  });
  const client = app.makeClient();
  const http = await client.get("/http");
  assert.equal(http.statusCode, 404);
  assert.match(http.text, /no such thing/);
  const broken = await client.get("/broken");
  assert.equal(broken.statusCode, 502);
  assert.doesNotMatch(broken.text, /the function broke/);
  assert.ok(logs.text.includes("the function broke"), logs.text);
  app.debug = true;
  assert.match((await client.get("/broken")).text, /RangeError: the function broke/);
  assert.equal((await client.get("/reraise")).statusCode, 502);
  assert.equal((await client.get("/rejected")).statusCode, 502);
  assert.ok(logs.text.includes("a promise broke"));

  for (const path of ["/none", "/none/async"]) {
    const none = await client.get(path);
    assert.deepEqual([none.statusCode, none.text], [205, ""]);
    if (path === "/none/async") assert.equal(none.headers.get("x-a"), "1");
  }
});

Deno.test("FUT-03 FUT-04 FUT-05 FUT-07 FUT-10 named answers make a page part by part", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const directory = await Deno.makeTempDir({ prefix: "skitai-test-" });
  aliases.define("@promised", "sqlite3", `${directory}/db`);
  try {
    const app = new Atila(import.meta.url);
    app.route("/", (was) => {
      const promise = was.promise((promise, response) => {
        const list = promise.get("seen") as string[];
        list.push(response.id);
        const data = response.data as Path | { n: number }[];
        promise.send(`[${response.id}=${Array.isArray(data) ? data[0]!.n : data.path}]`);
        if (promise.fulfilled()) promise.settle(`(${list.length})`);
      }, { seen: [], prolog: "<begin>", epilog: "<end>" });
      promise.get("A", `${backend.origin}/gate/a`);
      promise.post("B", `${backend.origin}/gate/b`, { x: 1 });
      promise.backend("q", "@promised").execute!("select 3 as n");
      promise.add("S", was.sqlite3(":memory:").execute("select 4 as n"));
      return was.response("200 OK", promise, { "x-head": "sent" });
    });
    const response = await app.makeClient().fetch("GET", "/");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-head"), "sent");
    assert.match(response.headers.get("content-type")!, /^text\/html/);
    const pieces = new Pieces(response);
    assert.equal(await pieces.next(), "<begin>");
    // The databases answer; the others wait at their gates.
    assert.deepEqual([await pieces.next(), await pieces.next()].sort(), ["[S=4]", "[q=3]"]);
    backend.open("/gate/b");
    assert.equal(await pieces.next(), "[B=/gate/b]");
    backend.open("/gate/a");
    assert.equal(await pieces.next(), "[A=/gate/a]");
    assert.match(await pieces.rest(), /\[A=\/gate\/a\]\(4\)<end>$/);
  } finally {
    await wac.backends[Symbol.asyncDispose]();
    aliases.delete("@promised");
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("FUT-05 FUT-08 templates get the data, answers under their ids", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const directory = await Deno.makeTempDir({ prefix: "skitai-test-" });
  try {
    await Deno.mkdir(`${directory}/templates`);
    await Deno.writeTextFile(
      `${directory}/templates/page.html`,
      "{{ title }} {{ C.data.path }} {{ extra }} {{ was.request.path }}",
    );
    const app = new Atila(`${directory}/app.ts`);
    app.route("/<own>", (was, { own }) => {
      const promise = was.promise(async (promise) => {
        promise.set("extra", "set late");
        promise.settle(
          await promise.render("page.html", own === "own" ? { title: "own" } : undefined),
        );
      }, { title: "from data" });
      promise.get("C", `${backend.origin}/c`);
      return promise;
    });
    const client = app.makeClient();
    assert.equal((await client.get("/data")).text, "from data /c set late /data");
    assert.equal((await client.get("/own")).text, "own   /own");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("FUT-05 FUT-06 a promise of something else than a result ends the page, and is in the log", async () => {
  using logs = recordTraces();
  const app = new Atila(import.meta.url);
  let calls = 0;
  app.route("/<what>", (was, { what }) => {
    const promise = was.promise(() => void calls++, { epilog: "<end>" });
    promise.add("first", Promise.resolve(what === "number" ? 5 : Object.freeze({ text: "fixed" })));
    promise.add("second", Promise.resolve({}));
    return promise;
  });
  const client = app.makeClient();
  for (const what of ["number", "frozen"]) {
    assert.match((await client.get(`/${what}`)).text, /Something went wrong here.*<end>$/);
  }
  assert.equal(calls, 0, "what comes after the end is ignored");
  assert.match(logs.text, /Request "first" of a promise gave 5 instead of a result/);
});

Deno.test("FUT-05 FUT-11 a promise that breaks before the page is sent ends the page, not the process", async () => {
  using logs = recordTraces();
  const app = new Atila(import.meta.url);
  app.route("/", async (was) => {
    const promise = was.promise(() => {});
    promise.add("broken", Promise.reject(new Error("broke early")));
    // Rejections that nobody listens to are told between two turns of the loop.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return promise;
  });
  assert.match((await app.makeClient().get("/")).text, /Something went wrong here/);
  assert.match(logs.text, /broke early/);
});

Deno.test("FUT-06 FUT-07 a promise knows its state, and later answers of a rejected one are ignored", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  const states: boolean[][] = [];
  const note = (promise: ResponsePromise) =>
    states.push([
      promise.pending(),
      promise.fulfilled(),
      promise.settled(),
      promise.rejected(),
    ]);
  let calls = 0;
  let last: ResponsePromise;
  app.route("/<how>", (was, { how }) => {
    const promise = last = was.promise((promise) => {
      calls++;
      note(promise);
      if (how === "reject") promise.reject("sorry");
      else if (promise.fulfilled()) promise.settle("good");
      note(promise);
      // After the end nothing is sent any more.
      if (!promise.pending()) {
        promise.push("too late");
        promise.settle("again");
        promise.reject("again");
      }
    });
    promise.get("a", `${backend.origin}/a`);
    promise.get("b", `${backend.origin}/b`);
    note(promise);
    return promise;
  });
  const client = app.makeClient();
  assert.equal((await client.get("/settle")).text, "good");
  assert.deepEqual(states.splice(0), [
    [true, false, false, false],
    [true, false, false, false],
    [true, false, false, false],
    [true, true, false, false],
    [false, true, true, false],
  ]);
  calls = 0;
  assert.equal((await client.get("/reject")).text, "sorry");
  await eventually(() => backend.asked.length === 4, "all to be asked");
  assert.equal(calls, 1);
  assert.deepEqual(states.at(-1), [false, false, false, true]);
  assert.ok(last!.rejected());

  // A client that leaves rejects it: nothing is called any more.
  calls = 0;
  app.route("/left/now", (was) => {
    const promise = last = was.promise(() => void calls++, { prolog: "first" });
    promise.get("g", `${backend.origin}/gate/g`);
    return promise;
  });
  const pieces = new Pieces(await client.fetch("GET", "/left/now"));
  assert.equal(await pieces.next(), "first");
  await pieces.leave();
  assert.ok(last!.rejected());
  backend.open("/gate/g");
  await wac.backends[Symbol.asyncDispose]();
  assert.equal(calls, 0);
});

Deno.test("FUT-09 in the callback the response is on its way: reading works, changing does not", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  const tries: string[] = [];
  const attempt = (action: () => unknown) => {
    try {
      action();
      tries.push("allowed");
    } catch (error) {
      tries.push((error as Error).message);
    }
  };
  app.route("/", (was) => {
    const promise = was.promise((promise) => {
      attempt(() => promise.get("late", `${backend.origin}/late`));
      attempt(() => promise.backend("late", "@db"));
      attempt(() => was.response.setHeader("x", "y"));
      attempt(() => was.response.setStatus("404 Not Found"));
      promise.settle(`${was.request.path} ${was.response.getStatus()}`);
    });
    promise.get("a", `${backend.origin}/a`);
    return was.response("203 Hm", promise);
  });
  const answer = await app.makeClient().get("/");
  assert.deepEqual([answer.statusCode, answer.text], [203, "/ 203 Hm"]);
  assert.equal(tries.length, 4);
  for (const line of tries.slice(0, 2)) assert.match(line, /the response is being sent/);
  for (const line of tries.slice(2)) assert.match(line, /Response already sent/);
  assert.deepEqual(backend.asked, ["/a"]);
});

Deno.test("FUT-11 FUT-07 an error in the callback is logged and ends the page with an error block", async () => {
  using logs = recordTraces();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  app.route("/<kind>", (was, { kind }) => {
    const promise = was.promise((promise) => {
      if (kind === "forgets") return;
      promise.send("part ");
      throw new Error("<in the callback>");
    }, { epilog: "<end>" });
    if (kind !== "empty") promise.get("a", `${backend.origin}/a`);
    if (kind === "text") was.response.setHeader("content-type", "text/plain");
    return promise;
  });
  const client = app.makeClient();
  const { text } = await client.get("/throws");
  assert.match(text, /^part <div class="error">[^]*<\/div><end>$/);
  assert.doesNotMatch(text, /in the callback/);
  assert.ok(logs.text.includes("<in the callback>"));
  assert.equal((await client.get("/text")).text, "part Internal error<end>");
  app.debug = true;
  assert.match((await client.get("/throws")).text, /&lt;in the callback&gt;/);
  app.debug = false;
  // One that is never ended, or has nothing to wait for, does not hang.
  for (const path of ["/forgets", "/empty"]) {
    assert.match((await client.get(path)).text, /^<div class="error">[^]*<end>$/);
  }
  assert.ok(logs.text.includes("neither settled nor rejected"));
});

Deno.test("FUT-04 FUT-12 FUT-13 ids are identifiers and taken once, no requests to all, meta is an option", async () => {
  using _logs = recordLogs();
  await using backend = new Backend();
  const app = new Atila(import.meta.url);
  const tries: string[] = [];
  const attempt = (action: () => unknown) => {
    try {
      action();
      tries.push("allowed");
    } catch (error) {
      tries.push((error as Error).message);
    }
  };
  app.route("/", (was) => {
    const url = `${backend.origin}/a`;
    const promise = was.promise((promise, response) =>
      promise.settle(`${response.id} ${response.meta.created}`)
    );
    for (const id of ["1a", "a b", "", "a-b", "a.b"]) attempt(() => promise.get(id, url));
    promise.get("good", url, undefined, { meta: { created: 7 } });
    attempt(() => promise.put("good", url));
    attempt(() => promise.get("other", url, undefined, { meta: { reqid: 1 } }));
    for (const method of ["get", "post"] as const) {
      attempt(() => (promise[method] as unknown as { map: unknown }).map);
    }
    attempt(() => promise.add("all", was.sqlite3.map("@files").execute("select 1") as never));
    attempt(() => was.promise("no function" as never));
    return promise;
  });
  const directory = await Deno.makeTempDir({ prefix: "skitai-test-" });
  aliases.define("@files", "sqlite3", [`${directory}/a`, `${directory}/b`]);
  try {
    assert.equal((await app.makeClient().get("/")).text, "good 7");
    for (const line of tries.slice(0, 5)) assert.match(line, /its id is not an identifier/);
    assert.match(tries[5]!, /one of that id already/);
    assert.match(tries[6]!, /"reqid" of meta is reserved/);
    for (const line of tries.slice(7, 10)) assert.match(line, /no request to all members/);
    assert.match(tries[10]!, /takes the function/);
  } finally {
    await wac.backends[Symbol.asyncDispose]();
    aliases.delete("@files");
    await Deno.remove(directory, { recursive: true });
  }
});
