import assert from "node:assert/strict";
import { Atila, type AtilaWas, type CookieOptions } from "../../src/atila/mod.ts";
import { createContext } from "../../src/core/context.ts";
import { curl, serveHandler } from "../_support/serve_handler.ts";
import { keyedApp, logged, StoppedClock } from "../_support/visitor.ts";

/** Runs a handler with cookies that came, and gives what it returned and the lines it sent. */
async function run(
  handler: (was: AtilaWas) => unknown,
  { cookie = "", point = "/", secure = false }: {
    cookie?: string;
    point?: string;
    secure?: boolean;
  } = {},
): Promise<{ status: number; data: unknown; lines: string[]; headers: Headers }> {
  const app = keyedApp();
  app.route("/x", (was) => was.response.API({ got: handler(was) ?? null }));
  const url = `${secure ? "https" : "http"}://host${point}x`;
  const ctx = createContext({ url, mountPoint: point });
  const headers: HeadersInit = cookie === "" ? {} : { cookie };
  const response = await app.handle(new Request(url, { headers }), ctx);
  const text = await response.text();
  return {
    status: response.status,
    data: response.status === 200 ? JSON.parse(text).got : text,
    lines: response.headers.getSetCookie(),
    headers: response.headers,
  };
}

Deno.test("CKY-01 cookies are a map, also by index, property and iteration", async () => {
  const cookie = "user_id=7; name=J%C3%BCrgen; empty=; broken=%E0%A4%A; dup=first; dup=second";
  const { data, lines } = await run((was) => {
    const { cookie } = was;
    const seen = [
      cookie.get("user_id"),
      cookie.user_id,
      cookie["name"],
      cookie.get("empty"),
      cookie.get("broken"),
      cookie.get("dup"),
      cookie.get("none") ?? null,
      cookie.get("none", "fallback"),
      cookie.has("name"),
      cookie.has("none"),
      cookie.size,
    ];
    return { seen, keys: cookie.keys(), values: cookie.values(), items: [...cookie] };
  }, { cookie });
  assert.deepEqual(data, {
    seen: [
      "7",
      "7",
      "Jürgen",
      "",
      "%E0%A4%A",
      "first",
      null,
      "fallback",
      true,
      false,
      5,
    ],
    keys: ["user_id", "name", "empty", "broken", "dup"],
    values: ["7", "Jürgen", "", "%E0%A4%A", "first"],
    items: [["user_id", "7"], ["name", "Jürgen"], ["empty", ""], ["broken", "%E0%A4%A"], [
      "dup",
      "first",
    ]],
  });
  assert.deepEqual(lines, [], "reading sends nothing");
});

Deno.test("CKY-01 what is set can be read in the same request, by method and by property", async () => {
  const { data, lines } = await run((was) => {
    was.cookie.set("a", "1; 2,ü");
    was.cookie.b = 5;
    was.cookie.remove("old");
    return [was.cookie.a, was.cookie.get("b"), was.cookie.has("old"), was.cookie.keys()];
  }, { cookie: "old=1" });
  assert.deepEqual(data, ["1; 2,ü", "5", false, ["a", "b"]]);
  assert.equal(lines[0], "a=1%3B%202%2C%C3%BC; Path=/; HttpOnly; SameSite=Lax");
  assert.equal(lines.length, 3);
});

Deno.test("CKY-01 names that mean something to JavaScript are names like others", async () => {
  const cookie = "__proto__=x; constructor=y; toString=z; hasOwnProperty=q";
  const { data } = await run((was) => [
    was.cookie.get("__proto__"),
    was.cookie.get("constructor"),
    was.cookie.get("hasOwnProperty"),
    was.cookie.get("valueOf") ?? null,
    was.cookie.has("__defineGetter__"),
    was.cookie.keys(),
    ({} as Record<string, unknown>).x ?? null,
    `${was.cookie}`,
  ], { cookie });
  assert.deepEqual(data, [
    "x",
    "y",
    "q",
    null,
    false,
    ["__proto__", "constructor", "toString", "hasOwnProperty"],
    null,
    "[values]",
  ]);
});

Deno.test("CKY-02 how long a cookie is kept, and its flags", async () => {
  using clock = new StoppedClock();
  const { lines } = await run((was) => {
    was.cookie.set("closes", "1");
    was.cookie.set("hour", "1", { expires: 3600 });
    was.cookie.set("gone", "1", { expires: 0 });
    was.cookie.set("now", "1", { expires: "now" });
    was.cookie.set("never", "1", { expires: "never" });
    was.cookie.set("flags", "1", {
      path: "/p",
      domain: "example.com",
      secure: true,
      httpOnly: false,
      sameSite: "strict",
    });
    return was.cookie.has("gone") || was.cookie.has("now");
  });
  const inAnHour = new Date((clock.seconds + 3600) * 1000).toUTCString();
  assert.equal(lines[0], "closes=1; Path=/; HttpOnly; SameSite=Lax");
  assert.equal(
    lines[1],
    `hour=1; Max-Age=3600; Path=/; Expires=${inAnHour}; HttpOnly; SameSite=Lax`,
  );
  for (const i of [2, 3]) {
    assert.match(lines[i]!, /Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT/);
  }
  const [, years] = /Max-Age=(\d+)/.exec(lines[4]!)!;
  assert.equal(Math.round(Number(years) / 86400 / 365.25), 100);
  assert.equal(lines[5], "flags=1; Domain=example.com; Path=/p; Secure; SameSite=Strict");
});

Deno.test("CKY-02 OPS-28 over TLS cookies are Secure unless they say otherwise", async () => {
  const set = (was: AtilaWas) => {
    was.cookie.set("a", "1");
    was.cookie.set("b", "1", { secure: false, httpOnly: false });
    was.cookie.set("c", "1", { sameSite: "none" });
  };
  const { lines } = await run(set, { secure: true });
  assert.deepEqual(lines, [
    "a=1; Path=/; HttpOnly; Secure; SameSite=Lax",
    "b=1; Path=/; SameSite=Lax",
    "c=1; Path=/; HttpOnly; Secure; SameSite=None",
  ]);
  const plain = await logged(async () => assert.equal((await run(set)).status, 500));
  assert.match(plain, /browsers drop sameSite "none" without secure/);
});

Deno.test("CKY-02 what cannot be sent is refused with its name", async () => {
  const refused: [(was: AtilaWas) => void, RegExp][] = [
    [(was) => was.cookie.set("a b", "1"), /name/],
    [(was) => was.cookie.set("a", "1", { path: "/\r\nX: y" }), /path/],
    [
      (was) => was.cookie.set("a", "1", { path: "x" }),
      /cookie a: its path is "x", expected a slash/,
    ],
    [(was) => was.cookie.set("a", "1", { path: "" }), /path is "", expected a slash/],
    [(was) => was.cookie.set("a", "1", { domain: "a;b" }), /domain/],
    [(was) => was.cookie.set("a", undefined as never), /cookie a to a value of type undefined/],
    [(was) => was.cookie.set("a", "1", { expires: "soon" as never }), /expires is "soon"/],
    [(was) => was.cookie.set("a", "1", { expires: NaN }), /expires/],
    [(was) => was.cookie.set("sk.sid", "1"), /belong to sessions/],
    [
      (was) => was.cookie.set("a", "x".repeat(4100)),
      /cookie a: .* 4\d\d\d bytes, .* more than 4096/,
    ],
  ];
  for (const [change, message] of refused) {
    const { data, lines } = await run((was) => {
      try {
        change(was);
      } catch (error) {
        return (error as Error).message;
      }
      return "nothing thrown";
    });
    assert.match(data as string, message);
    assert.deepEqual(lines, []);
  }
});

Deno.test("CKY-03 the path is the mount point of the app unless given", async () => {
  const { lines } = await run((was) => {
    was.cookie.set("mine", "1");
    was.cookie.set("ours", "1", { path: "/" });
  }, { point: "/shop/" });
  assert.match(lines[0]!, /; Path=\/shop;/);
  assert.match(lines[1]!, /; Path=\/;/);
});

Deno.test("CKY-04 one cookie and all cookies are deleted, with the path and domain given", async () => {
  const { lines, data } = await run((was) => {
    was.cookie.remove("a", { path: "/p", domain: "example.com" });
    return was.cookie.keys();
  }, { cookie: "a=1; b=2" });
  assert.match(
    lines[0]!,
    /^a=; Max-Age=0; Domain=example\.com; Path=\/p; Expires=Thu, 01 Jan 1970/,
  );
  assert.deepEqual(data, ["b"]);

  const all = await run((was) => {
    was.cookie.set("new", "3");
    was.cookie.clear({ path: "/" });
    return was.cookie.keys();
  }, { cookie: "a=1; b=2; sk.sid=sealed; __Host-sk.mbox=sealed", point: "/shop/" });
  assert.deepEqual(all.data, []);
  assert.deepEqual(all.lines.map((line) => line.split("; ").slice(0, 3).join("; ")), [
    "new=3; Path=/shop; HttpOnly",
    "a=; Max-Age=0; Path=/",
    "b=; Max-Age=0; Path=/",
    "new=; Max-Age=0; Path=/",
  ]);
});

Deno.test("CKY-04 clearing is not stopped by names that no response of ours can carry", async () => {
  const cookie = "a[b]=1; =x; f\u00f6\u00f6=1; __Host-z=1; __secure-y=1; mine=1";
  const clear = (was: AtilaWas) => {
    was.cookie.clear();
    return was.cookie.keys();
  };
  const plain = await run(clear, { cookie });
  assert.deepEqual(plain.data, ["a[b]", "", "f\u00f6\u00f6", "__Host-z", "__secure-y"]);
  assert.deepEqual(plain.lines.map((line) => line.split(";")[0]), ["mine="]);

  const secure = await run(clear, { cookie, secure: true });
  assert.deepEqual(secure.lines.map((line) => line.split(";")[0]), [
    "__Host-z=",
    "__secure-y=",
    "mine=",
  ]);
  const below = await run(clear, { cookie, secure: true, point: "/shop/" });
  assert.deepEqual(below.lines.map((line) => line.split(";")[0]), ["__secure-y=", "mine="]);
});

Deno.test("CKY-04 more cookies than a response can carry are an error, whoever sent them", async () => {
  const cookies = (count: number) => Array.from({ length: count }, (_, i) => `c${i}=1`).join("; ");
  const clear = (was: AtilaWas) => was.cookie.clear();
  assert.equal((await run(clear, { cookie: cookies(500) })).lines.length, 500);
  const many = await run(clear, { cookie: cookies(3000) });
  assert.deepEqual([many.status, many.lines.length], [500, 0]);
});

Deno.test("CKY-02 a name that promises something is refused where the cookie does not keep it", async () => {
  const set = (name: string, options?: CookieOptions) => (was: AtilaWas) => {
    try {
      was.cookie.set(name, "1", options);
    } catch (error) {
      return (error as Error).message;
    }
    return "sent";
  };
  const secure = { secure: true };
  for (const name of ["__Host-a", "__secure-a", "__HOST-a"]) {
    const { data, lines } = await run(set(name));
    assert.match(data as string, /^Cannot set cookie __.*: browsers drop .* needs TLS$/);
    assert.deepEqual(lines, []);
    assert.equal((await run(set(name), secure)).data, "sent");
  }
  assert.equal((await run(set("__Host-a", { secure: true }))).data, "sent");
  assert.match((await run(set("__Host-a", { domain: "host" }), secure)).data as string, /domain/);
  assert.match((await run(set("__Host-a", { path: "/x" }), secure)).data as string, /path/);
  const mounted = { secure: true, point: "/shop/" };
  assert.match((await run(set("__Host-a"), mounted)).data as string, /another path than "\/"/);
  assert.equal((await run(set("__Host-a", { path: "/" }), mounted)).data, "sent");
  assert.equal((await run(set("__Secure-a", { domain: "host" }), mounted)).data, "sent");
  assert.equal((await run(set("__other"))).data, "sent");
});

Deno.test("CKY-05 HOOK-05 cookies, session and messages of a handler that failed are discarded", async () => {
  const app = keyedApp();
  const change = (was: AtilaWas) => {
    was.cookie.set("a", "new");
    was.session.set("a", "new");
    was.mbox.send("new");
  };
  app.route("/fine", (was) => {
    change(was);
    return "";
  });
  app.route("/throws", (was) => {
    change(was);
    throw new Error("planned");
  });
  app.route("/refuses", (was) => {
    change(was);
    return was.response.throw("403 Forbidden");
  });
  app.route("/answers-403", (was) => {
    change(was);
    return was.response("403 Forbidden", "no");
  });
  app.route("/page-404", (was) => {
    change(was);
    return was.response("404 Not Found");
  });
  app.route("/nothing", (was) => {
    change(was);
    return undefined as never;
  });
  app.route("/late", async (was) => {
    change(was);
    await Promise.resolve();
    throw new Error("planned");
  });
  app.route("/response", (was) => {
    change(was);
    return new Response("own", { headers: { "set-cookie": "own=1", "cache-control": "no-store" } });
  });
  const client = app.makeClient();
  const linesOf = async (path: string): Promise<[number, string[]]> => {
    let answer = await client.get("/fine");
    await logged(async () => answer = await client.get(path));
    return [answer.statusCode, answer.headers.getSetCookie().map((line) => line.split("=")[0]!)];
  };
  assert.deepEqual(await linesOf("/fine"), [200, ["a", "sk.sid", "sk.mbox"]]);
  assert.deepEqual(await linesOf("/throws"), [500, []]);
  assert.deepEqual(await linesOf("/late"), [500, []]);
  assert.deepEqual(await linesOf("/nothing"), [500, []]);
  assert.deepEqual(await linesOf("/refuses"), [403, []]);
  assert.deepEqual(await linesOf("/answers-403"), [403, ["a", "sk.sid", "sk.mbox"]]);
  assert.deepEqual(await linesOf("/page-404"), [404, ["a", "sk.sid", "sk.mbox"]]);
  assert.deepEqual(await linesOf("/response"), [200, ["own", "a", "sk.sid", "sk.mbox"]]);
  assert.equal((await client.get("/response")).headers.get("cache-control"), "no-store");
  assert.equal((await client.get("/fine")).headers.get("cache-control"), "private");

  // The page of the error starts from what came; what it changes itself is sent.
  app.defaultErrorHandler((was) => {
    was.cookie.set("page", String(was.cookie.has("a")));
    return `${was.session.size} ${was.mbox.get().length}`;
  });
  let page = await client.get("/fine");
  await logged(async () => page = await client.get("/throws"));
  assert.equal(page.text, "0 0");
  assert.deepEqual(page.headers.getSetCookie(), ["page=false; Path=/; HttpOnly; SameSite=Lax"]);
  const both = await client.get("/page-404");
  assert.equal(both.text, "1 1", "a handler that answered is not undone");
  assert.deepEqual(
    both.headers.getSetCookie().map((line) => line.split("=")[0]),
    ["a", "page", "sk.sid"],
    "each once, and the message was read",
  );
});

Deno.test("CKY-05 with hooks: finish hooks still count, teardown is too late and says so", async () => {
  const app = keyedApp();
  app.finishRequest((was) => was.cookie.set("finish", "1"));
  app.teardownRequest((was) => was.cookie.set("teardown", "1"));
  app.failedRequest((was, error) => {
    const { message } = error as Error;
    if (message !== "saved") return undefined;
    was.cookie.set("failed", String(was.cookie.has("handler")));
    return "saved";
  });
  app.route("/<how>", (was, { how }) => {
    was.cookie.set("handler", "1");
    if (how !== "fine") throw new Error(how);
    return "";
  });
  const client = app.makeClient();
  let answer = await client.get("/");
  const log = await logged(async () => answer = await client.get("/fine"));
  assert.deepEqual(answer.headers.getSetCookie().map((line) => line.split(";")[0]), [
    "handler=1",
    "finish=1",
  ]);
  assert.match(log, /Response already sent: the cookie teardown cannot be changed/);
  await logged(async () => answer = await client.get("/saved"));
  assert.deepEqual(answer.headers.getSetCookie().map((line) => line.split(";")[0]), [
    "failed=false",
  ]);
  await logged(async () => answer = await client.get("/broken"));
  assert.deepEqual([answer.statusCode, answer.headers.getSetCookie()], [500, []]);
});

Deno.test("CKY-01 CKY-04 HOOK-18 cookies in life-cycle hooks are an error that says why", async () => {
  const app = new Atila(import.meta.url);
  const said: string[] = [];
  app.mounted((was) => {
    for (const member of ["cookie", "session", "mbox", "csrfToken"] as const) {
      try {
        void was[member];
      } catch (error) {
        said.push((error as Error).message);
      }
    }
  });
  await app.lifecycle("mounted");
  assert.deepEqual(said.map((text) => text.split(":")[0]), [
    "Cannot use was.cookie here",
    "Cannot use was.session here",
    "Cannot use was.mbox here",
    "Cannot use was.session here",
  ]);
});

Deno.test("CKY-02 CKY-03 CKY-04 curl keeps and drops the cookies as told", async () => {
  const app = keyedApp();
  app.route("/set", (was) => {
    was.cookie.set("here", "1");
    was.cookie.set("all", "ü ;", { path: "/", expires: 60 });
    return "";
  });
  app.route("/drop", (was) => {
    was.cookie.remove("all", { path: "/" });
    return "";
  });
  app.route("/show", (was) => was.response.API(Object.fromEntries(was.cookie)));
  await using served = serveHandler((req, ctx) => {
    ctx.mountPoint = ctx.path.startsWith("/shop/") ? "/shop/" : "/";
    return app.handle(req, ctx);
  });
  const jar = await Deno.makeTempFile();
  const ask = (path: string) => curl("-b", jar, "-c", jar, served.url + path);
  await ask("/shop/set");
  assert.deepEqual(JSON.parse(await ask("/shop/show")), { here: "1", all: "ü ;" });
  assert.deepEqual(JSON.parse(await ask("/show")), { all: "ü ;" });
  await ask("/drop");
  assert.deepEqual(JSON.parse(await ask("/shop/show")), { here: "1" });
  await Deno.remove(jar);
});
