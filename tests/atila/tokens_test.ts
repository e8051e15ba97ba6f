import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import type { Atila, AtilaWas } from "../../src/atila/mod.ts";
import { KeyRing } from "../../src/atila/key_ring.ts";
import { KEY, keyedApp, OTHER_KEY, StoppedClock, VisitorClient } from "../_support/visitor.ts";

function visit(app: Atila = keyedApp()) {
  let next: (was: AtilaWas) => unknown = () => "";
  let result: unknown;
  app.route("/run", (was) => {
    result = next(was);
    return "";
  });
  const visitor = new VisitorClient(app);
  return {
    app,
    visitor,
    async run<T>(handler: (was: AtilaWas) => T, as: VisitorClient = visitor): Promise<T> {
      next = handler;
      const answer = await as.get("/run");
      assert.equal(answer.statusCode, 200, answer.text);
      return result as T;
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
/** A JWT made by hand, as a forger would. */
function handmade(header: unknown, claims: unknown, key: string, hash = "sha256"): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest("base64url")}`;
}

Deno.test("TOK-04 TOK-05 a token carries any value for its time, in characters safe in URLs", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  const values = [{ user: 7, list: [1, null, "ü/+?"] }, "text", 0, false, null, "", [{}]];
  for (const value of values) {
    const token = await run((was) => was.mktoken(value));
    assert.match(token, /^[\w.-]+$/);
    assert.deepEqual(await run((was) => was.detoken(token)), value);
  }
  assert.deepEqual(visitor.lines, [], "no session is needed");
  const [usual, short] = await run((was) => [was.mktoken(1), was.token(2, 10)]);
  clock.pass(9);
  assert.deepEqual(await run((was) => [was.detoken(usual!), was.detoken(short!)]), [1, 2]);
  clock.pass(1);
  assert.deepEqual(await run((was) => [was.detoken(usual!), was.detoken(short!)]), [1, undefined]);
  clock.pass(1190);
  assert.equal(await run((was) => was.detoken(usual!)), undefined);
  await run((was) => {
    assert.equal(was.detoken(was.mktoken(1, -1)), undefined);
    for (const value of [undefined, () => 1, Symbol("x"), NaN]) {
      assert.throws(
        () => was.mktoken(value),
        /^TypeError: Cannot make a token: .* no form in JSON/,
      );
    }
    assert.throws(() => was.mktoken({ n: 1n }), /^TypeError: Cannot make a token: .*BigInt/);
    assert.throws(() => was.mktoken(1, NaN), /NaN seconds/);
    const polluted = was.detoken(was.mktoken(JSON.parse('{"__proto__": {"x": 1}}'))) as object;
    assert.ok(Object.hasOwn(polluted, "__proto__") && !("x" in {}));
  });
});

Deno.test("TOK-04 TOK-05 TOK-06 TOK-07 tokens may stand in a path, where underscores read as blanks", async () => {
  const { app, visitor, run } = visit();
  const read: Record<string, unknown> = {};
  app.route("/open/<kind>/<token>", (was, { kind, token }) => {
    read[kind] = kind === "jwt" ? was.dejwt(token)?.username : was.detoken(token);
    if (kind === "end") was.rmtoken(token);
    return "";
  });
  for (let i = 0; i < 20; i++) {
    const [token, jwt] = await run((was) => [
      was.mktoken(i),
      was.mkjwt({ username: "?>~".repeat(i + 1) }),
    ]);
    await visitor.get(`/open/token/${token}`);
    await visitor.get(`/open/jwt/${jwt}`);
    assert.deepEqual([read.token, read.jwt], [i, "?>~".repeat(i + 1)]);
    await visitor.get(`/open/end/${token}`);
    await visitor.get(`/open/token/${token}`);
    assert.deepEqual([read.end, read.token], [i, undefined]);
  }
});

Deno.test("TOK-05 TOK-04 a forged, cut, swapped or foreign token is nothing", async () => {
  const { visitor, run, app } = visit();
  const token = await run((was) => {
    was.session.set("a", 1);
    return was.mktoken("value");
  });
  const last = token.at(-1) === "A" ? "B" : "A";
  const forged = [
    "",
    "x",
    token.slice(1),
    token.slice(0, -1),
    token + "x",
    token.slice(0, -1) + last,
    token.replace(/\.\./, ".AAAA."),
    ` ${token}`,
    `${token}\n`,
    visitor.cookies.get("sk.sid")!,
    new KeyRing(OTHER_KEY).sealer("token").seal('{"v":1,"e":9999999999,"n":"x"}'),
    await run((was) => was.mkjwt({ v: 1, e: 9999999999, n: "x" })),
    undefined as never,
    5 as never,
    {} as never,
  ];
  for (const text of forged) {
    assert.equal(await run((was) => was.detoken(text)), undefined, String(text));
  }
  app.securekey = [OTHER_KEY, KEY];
  assert.equal(await run((was) => was.detoken(token)), "value", "keys rotate");
  app.securekey = OTHER_KEY;
  assert.equal(await run((was) => was.detoken(token)), undefined);
});

Deno.test("TOK-06 a token with a session key is valid while that session holds its secret", async () => {
  const { app, visitor, run } = visit();
  const [token, other] = await run((was) => [
    was.mktoken("reset", 600, "reset"),
    was.mktoken("other", 600, "other"),
  ]);
  assert.equal(await run((was) => was.detoken(token!)), "reset");
  const thief = new VisitorClient(app);
  assert.equal(await run((was) => was.detoken(token!), thief), undefined, "not in another session");
  await run((was) => was.rmtoken(token!));
  assert.deepEqual(await run((was) => [was.detoken(token!), was.detoken(other!)]), [
    undefined,
    "other",
  ]);
  assert.equal(await run((was) => was.session.has("reset")), false);

  const renewed = await run((was) => was.mktoken("new", 600, "other"));
  assert.deepEqual(
    await run((was) => [was.detoken(other!), was.detoken(renewed)]),
    [undefined, "new"],
    "a new one of that key takes its place",
  );
  const cookieBefore = visitor.copy();
  await run((was) => was.session.remove("other"));
  assert.equal(await run((was) => was.detoken(renewed)), undefined);
  assert.equal(await run((was) => was.detoken(renewed), cookieBefore), undefined, "session ended");
  await run((was) => {
    was.session.set("x", 5);
    was.rmtoken("nonsense");
    assert.equal(was.detoken(renewed), undefined);
  });
});

Deno.test("TOK-06 a token without a session key is used up by revoking it", async () => {
  const { run } = visit();
  const token = await run((was) => was.mktoken({ order: 1 }));
  assert.deepEqual(await run((was) => was.detoken(token)), { order: 1 });
  await run((was) => was.rmtoken(token));
  assert.equal(await run((was) => was.detoken(token)), undefined);
  await run((was) => was.rmtoken(token));
});

Deno.test("TOK-07 a JWT is one that jose reads, and reading makes the user", async () => {
  const { run } = visit();
  const exp = Math.floor(Date.now() / 1000) + 60;
  const claims = { username: "ann", roles: ["a"], exp };
  const token = await run((was) => {
    const made = was.mkjwt(claims);
    const before: unknown = was.request.user;
    assert.equal(before, undefined);
    assert.deepEqual(was.dejwt(made), claims);
    assert.equal(was.request.user?.name, "ann");
    assert.deepEqual(was.request.user?.info, claims);
    return made;
  });
  const { payload, protectedHeader } = await jwtVerify(token, bytes(KEY));
  assert.deepEqual([payload, protectedHeader], [claims, { alg: "HS256", typ: "JWT" }]);
  const theirs = await new SignJWT({ username: "bob" }).setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1m").setNotBefore("0s").sign(bytes(KEY));
  await run((was) => {
    assert.equal(was.dejwt(theirs)?.username, "bob");
    assert.equal(was.request.user?.name, "bob");
  });
  await run((was) => {
    for (const username of ["", 5, null, { name: "x" }]) {
      assert.ok(was.dejwt(was.mkjwt({ username } as never)));
    }
    assert.equal(was.request.user, undefined);
  });
});

Deno.test("TOK-07 exp and nbf are honoured wherever they are", async () => {
  using clock = new StoppedClock();
  const { run } = visit();
  const at = (seconds: number) => clock.seconds + seconds;
  const token = await run((was) => was.mkjwt({ username: "ann", nbf: at(10), exp: at(20) }));
  const read = () => run((was) => was.dejwt(token)?.username);
  assert.equal(await read(), undefined);
  clock.pass(10);
  assert.equal(await read(), "ann");
  clock.pass(9);
  assert.equal(await read(), "ann");
  clock.pass(1);
  assert.equal(await read(), undefined);
  assert.equal(await run((was) => (was.dejwt(token), was.request.user)), undefined);
  const head = { alg: "HS256", typ: "JWT" };
  for (const claims of [{ exp: "9999999999" }, { exp: null }, { nbf: "0" }, { nbf: {} }]) {
    const odd = handmade(head, claims, KEY);
    assert.equal(await run((was) => was.dejwt(odd)), undefined, JSON.stringify(claims));
  }
  await run((was) => {
    for (const claims of [{ exp: "1" }, { nbf: NaN }, { iat: {} }]) {
      assert.throws(() => was.mkjwt(claims as never), /expected seconds/);
    }
    assert.throws(() => was.mkjwt(null as never), /claims are an object/);
    assert.throws(() => was.mkjwt([] as never), /claims are an object/);
  });
});

Deno.test("TOK-07 only configured algorithms are accepted, and forged tokens are nothing", async () => {
  const { run, app } = visit();
  const long = KEY + OTHER_KEY;
  app.securekey = long;
  const good = await run((was) => was.mkjwt({ username: "ann" }));
  const [head, body, signature] = good.split(".") as [string, string, string];
  const claims = { username: "root" };
  const forged: Record<string, string> = {
    "no algorithm": `${part({ alg: "none" })}.${body}.`,
    "no algorithm, with a signature": `${part({ alg: "none" })}.${body}.${signature}`,
    "None": `${part({ alg: "None" })}.${body}.${signature}`,
    "another algorithm that exists": handmade({ alg: "HS512" }, claims, long, "sha512"),
    "an asymmetric one": handmade({ alg: "RS256" }, claims, long),
    "a name of Object.prototype": handmade({ alg: "constructor" }, claims, long),
    "a list": handmade({ alg: ["HS256"] }, claims, long),
    "no alg": handmade({ typ: "JWT" }, claims, long),
    "an unknown extension": handmade({ alg: "HS256", crit: ["x"], x: 1 }, claims, long),
    "unencoded": handmade({ alg: "HS256", b64: false, crit: ["b64"] }, claims, long),
    "another key": handmade({ alg: "HS256" }, claims, OTHER_KEY),
    "an empty key": handmade({ alg: "HS256" }, claims, ""),
    "claims that are no object": handmade({ alg: "HS256" }, [1], long),
    "claims that are null": handmade({ alg: "HS256" }, null, long),
    "other claims": `${head}.${part(claims)}.${signature}`,
    "no signature": `${head}.${body}.`,
    "two parts": `${head}.${body}`,
    "a cut signature": good.slice(0, -1),
    "the unused bits of the signature": good.slice(0, -1) +
      String.fromCharCode(good.charCodeAt(good.length - 1) + 1),
    "padding": `${good}=`,
    "blank": ` ${good}`,
    "a line break": `${good}\n`,
    "a header that is not JSON": `${Buffer.from("{").toString("base64url")}.${body}.${signature}`,
    "a sealed token": await run((was) => was.mktoken(claims)),
    "nothing": "",
  };
  for (const [what, token] of Object.entries(forged)) {
    assert.equal(await run((was) => was.dejwt(token)), undefined, what);
  }
  assert.equal(await run((was) => was.dejwt(undefined as never)), undefined);
  assert.equal(await run((was) => was.dejwt(good)?.username), "ann");

  await run((was) => {
    assert.throws(() => was.mkjwt(claims, "HS512"), /jwtAlgorithms has HS256/);
    assert.throws(() => was.mkjwt(claims, "none" as never), /with none/);
  });
  app.config.jwtAlgorithms = ["HS512", "HS384"];
  const strong = await run((was) => was.mkjwt(claims, "HS512"));
  assert.deepEqual((await jwtVerify(strong, bytes(long))).payload, claims);
  await run((was) => {
    assert.deepEqual(was.dejwt(strong), claims);
    assert.deepEqual(was.dejwt(was.mkjwt(claims, "HS384")), claims);
    assert.equal(was.dejwt(good), undefined, "HS256 is not configured any more");
    app.config.jwtAlgorithms = ["RS256" as never];
    assert.throws(() => was.dejwt(good), /expected a list of HS256, HS384 and HS512/);
    app.config.jwtAlgorithms = ["HS512"];
    app.securekey = KEY;
    assert.throws(() => was.mkjwt(claims, "HS512"), /its key has 64 bytes or more/);
  });
});

Deno.test("TOK-07 keys rotate, and a JWT that expires can be revoked", async () => {
  const { run, app } = visit();
  const exp = Math.floor(Date.now() / 1000) + 60;
  const [token, other, endless] = await run((was) => [
    was.mkjwt({ username: "ann", exp }),
    was.mkjwt({ username: "bob", exp }),
    was.mkjwt({ username: "eve" }),
  ]);
  app.securekey = [OTHER_KEY, KEY];
  await run((was) => {
    assert.equal(was.dejwt(token!)?.username, "ann");
    was.rmtoken(token!);
    assert.equal(was.dejwt(token!), undefined);
    assert.equal(was.dejwt(other!)?.username, "bob");
    assert.throws(() => was.rmtoken(endless!), /JWT that never expires/);
    assert.equal(was.dejwt(was.mkjwt({ username: "new" }))?.username, "new");
  });
  app.securekey = OTHER_KEY;
  assert.equal(await run((was) => was.dejwt(other!)), undefined);
});

Deno.test("TOK-04 TOK-07 without a key it says how to set one; in life-cycle hooks tokens work", async () => {
  const { run, app } = visit();
  app.securekey = undefined;
  await run((was) => {
    for (
      const use of [
        () => was.mktoken(1),
        () => was.detoken("x"),
        () => was.mkjwt({}),
        () => was.dejwt("x"),
        () => was.rmtoken("x"),
      ]
    ) assert.throws(use, /app\.securekey: Tokens need a key/);
  });
  app.securekey = KEY;
  let made = "";
  app.mounted((was) => void (made = was.mktoken("hook")));
  await app.lifecycle("mounted");
  assert.equal(await run((was) => was.detoken(made)), "hook");
});

Deno.test("TOK-07 Python reads what we sign, and we read what Python signs", async () => {
  const { run } = visit();
  const token = await run((was) => was.mkjwt({ username: "ann" }));
  const program = `
import base64, hashlib, hmac, json, sys
key, token = sys.argv[1].encode(), sys.argv[2]
def enc(b): return base64.urlsafe_b64encode(b).rstrip(b"=").decode()
def dec(t): return base64.urlsafe_b64decode(t + "=" * (-len(t) % 4))
head, body, sig = token.split(".")
assert hmac.compare_digest(dec(sig), hmac.new(key, f"{head}.{body}".encode(), hashlib.sha256).digest())
claims = json.loads(dec(body)); claims["username"] += " of python"
text = enc(b'{"typ": "JWT", "alg": "HS256"}') + "." + enc(json.dumps(claims).encode())
print(text + "." + enc(hmac.new(key, text.encode(), hashlib.sha256).digest()), end="")
`;
  const output = await new Deno.Command("python3", { args: ["-c", program, KEY, token] }).output();
  assert.ok(output.success, new TextDecoder().decode(output.stderr));
  const theirs = new TextDecoder().decode(output.stdout);
  assert.equal(await run((was) => was.dejwt(theirs)?.username), "ann of python");
});
