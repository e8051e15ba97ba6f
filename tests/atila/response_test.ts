import assert from "node:assert/strict";
import { Atila, type AtilaWas, type Body } from "../../src/atila/mod.ts";
import { ResponseState } from "../../src/atila/response.ts";
import { wac } from "../../src/was/wac.ts";
import type { Logger } from "../../src/core/log.ts";

const here = import.meta.url;

/** An app with one route, and a client of it. */
function serve(handler: (was: AtilaWas) => Body | Promise<Body>, setup?: (app: Atila) => void) {
  const app = new Atila(here);
  setup?.(app);
  app.route("/", { methods: ["GET", "POST"] }, handler);
  return app.makeClient();
}

/** Collects what goes to the logs while a function runs. */
async function logged(run: () => Promise<unknown>): Promise<string> {
  const before = wac.logger;
  const lines: string[] = [];
  const log = {
    log: (text: string) => void lines.push(text),
    trace: (error: unknown) => void lines.push(String((error as Error).stack)),
  };
  wac.logger = { get: () => log, makeLogger: () => log, rotate: () => {} } as Logger;
  try {
    await run();
  } finally {
    wac.logger = before;
  }
  return lines.join("\n");
}

Deno.test("RSP-01 text and bytes are 200 and HTML, nothing is an error, an empty text is empty", async () => {
  const text = await serve(() => "é").get("/");
  assert.equal(text.statusCode, 200);
  assert.equal(text.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(text.text, "é");
  const bytes = await serve(() => new Uint8Array([1, 2])).get("/");
  assert.deepEqual([...bytes.content], [1, 2]);
  const empty = await serve(() => "").get("/");
  assert.equal(empty.statusCode, 200);
  assert.equal(empty.text, "");
  for (const nothing of [undefined, null]) {
    const log = await logged(async () => {
      const answer = await serve(() => nothing as never).get("/");
      assert.equal(answer.statusCode, 500);
    });
    assert.match(log, /returned nothing/);
  }
});

Deno.test("RSP-02 arguments, options and setters give the same", async () => {
  const handlers: ((was: AtilaWas) => Body)[] = [
    (was) => was.response("201 Created", "made", { "X-A": "1" }),
    (was) => was.response({ status: 201, body: "made", headers: [["X-A", "1"]] }),
    (was) => {
      was.response.setStatus("201 Created");
      was.response.setHeader("X-A", "1");
      return "made";
    },
  ];
  for (const handler of handlers) {
    const answer = await serve(handler).get("/");
    assert.equal(answer.statusCode, 201);
    assert.equal(answer.reason, "Created");
    assert.equal(answer.text, "made");
    assert.equal(answer.headers.get("x-a"), "1");
    assert.equal(answer.headers.get("content-type"), "text/html; charset=utf-8");
  }
});

Deno.test("RSP-03 TPL-15 a status without a body gets its page", async () => {
  const plain = await serve((was) => was.response("404 Not Found", undefined, { "x-a": "1" })).get(
    "/",
  );
  assert.equal(plain.statusCode, 404);
  assert.match(plain.text, /404/);
  assert.equal(plain.headers.get("x-a"), "1");
  const own = await serve((was) => was.response("404 Not Found"), (app) => {
    app.errorHandler(404, (_was, error) => `mine: ${error.code} ${error.message}`);
  }).get("/");
  assert.equal(own.statusCode, 404);
  assert.equal(own.text, "mine: 404 Not Found");
  const none = await serve((was) => was.response("204 No Content")).get("/");
  assert.equal(none.statusCode, 204);
  assert.equal(none.content.byteLength, 0);
});

Deno.test("RSP-04 a caught error is shown although debug is off", async () => {
  const answer = await serve((was) =>
    was.response("500 Internal Server Error", undefined, undefined, new Error("shown on purpose"))
  ).get("/");
  assert.equal(answer.statusCode, 500);
  assert.match(answer.text, /shown on purpose/);
});

Deno.test("RSP-05 RSP-06 accessors of status and headers", async () => {
  const answer = await serve((was) => {
    const { response } = was;
    assert.equal(response.getStatus(), "200 OK");
    response.setStatus("404 Gone Fishing");
    assert.equal(response.getStatus(), "404 Gone Fishing");
    for (const bad of ["nonsense", 99, "700 x"]) {
      assert.throws(() => response.setStatus(bad), TypeError);
    }
    response.setStatus(200);
    response.setHeader("X-A", "1");
    response.setHeader("x-a", 2);
    assert.equal(response.getHeader("X-a"), "1");
    assert.equal(response.getHeader("x-b", "none"), "none");
    response.setHeaders([["X-B", "3"], ["x-c", "4"]]);
    response.delHeader("X-B");
    assert.deepEqual(response.getHeaders(), [["x-a", "1"], ["x-a", "2"], ["x-c", "4"]]);
    response.setHeader("Content-Type", "text/plain");
    return "x";
  }).get("/");
  assert.equal(answer.headers.get("x-a"), "1, 2");
  assert.equal(answer.headers.get("content-type"), "text/plain");
});

Deno.test("RSP-06 header names and values that would break out are refused", async () => {
  const answer = await serve((was) => {
    for (const value of ["a\r\nset-cookie: x=1", "a\nb", "a\0b", "snow ☃"]) {
      assert.throws(() => was.response.setHeader("x", value), /header x/);
    }
    for (const name of ["", "a b", "a:b", "a\r\nb"]) {
      assert.throws(() => was.response.setHeader(name, "v"), TypeError);
    }
    return "ok";
  }).get("/");
  assert.equal(answer.text, "ok");
});

Deno.test("RSP-06 more headers than a response can carry are refused", () => {
  const state = new ResponseState();
  for (let i = 0; i < 512; i++) state.add(`x-${i}`, "v");
  assert.throws(() => state.add("x-512", "v"), {
    name: "TypeError",
    message: "Cannot send a response of 513 header fields: 512 are possible",
  });
  state.remove("x-1");
  state.add("x-512", "v");
  assert.throws(() => new ResponseState().add("x".repeat(65536), "v"), {
    name: "TypeError",
    message: /its name has 65536 characters/,
  });
});

Deno.test("RSP-07 text and bytes have a known length", async () => {
  const { bodySizeOf } = await import("../../src/core/body_size.ts");
  const size = async (body: Body) => bodySizeOf(await serve(() => body).fetch("GET", "/"));
  assert.equal(await size("é€"), 5);
  assert.equal(await size(new Uint8Array(7)), 7);
});

Deno.test("RSP-08 objects with read, streams and files are streamed and closed once", async () => {
  let closed = 0;
  const parts = ["one ", new TextEncoder().encode("two"), ""];
  const read = await serve(() => ({ read: () => parts.shift()!, close: () => ++closed })).get("/");
  assert.equal(read.text, "one two");
  assert.equal(closed, 1);

  const stream = await serve(() => ReadableStream.from(["a", "b"]) as never).get("/");
  assert.equal(stream.text, "ab");

  const file = await serve(() => Deno.openSync(new URL(here).pathname)).get("/");
  assert.equal(file.text, await Deno.readTextFile(new URL(here)));
});

Deno.test("RSP-09 iterators and generators are sent piece by piece and closed in every ending", async () => {
  const endings: string[] = [];
  function* letters(name: string) {
    try {
      for (const letter of "abc") yield letter;
    } finally {
      endings.push(name);
    }
  }
  assert.equal((await serve(() => letters("complete")).get("/")).text, "abc");
  assert.deepEqual(endings, ["complete"]);

  async function* slow() {
    yield "x";
    await Promise.resolve();
    yield new Uint8Array([121]);
  }
  assert.equal((await serve(() => slow()).get("/")).text, "xy");
  assert.equal((await serve(() => new Set(["p", "q"])).get("/")).text, "pq");

  const left = await serve(() => letters("left")).fetch("GET", "/");
  const reader = left.body!.getReader();
  await reader.read();
  await reader.cancel();
  assert.deepEqual(endings, ["complete", "left"]);

  let closed = 0;
  const unread = await serve(() => ({
    [Symbol.iterator]: () => ({ next: () => ({ done: false, value: "x" }) }),
    close: () => ++closed,
  })).fetch("GET", "/");
  await unread.body!.cancel();
  assert.equal(closed, 1);
});

Deno.test("RSP-09 an error in the middle ends the stream, is logged, and closes the source", async () => {
  let closed = 0;
  const log = await logged(async () => {
    const response = await serve(() => ({
      *[Symbol.iterator]() {
        try {
          yield "first";
          throw new Error("in the middle");
        } finally {
          closed++;
        }
      },
    })).fetch("GET", "/");
    await assert.rejects(response.text(), /in the middle/);
  });
  assert.match(log, /in the middle/);
  assert.equal(closed, 1);
});

Deno.test("RSP-09 nothing is produced before it is wanted", async () => {
  let produced = 0;
  const response = await serve(() => ({
    *[Symbol.iterator]() {
      for (;;) {
        produced++;
        yield "x".repeat(1000);
      }
    },
  })).fetch("GET", "/");
  const reader = response.body!.getReader();
  await reader.read();
  await reader.read();
  assert(produced <= 3, `${produced} pieces were produced for two`);
  await reader.cancel();
});

Deno.test("RSP-11 lists are sent in order, numbers and objects are refused", async () => {
  const list = await serve(() =>
    ["a", new Uint8Array([98]), ReadableStream.from(["c"]), [["d"]]] as never
  )
    .get("/");
  assert.equal(list.text, "abcd");
  for (const bad of [5, true, { a: 1 }, ["a", 5]]) {
    const log = await logged(async () => {
      assert.equal((await serve(() => bad as never).get("/")).statusCode, 500);
    });
    assert.match(log, /Cannot send (number|boolean|an object)/);
  }
});

Deno.test("RSP-11 what a list never reached is closed as well", async () => {
  let closed = 0;
  const part = () => ({ read: () => "x", close: () => ++closed });
  const response = await serve(() => [part(), part(), part()]).fetch("GET", "/");
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  assert.equal(closed, 3);
});

Deno.test("RSP-12 a file with type, length and name to save it by", async () => {
  const path = new URL(here).pathname;
  const plain = await serve((was) => was.response.file(path)).get("/");
  assert.equal(plain.headers.get("content-type"), "application/octet-stream");
  assert.equal(plain.headers.get("content-length"), String(Deno.statSync(path).size));
  assert.equal(plain.headers.get("content-disposition"), null);
  assert.equal(plain.text, Deno.readTextFileSync(path));

  const named = await serve((was) =>
    was.response.file("response_test.ts", "text/plain", 'a "é".txt')
  )
    .get("/");
  assert.equal(named.headers.get("content-type"), "text/plain");
  assert.equal(
    named.headers.get("content-disposition"),
    `attachment; filename="a ___.txt"; filename*=UTF-8''a%20%22%C3%A9%22.txt`,
  );
  const log = await logged(async () => {
    assert.equal((await serve((was) => was.response.file("/no/such")).get("/")).statusCode, 500);
    assert.equal((await serve((was) => was.response.file("/tmp")).get("/")).statusCode, 500);
  });
  assert.match(log, /\/no\/such/);
  assert.match(log, /not a file/);
});

Deno.test("RSP-02 RSP-12 a file with another status", async () => {
  const answer = await serve((was) =>
    was.response("201 Created", was.response.file("response_test.ts", "text/plain"), { "x-a": "1" })
  ).get("/");
  assert.deepEqual([answer.statusCode, answer.headers.get("x-a")], [201, "1"]);
  assert.equal(answer.headers.get("content-type"), "text/plain");
  assert.match(answer.text, /a file with another status/);
});

Deno.test("RSP-13 a standard Response is sent with the headers set on the side", async () => {
  const answer = await serve((was) => {
    was.response.setHeader("X-Side", "1");
    return new Response("teapot", { status: 418, headers: { "x-own": "2" } });
  }).get("/");
  assert.equal(answer.statusCode, 418);
  assert.equal(answer.text, "teapot");
  assert.equal(answer.headers.get("x-side"), "1");
  assert.equal(answer.headers.get("x-own"), "2");
  const redirect = await serve((was) => {
    was.response.setHeader("x-side", "1");
    return Response.redirect("http://a.test/", 302);
  }).get("/");
  assert.equal(redirect.headers.get("x-side"), "1");
  assert.equal(redirect.headers.get("location"), "http://a.test/");
});

Deno.test("RSP-13 of headers that a response has once the one set on the side counts", async () => {
  const answer = await serve((was) => {
    was.response.setHeader("Content-Type", "text/csv");
    was.response.setHeader("x-a", "1");
    return new Response("a,b", { headers: { "x-a": "2" } });
  }).get("/");
  assert.equal(answer.headers.get("content-type"), "text/csv");
  assert.equal(answer.headers.get("x-a"), "2, 1");
});

Deno.test("RSP-13 HOOK-05 a Response that cannot be sent is an error of the handler", async () => {
  const once = new Response("once");
  const client = serve(() => once, (app) => app.errorHandler(500, () => "page"));
  assert.equal((await client.get("/")).text, "once");
  const log = await logged(async () => {
    assert.equal((await client.get("/")).text, "page");
    const read = serve(async () => {
      const response = new Response("x");
      await response.text();
      return response;
    });
    assert.equal((await read.get("/")).statusCode, 500);
    assert.equal((await serve(() => Response.error()).get("/")).statusCode, 500);
  });
  assert.match(log, /Cannot send a Response twice[^]*Cannot send a Response twice/);
  assert.match(log, /Cannot send Response.error\(\)/);
});

Deno.test("RSP-14 throw ends the request, also from a helper", async () => {
  const helper = (was: AtilaWas): never => was.response.throw("403 Forbidden", "not <you>");
  const answer = await serve((was) => helper(was)).get("/");
  assert.equal(answer.statusCode, 403);
  assert.match(answer.text, /not &lt;you&gt;/);
});

Deno.test("RSP-15 data as JSON, dates as text, as XML-RPC for clients that ask for it", async () => {
  const client = serve((was) => was.response.API({ when: new Date(0), n: 1, s: "<é>", l: [true] }));
  const json = await client.get("/");
  assert.equal(json.headers.get("content-type"), "application/json");
  assert.deepEqual(json.data, { when: "1970-01-01T00:00:00.000Z", n: 1, s: "<é>", l: [true] });
  assert.equal((await serve((was) => was.response.API()).get("/")).text, "{}");
  assert.equal((await serve((was) => was.response.api({ a: 1 })).get("/")).text, '{"a":1}');

  const xml = await client.get("/", { headers: { accept: "text/xml, */*" } });
  assert.equal(xml.headers.get("content-type"), "text/xml; charset=utf-8");
  const python = new Deno.Command("python3", {
    args: [
      "-c",
      "import sys,json,xmlrpc.client as x; print(json.dumps(x.loads(sys.stdin.buffer.read())[0][0]))",
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = python.stdin.getWriter();
  await writer.write(xml.content);
  await writer.close();
  const { stdout } = await python.output();
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), json.data);
});

Deno.test("RSP-15 what is no object is refused instead of sent as an empty one", async () => {
  for (const data of [5, true, "text", null, () => 1, [1], new Map()]) {
    let refusal = "";
    await serve((was) => {
      try {
        return was.response.API(data as never);
      } catch (error) {
        refusal = String(error);
        return "refused";
      }
    }).get("/");
    assert.match(refusal, /^TypeError: was\.response\.API takes an object of named values/);
  }
});

Deno.test("RSP-16 the container is filled afterwards by method and index", async () => {
  const answer = await serve((was) => {
    const api = was.response.API({ a: 1 });
    api.set("user_id", "x").set("set", "a member of that name");
    api.b = 2;
    assert.equal(api.get("user_id"), "x");
    assert.equal(api.get("none", "fallback"), "fallback");
    return api;
  }).get("/");
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(answer.data, { a: 1, user_id: "x", set: "a member of that name", b: 2 });

  const failed = await serve((was) => was.response.API().error("no luck", 40001, "look", { k: 1 }))
    .get("/");
  assert.deepEqual(failed.data, {
    code: 40001,
    message: "no luck",
    debug: "look",
    more_info: { k: 1 },
  });
  const traced = await serve((was) => was.response.API().traceback(new Error("inner"))).get("/");
  assert.equal(traced.data.message, "inner");
  assert.match(traced.data.traceback[0], /inner/);
  const odd = await serve((was) => was.response.API(JSON.parse('{"__proto__": 1, "a": 2}'))).get(
    "/",
  );
  assert.equal(odd.text, '{"__proto__":1,"a":2}');
});

Deno.test("RSP-19 HOOK-05 unhandled errors are faults for JSON clients, with the stack only in debug", async () => {
  const boom = () => {
    throw new Error("secret detail");
  };
  const log = await logged(async () => {
    const json = { headers: { accept: "application/json" } };
    const quiet = await serve(boom).get("/", json);
    assert.equal(quiet.statusCode, 500);
    assert.equal(quiet.data.code, 50000);
    assert.equal(quiet.data.traceback, undefined);
    assert.doesNotMatch(quiet.text, /secret/);
    const page = await serve(boom).get("/");
    assert.match(page.headers.get("content-type")!, /html/);
    assert.doesNotMatch(page.text, /secret/);
    const debug = await serve(boom, (app) => app.debug = true).get("/", json);
    assert.equal(debug.data.code, 50090);
    assert.match(debug.data.traceback.join(), /secret detail/);
  });
  assert.match(log, /secret detail/);
});

Deno.test("RSP-22 changes after the response was sent are refused", async () => {
  let late: AtilaWas | undefined;
  await serve((was) => {
    late = was;
    was.response.setHeader("x-a", "1");
    return "done";
  }).get("/");
  assert.throws(() => late!.response.setHeader("x-b", "1"), /already sent/);
  assert.throws(() => late!.response.setStatus(404), /already sent/);
  assert.throws(() => late!.response("200 OK", "again"), /already sent/);
});

Deno.test("RSP-22 the same holds when nothing was set before", async () => {
  let late: AtilaWas | undefined;
  await serve((was) => {
    late = was;
    return "done";
  }).get("/");
  assert.throws(() => late!.response.setHeader("x-b", "1"), /already sent/);
});

Deno.test("RSP-22 HOOK-04 it was sent after an error, too", async () => {
  const seen: string[] = [];
  const client = serve(() => {
    throw new Error("broken");
  }, (app) => {
    app.teardownRequest((was) => {
      try {
        was.response.setHeader("x-late", "1");
      } catch (error) {
        seen.push((error as Error).message);
      }
    });
  });
  await logged(() => client.get("/"));
  assert.match(seen.join(), /Response already sent/);
});

Deno.test("ATL-29 redirects carry location, cache headers and a small page", async () => {
  const answer = await serve((was) => was.redirect("/else?a=1&b=é")).get("/");
  assert.equal(answer.statusCode, 302);
  assert.equal(answer.reason, "Object Moved");
  assert.equal(answer.headers.get("location"), "/else?a=1&b=%C3%A9");
  assert.equal(answer.headers.get("cache-control"), "max-age=0");
  assert(Math.abs(Date.parse(answer.headers.get("expires")!) - Date.now()) < 60_000);
  assert.match(answer.text, /href="\/else\?a=1&amp;b=%C3%A9"/);
  const own = await serve((was) => was.redirect("/a", 301, "moved", { "x-a": "1" })).get("/");
  assert.deepEqual([own.statusCode, own.text, own.headers.get("x-a")], [301, "moved", "1"]);
  const tricky = await serve((was) => was.redirect('/a\r\nset-cookie: x=1"><script>')).get("/");
  assert.equal(tricky.headers.get("set-cookie"), null);
  assert.doesNotMatch(tricky.text, /<script>/);
});

Deno.test("ATL-29 a redirect leaves what a URL may have as it is", async () => {
  const cases = [
    ["http://[::1]:5000/a?x=[1]&y=100%25#z", "http://[::1]:5000/a?x=[1]&y=100%25#z"],
    ["/a%5Bb%2Fc%", "/a%5Bb%2Fc%"],
    ["/a b\t\u00e9\u{1f600}", "/a%20b%09%C3%A9%F0%9F%98%80"],
    ["/\ud800", "/%EF%BF%BD"],
    ['/\\else"<>{}|^`', "/%5Celse%22%3C%3E%7B%7D%7C%5E%60"],
  ] as const;
  for (const [url, location] of cases) {
    const answer = await serve((was) => was.redirect(url)).get("/");
    assert.equal(answer.headers.get("location"), location);
  }
});

Deno.test("RSP-03 TPL-14 headers meant for another body do not go with a page", async () => {
  const broken = (was: AtilaWas) => {
    was.response.setHeader("x-mine", "1");
    was.response.setHeader("content-type", "text/csv");
    was.response.setHeader("content-disposition", "attachment");
    was.response.setHeader("content-length", "3");
    return was.response("404 Not Found");
  };
  for (
    const setup of [() => {}, (app: Atila) => void app.errorHandler(404, () => "<p>missing")]
  ) {
    const { headers, text, statusCode } = await serve(broken, setup).get("/");
    assert.equal(statusCode, 404);
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(headers.get("content-disposition"), null);
    assert(["", String(text.length)].includes(headers.get("content-length") ?? ""));
    assert.equal(headers.get("x-mine"), "1");
  }
});

Deno.test("TPL-14 TPL-15 TPL-16 error handlers make pages, and fall back when they fail", async () => {
  const setup = (app: Atila) => {
    app.errorHandler(
      "404 Not Found",
      (_was, error) =>
        `404 page: ${error.detail} ${error.mode} ${error.software} ${error.url} [${error.traceback}]`,
    );
    app.errorHandler(410, () => {
      throw new Error("the page broke");
    });
    app.defaultErrorHandler((was, error) => {
      was.response.setHeader("x-page", "default");
      was.response.setHeader("cache-control", "max-age=9");
      return `default: ${error.code}`;
    });
  };
  const answer = (status: string, why?: string) =>
    serve((was) => was.response.throw(status, why), setup).get("/");
  const missing = await answer("404 Not Found", "no pet");
  assert.equal(missing.statusCode, 404);
  assert.match(missing.text, /^404 page: no pet normal Skitai\/\d+\.\d+ \/ \[\]$/);
  assert.equal(missing.headers.get("vary"), "accept");
  assert.equal(missing.headers.get("cache-control"), "max-age=0");
  const other = await answer("409 Conflict");
  assert.deepEqual([other.statusCode, other.text, other.headers.get("x-page")], [
    409,
    "default: 409",
    "default",
  ]);
  assert.equal(other.headers.get("cache-control"), "max-age=9", "the page's own");
  const log = await logged(async () => {
    const broken = await answer("410 Gone");
    assert.equal(broken.statusCode, 410);
    assert.match(broken.text, /410/);
  });
  assert.match(log, /the page broke/);
  const client = serve(() => "x", setup);
  assert.match((await client.get("/nowhere")).text, /^404 page/);
  assert.equal((await client.delete("/")).headers.get("allow"), "GET, HEAD, POST");
});
