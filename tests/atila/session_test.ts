import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { hkdfSync } from "node:crypto";
import { compactDecrypt, CompactEncrypt, decodeProtectedHeader } from "jose";
import type { Atila, AtilaWas } from "../../src/atila/mod.ts";
import { KeyRing } from "../../src/atila/key_ring.ts";
import { Sealer } from "../../src/atila/sealing.ts";
import { createContext } from "../../src/core/context.ts";
import { Revocations } from "../../src/store/revocations.ts";
import {
  KEY,
  keyedApp,
  logged,
  OTHER_KEY,
  StoppedClock,
  VisitorClient,
} from "../_support/visitor.ts";

/** A visitor of an app whose only route runs what is given. */
function visit(app: Atila = keyedApp()): {
  visitor: VisitorClient;
  app: Atila;
  run: <T>(
    handler: (was: AtilaWas) => T,
    options?: { remoteAddr?: string; as?: VisitorClient },
  ) => Promise<T>;
} {
  let next: (was: AtilaWas) => unknown = () => "";
  let result: unknown;
  app.route("/run", (was) => {
    result = next(was);
    return "";
  });
  const visitor = new VisitorClient(app);
  return {
    visitor,
    app,
    async run(handler, { remoteAddr, as = visitor } = {}) {
      next = handler;
      const answer = await as.get("/run", remoteAddr === undefined ? {} : { remoteAddr });
      assert.equal(answer.statusCode, 200, answer.text);
      return result as never;
    },
  };
}

/** What a function throws. */
function thrown(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

Deno.test("SES-01 values come back with the next request, whatever JSON can say", async () => {
  using _clock = new StoppedClock();
  const { visitor, run } = visit();
  const values = {
    text: "ü \u2028 \0",
    number: -1.5e300,
    yes: true,
    nothing: null,
    list: [1, [2, { three: 3 }]],
    record: { a: { b: "c" } },
  };
  await run((was) => {
    for (const [name, value] of Object.entries(values)) was.session.set(name, value);
    was.session.set("when", new Date(0));
    assert.equal(was.session.get("when"), "1970-01-01T00:00:00.000Z", "at once what it will be");
  });
  assert.equal(visitor.lines.length, 1);
  assert.match(
    visitor.lines[0]!,
    /^sk\.sid=ey[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}; Max-Age=1200; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/,
  );
  assert.ok(!visitor.lines[0]!.includes("three"), "nobody can read it");
  assert.deepEqual(
    await run((was) => Object.fromEntries(was.session)),
    { ...values, when: "1970-01-01T00:00:00.000Z" },
  );
  assert.deepEqual(visitor.lines, [], "reading changes nothing");
});

Deno.test("SES-01 what is set is nobody else's object, and no request sees that of another", async () => {
  const { run } = visit();
  const cart = ["one"];
  await run((was) => {
    was.session.set("cart", cart);
    cart.push("two");
  });
  await run((was) => (was.session.get("cart") as string[]).push("three"));
  assert.deepEqual(await run((was) => was.session.get("cart")), ["one"]);
});

Deno.test("SES-01 without a key, or with a bad one, it says what to do", async () => {
  const bad: [Atila["securekey"], RegExp][] = [
    ["short", /app\.securekey: the key has 5 characters, at least 32/],
    [[KEY, "short"], /key 2 of 2 has 5 characters/],
    [[KEY, KEY], /key 2 of 2 is there twice/],
    [[], /no key in the list/],
    [[KEY, 5 as never], /key 2 of 2 is not text/],
    [5 as never, /not text/],
  ];
  for (const [key, message] of bad) {
    const app = keyedApp();
    assert.match(thrown(() => app.securekey = key).message, message);
    assert.equal(app.securekey, KEY);
  }
  for (const key of [undefined, ""]) {
    const app = keyedApp();
    app.securekey = key;
    app.route("/x", (was) => String(was.session.get("a", "")));
    app.route("/without", (was) => was.cookie.get("a", "fine"));
    const log = await logged(async () => {
      assert.equal((await app.makeClient().get("/x")).statusCode, 500);
      assert.equal((await app.makeClient().get("/without")).text, "fine");
    });
    assert.match(
      log,
      /app\.securekey: Sessions need a key and there is none\. .*openssl rand -base64 32/,
    );
  }
  assert.ok(
    !Deno.inspect(keyedApp(), { depth: 9 }).includes(KEY),
    "it is not printed with the app",
  );
});

Deno.test("SES-01 keys are text, and values are what JSON can say", async () => {
  const { visitor, run } = visit();
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  await run((was) => {
    assert.match(thrown(() => was.session.set(1 as never, 1)).message, /key is not text/);
    for (const value of [undefined, () => 1, Symbol("x"), NaN, Infinity, 1n, circle]) {
      assert.match(thrown(() => was.session.set("bad", value)).message, /Cannot keep "bad"/);
    }
    assert.equal(was.session.size, 0);
  });
  assert.deepEqual(visitor.lines, []);
});

Deno.test("SES-02 remove, clear, keys, values, items, has, index access, iteration", async () => {
  const { visitor, run } = visit();
  await run((was) => {
    was.session.user = "ann";
    was.session["role"] = "admin";
    was.session.set("get", "a value called like a method");
    was.session.set("__proto__", { polluted: true });
    was.session.set("constructor", 1);
  });
  await run((was) => {
    const { session } = was;
    assert.deepEqual(session.keys(), ["user", "role", "get", "__proto__", "constructor"]);
    assert.deepEqual(session.values().slice(0, 2), ["ann", "admin"]);
    assert.deepEqual(session.items()[0], ["user", "ann"]);
    assert.deepEqual([...session].length, 5);
    assert.equal(session.user, "ann");
    assert.equal(session.none, undefined);
    assert.equal(session.get("none", "fallback"), "fallback");
    assert.equal(session.get("get"), "a value called like a method");
    assert.deepEqual(session.get("__proto__"), { polluted: true });
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    assert.ok(session.has("role") && !session.has("toString") && !session.has("none"));
    session.remove("role");
    session.remove("none");
    assert.ok(!session.has("role"));
  });
  assert.deepEqual(await run((was) => was.session.keys()), [
    "user",
    "get",
    "__proto__",
    "constructor",
  ]);
  await run((was) => {
    was.session.clear();
    assert.equal(was.session.size, 0);
  });
  assert.equal(visitor.cookies.size, 0);
});

Deno.test("SES-02 CKY-01 setting a member by property is an error, and hides nothing", async () => {
  const { visitor, run } = visit();
  await run(({ session, cookie }) => {
    for (const values of [session, cookie]) {
      for (const name of ["get", "set", "keys", "size", "constructor", "remove"]) {
        assert.throws(() => values[name] = 1, TypeError, name);
      }
      assert.equal(values.size, 0);
    }
    assert.throws(() => session.touch = 1 as never, TypeError);
    assert.throws(() => (session as { id: string }).id = "x", TypeError);
    session.user = "ann";
  });
  assert.deepEqual([...visitor.cookies.keys()], ["sk.sid"]);
  assert.deepEqual(await run((was) => was.session.items()), [["user", "ann"]]);
});

Deno.test("SES-03 a change extends the session by the timeout, reading does not", async () => {
  using clock = new StoppedClock();
  const { visitor, run, app } = visit();
  assert.equal(app.sessionTimeout, 1200);
  await run((was) => was.session.set("a", 1));
  clock.pass(700);
  assert.equal(await run((was) => was.session.get("a")), 1);
  clock.pass(499);
  assert.equal(await run((was) => was.session.get("a")), 1, "a second before");
  const old = visitor.copy();
  await run((was) => was.session.remove("none"));
  assert.deepEqual(visitor.lines, [], "removing what is not there changes nothing");
  await run((was) => was.session.set("b", 2));
  assert.match(visitor.lines[0]!, /Max-Age=1200/);
  clock.pass(1);
  assert.equal(await run((was) => was.session.size, { as: old }), 0, "not extended by reading");
  clock.pass(1198);
  await run((was) => was.session.remove("b"));
  clock.pass(1199);
  assert.equal(await run((was) => was.session.get("a")), 1);
  clock.pass(1);
  assert.equal(await run((was) => was.session.get("a")), undefined);

  app.sessionTimeout = 60;
  await run((was) => was.session.set("c", 1));
  assert.match(visitor.lines[0]!, /Max-Age=60/);
  clock.pass(60);
  assert.deepEqual(await run((was) => was.session.keys()), []);
});

Deno.test("SES-04 touching extends without a change, and makes nothing of nothing", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  await run((was) => was.session.touch());
  assert.deepEqual(visitor.lines, []);
  await run((was) => was.session.set("a", 1));
  for (let i = 0; i < 3; i++) {
    clock.pass(1100);
    await run((was) => was.session.touch());
  }
  assert.equal(await run((was) => was.session.get("a")), 1);
});

Deno.test("SES-05 an expiry of its own stays until less than the usual time is left", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  const day = 86_400;
  await run((was) => {
    was.session.setExpiry(day);
    was.session.set("a", 1);
  });
  assert.match(visitor.lines[0]!, /Max-Age=86400/);
  clock.pass(3600);
  await run((was) => was.session.set("b", 1));
  assert.match(visitor.lines[0]!, /Max-Age=82800/, "not extended");
  clock.pass(82800 - 600);
  await run((was) => was.session.set("c", 1));
  assert.match(visitor.lines[0]!, /Max-Age=1200/, "ten minutes were left");

  await run((was) => {
    was.session.set("a", 2);
    was.session.setExpiry(10);
    was.session.set("a", 3);
  });
  assert.match(visitor.lines[0]!, /Max-Age=10;/, "a shorter one counts in its request");
  await run((was) => {
    for (const seconds of [0, -1, NaN, 31 * day]) {
      assert.match(thrown(() => was.session.setExpiry(seconds)).message, /at most 2592000/);
    }
  });
});

Deno.test("SES-06 a session that expires is gone, and a copy of its cookie is worth nothing", async () => {
  const { visitor, run, app } = visit();
  await run((was) => was.session.set("user", "ann"));
  const thief = visitor.copy();
  assert.equal(await run((was) => was.session.user, { as: thief }), "ann");
  await run((was) => was.session.expire());
  assert.deepEqual(visitor.lines.map((line) => line.split(";").slice(0, 2).join(";")), [
    "sk.sid=; Max-Age=0",
  ]);
  assert.equal(visitor.cookies.size, 0);
  assert.equal(await run((was) => was.session.user, { as: thief }), undefined);

  // One that is emptied ends in the same way.
  await run((was) => was.session.set("user", "ann"));
  const other = visitor.copy();
  await run((was) => was.session.remove("user"));
  assert.match(visitor.lines[0]!, /^sk\.sid=; Max-Age=0/);
  assert.equal(await run((was) => was.session.user, { as: other }), undefined);

  // After the end, a new session begins.
  await run((was) => was.session.set("user", "ann"));
  const before = await run((was) => was.session.id);
  await run((was) => {
    was.session.expire();
    was.session.set("farewell", true);
  });
  assert.deepEqual(await run((was) => was.session.keys()), ["farewell"]);
  assert.notEqual(await run((was) => was.session.id), before);

  const nobody = new VisitorClient(app);
  await run((was) => was.session.clear(), { as: nobody });
  assert.deepEqual(nobody.lines, []);
});

Deno.test("SES-06 a logout whose request fails afterwards is taken back like everything else", async () => {
  const app = keyedApp();
  app.route("/in", (was) => (was.session.user = "ann", ""));
  app.route("/who", (was) => String(was.session.user));
  app.route("/out", (was) => {
    was.session.expire();
    throw new Error("planned");
  });
  const visitor = new VisitorClient(app);
  await visitor.get("/in");
  await logged(() => visitor.get("/out"));
  assert.equal((await visitor.get("/who")).text, "ann");
});

Deno.test("SES-06 SES-01 a login goes on under a fresh id, and what was known before ends", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  await run((was) => {
    was.session.set("cart", [1]);
    void was.csrfToken;
  });
  const fixed = visitor.copy();
  const anonymous = await run((was) => ({ id: was.session.id, csrf: was.csrfToken }));
  clock.pass(100);
  await run((was) => {
    was.session.renew();
    was.session.set("user", "ann");
  });
  const after = await run((was) => ({
    id: was.session.id,
    cart: was.session.cart,
    created: was.session.created,
    csrf: was.session.get("_csrf_token"),
  }));
  assert.notEqual(after.id, anonymous.id);
  assert.deepEqual([after.cart, after.created, after.csrf], [[1], clock.seconds, undefined]);
  assert.equal(await run((was) => was.session.size, { as: fixed }), 0);
});

Deno.test("SES-07 whatever is not a cookie of ours in force is an empty session, never an error", async () => {
  using clock = new StoppedClock();
  const { visitor, run, app } = visit();
  await run((was) => was.session.set("user", "ann"));
  const good = visitor.cookies.get("sk.sid")!;
  const [head, , iv, body, tag] = good.split(".") as [string, string, string, string, string];
  const flip = (text: string, at: number) =>
    text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
  const header = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const { kid } = decodeProtectedHeader(good);
  const secret = Buffer.from(
    hkdfSync("sha256", KEY, "skitai/securekey", "A256GCM sid", 32),
  );
  const foreign = await new CompactEncrypt(new TextEncoder().encode('{"i":"x"}'))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid })
    .encrypt(crypto.getRandomValues(new Uint8Array(32)));
  const otherOrder = await new CompactEncrypt(new TextEncoder().encode("{}"))
    .setProtectedHeader({ enc: "A256GCM", alg: "dir", kid }).encrypt(secret);
  const forged: Record<string, string> = {
    empty: "",
    junk: "junk",
    dots: "....",
    "no header": `..${iv}.${body}.${tag}`,
    "another tag": `${head}..${iv}.${body}.${flip(tag, 3)}`,
    "another body": `${head}..${iv}.${flip(body, 5)}.${tag}`,
    "another iv": `${head}..${flip(iv, 1)}.${body}.${tag}`,
    "the last bit of the tag, which base64 does not use": `${head}..${iv}.${body}.${
      tag.slice(0, -1)
    }${String.fromCharCode(tag.charCodeAt(21) + 1)}`,
    "a short tag": `${head}..${iv}.${body}.${tag.slice(0, 16)}`,
    "no tag": `${head}..${iv}.${body}.`,
    "no body": `${head}..${iv}..${tag}`,
    "cut off": good.slice(0, -5),
    "cut in the middle": good.slice(0, good.length / 2),
    "longer": `${good}A`,
    "a sixth part": `${good}.AAAA`,
    "a key in it": `${head}.AAAA.${iv}.${body}.${tag}`,
    "padding": `${good}==`,
    "standard base64": good.replaceAll("-", "+").replaceAll("_", "/") + "=",
    "no algorithm": `${header({ alg: "none", enc: "A256GCM", kid })}..${iv}.${body}.${tag}`,
    "a smaller cipher": `${header({ alg: "dir", enc: "A128GCM", kid })}..${iv}.${body}.${tag}`,
    "compressed": `${
      header({ alg: "dir", enc: "A256GCM", kid, zip: "DEF" })
    }..${iv}.${body}.${tag}`,
    "an unknown key": `${
      header({ alg: "dir", enc: "A256GCM", kid: "AAAAAAAA" })
    }..${iv}.${body}.${tag}`,
    "the key of somebody else": foreign,
    "a header written otherwise": otherOrder,
    "unsigned": `${header({ alg: "none" })}.${header({ i: "x" })}.`,
    "of a message box": new KeyRing(KEY).sealer("mbox").seal('{"i":"x"}'),
    "of a named session": new KeyRing(KEY).sealer("sid admin").seal('{"i":"x"}'),
    "of another app": new KeyRing(OTHER_KEY).sealer("sid").seal('{"i":"x"}'),
  };
  for (const [what, cookie] of Object.entries(forged)) {
    const forger = new VisitorClient(app);
    forger.cookies.set("sk.sid", cookie);
    if (cookie === good) continue;
    assert.deepEqual(
      await run((was) => [was.session.size, was.session.id, was.session.exists(null)], {
        as: forger,
      }),
      [0, "", false],
      what,
    );
    assert.deepEqual(forger.lines, [], `${what}: it is not deleted, another app may know it`);
  }
  assert.equal(await run((was) => was.session.user), "ann");

  app.sessionLifetime = 600;
  assert.equal(await run((was) => was.session.user), undefined, "ends later than is allowed now");
  app.sessionLifetime = 2_592_000;
  clock.pass(1200);
  assert.equal(await run((was) => was.session.user), undefined);
});

Deno.test("SES-07 SES-03 a session ends for good at the end of its lifetime, however busy it is", async () => {
  using clock = new StoppedClock();
  const { visitor, run, app } = visit();
  app.sessionLifetime = 3000;
  await run((was) => was.session.set("n", 0));
  for (let i = 1; i <= 2; i++) {
    clock.pass(1000);
    await run((was) => was.session.set("n", i));
  }
  assert.match(visitor.lines[0]!, /Max-Age=1000;/, "never beyond the lifetime");
  clock.pass(999);
  await run((was) => was.session.touch());
  assert.match(visitor.lines[0]!, /Max-Age=1;/);
  clock.pass(1);
  assert.equal(await run((was) => was.session.size), 0);
});

Deno.test("SES-08 the address of the last change is compared, and a session from elsewhere ends", async () => {
  const { visitor, run } = visit();
  const [home, elsewhere] = [{ remoteAddr: "192.0.2.1" }, { remoteAddr: "2001:db8::2" }];
  assert.equal(await run((was) => was.session.sourceVerified(), home), false, "no session yet");
  await run((was) => was.session.set("user", "ann"), home);
  assert.deepEqual(
    await run((was) => [was.session.sourceVerified(), was.session.getv("user", "-")], home),
    [true, "ann"],
  );
  assert.equal(await run((was) => was.session.sourceVerified(), elsewhere), false);
  assert.equal(await run((was) => was.session.get("user"), elsewhere), "ann", "get does not care");
  await run((was) => was.session.set("n", 1), elsewhere);
  assert.equal(await run((was) => was.session.sourceVerified(), elsewhere), true, "last change");
  const copy = visitor.copy();
  assert.deepEqual(
    await run((was) => [was.session.getv("user", "-"), was.session.size], { ...home, as: copy }),
    ["-", 0],
  );
  assert.match(copy.lines[0]!, /^sk\.sid=; Max-Age=0/);
  assert.equal(await run((was) => was.session.get("user"), elsewhere), undefined, "it has ended");
});

Deno.test("SES-08 a session that begins in a request comes from where the request does", async () => {
  const { visitor, run } = visit();
  const [home, elsewhere] = [{ remoteAddr: "192.0.2.1" }, { remoteAddr: "2001:db8::2" }];
  const login = (was: AtilaWas) => {
    was.session.set("user", "ann");
    return [was.session.sourceVerified(), was.session.getv("user", "-"), was.session.size];
  };
  assert.deepEqual(await run(login, home), [true, "ann", 1]);
  const copy = visitor.copy();
  assert.deepEqual(
    await run((was) => {
      was.session.touch();
      return was.session.sourceVerified();
    }, { ...elsewhere, as: copy }),
    false,
    "a change does not hide where it came from",
  );
  const again = await run((was) => {
    was.session.renew();
    return was.session.getv("user", "-");
  }, elsewhere);
  assert.equal(again, "ann", "whoever logs in is here");
});

Deno.test("SES-03 SES-05 SES-09 times that are no numbers are refused, not added as text", async () => {
  const { run, app } = visit();
  for (const seconds of ["60", NaN, 0, -5, null, undefined] as number[]) {
    assert.throws(() => app.sessionTimeout = seconds, {
      name: "RangeError",
      message: /^app\.sessionTimeout: .* seconds, expected a number above 0$/,
    });
    assert.throws(() => app.sessionLifetime = seconds, /^RangeError: app\.sessionLifetime: /);
  }
  assert.deepEqual([app.sessionTimeout, app.sessionLifetime], [1200, 30 * 86_400]);
  await run((was) => {
    assert.match(thrown(() => was.session.setExpiry("60" as never)).message, /in "60" seconds/);
    const options = { sessionTimeout: "60" as never };
    assert.match(thrown(() => was.session.mount("a", null, options)).message, /"60" seconds/);
  });
});

Deno.test("SES-09 SES-10 named sessions have cookies, keys, paths and times of their own", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  await run((was) => {
    was.session.set("user", "ann");
    was.session.mount("admin", OTHER_KEY, {
      path: "/admin",
      domain: "example.com",
      httpOnly: false,
      sameSite: "strict",
      sessionTimeout: 60,
    });
    assert.equal(was.session.size, 0, "it has values of its own");
    was.session.set("level", 9);
    was.session.mount();
    assert.equal(was.session.user, "ann", "what was changed before is kept");
    was.session.mount("admin", OTHER_KEY, { path: "/admin", domain: "example.com" });
    assert.equal(was.session.level, 9);
  });
  assert.equal(visitor.lines.length, 2);
  assert.match(visitor.lines[0]!, /^sk\.sid=.*Max-Age=1200; Path=\/;/);
  assert.match(
    visitor.lines[1]!,
    /^sk\.sid\.admin=.*Domain=example\.com; Path=\/admin; .*SameSite=Strict$/,
  );
  assert.ok(!visitor.lines[1]!.includes("HttpOnly"));
  await run((was) => {
    assert.equal(was.session.user, "ann", "each request begins with the default one");
    assert.ok(was.session.exists(null) && was.session.exists("admin", OTHER_KEY));
    assert.ok(!was.session.exists("admin"), "not with the key of the app");
    assert.ok(!was.session.exists("other"));
    was.session.mount("admin", OTHER_KEY, { path: "/admin", domain: "example.com" });
    assert.ok(was.session.exists("admin") && was.session.exists(null));
    assert.equal(was.session.level, 9);
    was.session.mount("other");
    assert.ok(!was.session.exists("other"), "mounting makes nothing");
  });
  assert.deepEqual(visitor.lines, []);

  // One moved to the place of the other opens nothing.
  const swapped = visitor.copy();
  swapped.cookies.set("sk.sid.other", visitor.cookies.get("sk.sid")!);
  assert.ok(!await run((was) => was.session.exists("other"), { as: swapped }));

  await run((was) => was.session.mount("admin", OTHER_KEY, { path: "/admin" }).expire());
  assert.ok(await run((was) => was.session.exists(null)));
  clock.pass(1200);
  assert.ok(!await run((was) => was.session.exists(null)));

  await run((was) => {
    for (const name of ["", "a b", "a;b", "__proto__;", "x".repeat(65), 5 as never]) {
      assert.match(thrown(() => was.session.mount(name)).message, /a name has 1 to 64 letters/);
    }
    assert.match(thrown(() => was.session.mount(null, null, { path: "/x" })).message, /share it/);
    for (
      const mount of [() => was.session.mount("a", "short"), () => was.mbox.mount("a", "short")]
    ) {
      assert.match(
        thrown(mount).message,
        /^mount\(name, key\): the key has 5 characters, .* code$/,
      );
    }
    assert.match(
      thrown(() => was.session.mount("a", null, { sessionTimeout: 0 })).message,
      /0 sec/,
    );
    was.session.mount(undefined, undefined, { path: "/" });
  });
});

Deno.test("SES-01 OPS-28 over TLS the cookie is Secure and bound to the host by its name", async () => {
  const app = keyedApp();
  app.route("/set", (was) => {
    was.session.set("a", 1);
    was.session.mount("x", null, { path: "/p" }).set("b", 2);
    return "";
  });
  app.route("/get", (was) => {
    const first = was.session.get("a", 0);
    return `${first} ${was.session.exists("x")} ${
      was.session.mount("x", null, { path: "/p" }).get("b", 0)
    }`;
  });
  const ask = (url: string, cookie = "") =>
    app.handle(
      new Request(url, { headers: { cookie } }),
      createContext({ url, mountPoint: "/" }),
    ) as Promise<Response>;
  const response = await ask("https://host/set");
  const lines = response.headers.getSetCookie();
  assert.match(lines[0]!, /^__Host-sk\.sid=.*; Path=\/; .*HttpOnly; Secure; SameSite=Lax$/);
  assert.match(lines[1]!, /^__Secure-sk\.sid\.x=.*; Path=\/p; .*Secure; /);
  const cookie = lines.map((line) => line.split(";")[0]).join("; ");
  assert.equal(await (await ask("https://host/get", cookie)).text(), "1 true 2");
  const planted = cookie.replaceAll(/__(Host|Secure)-/g, "");
  assert.equal(await (await ask("https://host/get", planted)).text(), "0 true 0");

  app.config.secureCookies = true;
  const behindProxy = (await ask("http://host/set")).headers.getSetCookie();
  assert.match(behindProxy[0]!, /^__Host-.*Secure/, "where a proxy ends TLS");
});

Deno.test("SES-01 MBX-01 TOK-04 apps of a host that have the same key share what they know of a visitor", async () => {
  const [shop, blog, foreign] = [keyedApp(), keyedApp(), keyedApp()];
  foreign.securekey = OTHER_KEY;
  shop.route("/login", (was) => {
    was.session.set("user", "ann");
    was.mbox.send("hello");
    return was.mktoken("token");
  });
  for (const app of [blog, foreign]) {
    app.route(
      "/who/<token>",
      (was, { token }) =>
        `${was.session.user} ${was.mbox.get().map(({ msg }) => msg)} ${was.detoken(token)}`,
    );
  }
  const buyer = new VisitorClient(shop, "/shop/");
  const { text: token } = await buyer.get("/login");
  assert.ok(buyer.lines.every((line) => /; Path=\/;/.test(line)));
  for (
    const [app, expected] of [
      [foreign, "undefined  undefined"],
      [blog, "ann hello token"],
    ] as const
  ) {
    const reader = new VisitorClient(app, "/blog/");
    for (const [name, value] of buyer.cookies) reader.cookies.set(name, value);
    assert.equal((await reader.get(`/who/${token}`)).text, expected);
  }
});

Deno.test("SES-01 a value that would make the cookie too large is refused when it is set", async () => {
  const { visitor, run, app } = visit();
  await run((was) => {
    was.session.set("small", 1);
    was.session.set("half", "x".repeat(1400));
    const { name, message } = thrown(() => was.session.set("large", { text: "ü".repeat(900) }));
    assert.equal(name, "RangeError");
    assert.match(
      message,
      /Cannot keep "large" in the session: its cookie would have 4\d\d\d bytes/,
    );
    assert.match(message, /browsers drop what has more than 4096/);
    assert.match(
      message,
      /The largest values: large \(18\d\d bytes\), half \(14\d\d bytes\), small/,
    );
    assert.ok(!was.session.has("large"), "and nothing has changed");
    was.session.set("half", "x");
    was.session.set("large", "x".repeat(1500));
  });
  assert.ok(visitor.lines[0]!.length <= 4096);
  assert.equal((await run((was) => was.session.get("large") as string)).length, 1500);

  // Right up to the limit, whatever is sent fits, and what is refused would not have.
  for (const fill of ["x", "ü", '"']) {
    const sizes: number[] = [];
    for (let n = 0; n < 3200; n += 1) {
      const fresh = new VisitorClient(app);
      if (n > 100 && n < 1200) n += 50;
      const refused = await run((was) => {
        try {
          was.session.set("v", fill.repeat(n));
        } catch {
          return true;
        }
        return false;
      }, { as: fresh });
      if (refused) break;
      sizes.push(fresh.lines[0]!.length);
    }
    assert.ok(
      Math.max(...sizes) <= 4096 && Math.max(...sizes) > 4000,
      `${fill} ${Math.max(...sizes)}`,
    );
  }
  assert.equal(await logged(() => run((was) => was.session.set("fine", 1))), "");
});

Deno.test("SES-01 SES-07 keys rotate without logging anybody out", async () => {
  const { visitor, run, app } = visit();
  await run((was) => was.session.set("user", "ann"));
  const sealedBefore = visitor.cookies.get("sk.sid")!;
  app.securekey = [OTHER_KEY, KEY];
  assert.equal(await run((was) => was.session.user), "ann", "what the old key has sealed");
  assert.deepEqual(visitor.lines, []);
  await run((was) => was.session.touch());
  const sealedAfter = visitor.cookies.get("sk.sid")!;
  assert.notEqual(
    decodeProtectedHeader(sealedBefore).kid,
    decodeProtectedHeader(sealedAfter).kid,
    "a change seals with the new one",
  );
  app.securekey = OTHER_KEY;
  assert.equal(await run((was) => was.session.user), "ann");
  const late = new VisitorClient(app);
  late.cookies.set("sk.sid", sealedBefore);
  assert.equal(await run((was) => was.session.size, { as: late }), 0, "the old key is gone");

  // A machine that does not know the new key yet does not destroy what it cannot read.
  app.securekey = KEY;
  assert.equal(await run((was) => was.session.size), 0);
  assert.equal(visitor.cookies.get("sk.sid"), sealedAfter);
});

Deno.test("SES-01 what is sealed is JWE that jose reads, and the other way round", async () => {
  const purpose = "sid";
  const secret = Buffer.from(
    hkdfSync("sha256", KEY, "skitai/securekey", `A256GCM ${purpose}`, 32),
  );
  const sealer = new KeyRing(KEY).sealer(purpose);
  for (const text of ["", "x", "ü€𝄞", "y".repeat(3000), '{"a":1}']) {
    const sealed = sealer.seal(text);
    assert.equal(sealed.length, sealer.sealedSize(Buffer.byteLength(text)));
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, secret, {
      keyManagementAlgorithms: ["dir"],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    assert.equal(new TextDecoder().decode(plaintext), text);
    const theirs = await new CompactEncrypt(new TextEncoder().encode(text))
      .setProtectedHeader(protectedHeader as never).encrypt(secret);
    // A sealer of its own, which has seen nothing yet.
    assert.equal(new KeyRing(KEY).sealer(purpose).open(theirs), text);
    assert.equal(new KeyRing(KEY).sealer(purpose).open(sealed), text);
    assert.notEqual(sealer.seal(text), sealed, "never the same twice");
  }
});

Deno.test("SES-01 a sealer remembers what it has opened, never what it has refused", () => {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const one = new Sealer([{ id: "one", secret }]);
  const other = new Sealer([{ id: "one", secret: crypto.getRandomValues(new Uint8Array(32)) }]);
  const sealed = Array.from({ length: 1500 }, (_, i) => one.seal(`text ${i}`));
  sealed.forEach((text, i) => {
    assert.equal(one.open(text), `text ${i}`);
    assert.equal(other.open(text), undefined);
    assert.equal(other.open(text), undefined);
  });
  assert.throws(() => new Sealer([]), /needs a key/);
});

Deno.test("SES-06 TOK-06 revocations hold until what they end would have ended anyway", () => {
  using clock = new StoppedClock();
  const revocations = new Revocations();
  const told: [string, number][] = [];
  const stop = revocations.onRevoked((...one) => told.push(one));
  revocations.revoke("a", clock.seconds + 100);
  revocations.revoke("past", clock.seconds);
  assert.deepEqual(["a", "b", "past"].map((id) => revocations.isRevoked(id)), [true, false, false]);
  clock.pass(50);
  revocations.revoke("a", clock.seconds + 10);
  clock.pass(49);
  assert.ok(revocations.isRevoked("a"), "a shorter time does not shorten it");
  clock.pass(1);
  assert.ok(!revocations.isRevoked("a"));
  revocations.revoke("a", clock.seconds + 100);
  assert.ok(revocations.isRevoked("a"), "and again");
  const [mark, until] = told.at(-1)!;
  assert.match(mark, /^[0-9a-f]{24}$/, "ids are not told");
  assert.deepEqual([...revocations.inForce()], [[mark, until]]);
  stop();
  revocations.revoke("b", clock.seconds + 5);
  assert.equal(told.length, 3);

  const elsewhere = new Revocations();
  elsewhere.accept(mark, until);
  assert.ok(elsewhere.isRevoked("a") && !elsewhere.isRevoked("b"));
  elsewhere.accept("0".repeat(24), clock.seconds);
  assert.deepEqual([...elsewhere.inForce()], [[mark, until]], "what is over is not taken");
  for (const wrong of [["a", until], [mark.toUpperCase(), until], [mark, NaN], [mark, "1"], [1]]) {
    assert.throws(() => elsewhere.accept(...wrong as [string, number]), TypeError);
  }

  const ids = Array.from({ length: 50_000 }, () => crypto.randomUUID());
  for (const id of ids) revocations.revoke(id, clock.seconds + 1000);
  assert.ok(ids.every((id) => revocations.isRevoked(id)));
  assert.ok(!ids.some((id) => revocations.isRevoked(`${id}x`)));
  assert.equal(revocations.dropped, 0);
});

Deno.test("TOK-06 TOK-07 what would have ended in a far future stays revoked after a restart", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const first = new Revocations({ directory });
    // A JWT whose end was meant in milliseconds, for one.
    const ends = { ms: Date.now(), huge: 1e300, never: Infinity, today: Date.now() / 1000 + 100 };
    for (const [id, until] of Object.entries(ends)) first.revoke(id, until);
    first.revoke("none", NaN);
    await first.settle();
    const next = new Revocations({ directory });
    for (const id of Object.keys(ends)) {
      assert.ok(first.isRevoked(id), id);
      assert.ok(next.isRevoked(id), `${id} after a restart`);
    }
    assert.ok(!next.isRevoked("none"));
    for (const { name } of Deno.readDirSync(directory)) assert.match(name, /^\d{5}$/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SES-06 TOK-06 revocations outlive the engine, and reach one that runs beside it", async () => {
  using clock = new StoppedClock();
  const directory = `${await Deno.makeTempDir()}/revocations`;
  const log: string[] = [];
  const options = {
    directory,
    log: {
      log: (text: string) => void log.push(text),
      trace: (error: unknown) => void log.push(String(error)),
    },
  };
  const first = new Revocations(options);
  const beside = new Revocations(options);
  first.revoke("a", clock.seconds + 100);
  first.revoke("c", clock.seconds + 3 * 86_400);
  await first.settle();
  first.revoke("b", clock.seconds + 100);
  beside.refresh();
  assert.deepEqual(["a", "b", "c", "d"].map((id) => beside.isRevoked(id)), [
    true,
    true,
    true,
    false,
  ]);
  first.revoke("d", clock.seconds + 100);
  beside.refresh();
  assert.ok(beside.isRevoked("d"), "read from where it stopped");

  for (const { name } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    await Deno.writeTextFile(path, "not a line\nffff\n", { append: true });
    await Deno.writeTextFile(path, "00000001000000020000000", { append: true });
  }
  clock.pass(2 * 86_400);
  const next = new Revocations(options);
  assert.deepEqual(["a", "c"].map((id) => next.isRevoked(id)), [false, true]);
  assert.equal([...Deno.readDirSync(directory)].length, 1, "files of past days are removed");
  assert.deepEqual(log, []);

  await Deno.remove(directory, { recursive: true });
  await Deno.writeTextFile(directory, "in the way");
  next.revoke("e", clock.seconds + 10);
  next.revoke("f", clock.seconds + 10);
  await next.settle();
  assert.ok(next.isRevoked("e"), "in memory it holds anyway");
  assert.equal(log.length, 1, "and the log says so, once a minute");
  await Deno.remove(directory.replace(/\/revocations$/, ""), { recursive: true });
});
