import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Atila, type UserRecord } from "../../src/atila/mod.ts";
import { DigestAuthority } from "../../src/atila/auth/digest.ts";
import { NonceTable } from "../../src/store/nonce_table.ts";
import { parseParameters } from "../../src/atila/auth/authorization_header.ts";
import { openBrowser } from "../_support/browser.ts";
import { startTestFront, testTls } from "../_support/fronts.ts";
import { isMissing } from "../_support/services.ts";
import { curl, type ServedHandler, serveHandler } from "../_support/serve_handler.ts";

const here = import.meta.url;
const md5 = (text: string) => createHash("md5").update(text).digest("hex");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function serve(app: Atila): ServedHandler {
  return serveHandler((req, ctx) => {
    ctx.mountPoint = "/";
    return app.handle(req, ctx);
  });
}

/** Answers a challenge as a client does, with parts of it changed. */
function answer(
  challenge: string,
  { user = "kim", password = "secret", method = "GET", uri = "/", nc = "00000001", change = {} }: {
    user?: string;
    password?: string;
    method?: string;
    uri?: string;
    nc?: string;
    change?: Record<string, string | undefined>;
  } = {},
): string {
  const given = parseParameters(challenge.replace(/^Digest /, ""))!;
  const algorithm = given.get("algorithm")!;
  const hash = algorithm === "MD5" ? md5 : sha256;
  const realm = given.get("realm")!;
  const nonce = change.nonce ?? given.get("nonce")!;
  const ha1 = hash(`${user}:${realm}:${password}`);
  const response = hash(`${ha1}:${nonce}:${nc}:cn:auth:${hash(`${method}:${uri}`)}`);
  const fields: Record<string, string | undefined> = {
    username: user,
    realm,
    nonce,
    uri,
    response,
    algorithm,
    qop: "auth",
    nc,
    cnonce: "cn",
    opaque: given.get("opaque"),
    ...change,
  };
  return `Digest ${
    Object.entries(fields).filter(([, value]) => value !== undefined)
      .map(([name, value]) =>
        /^(nc|qop|algorithm)$/.test(name) ? `${name}=${value}` : `${name}="${value}"`
      )
      .join(", ")
  }`;
}

/** Challenges of a response, apart from each other. */
function challenges(headers: Headers): string[] {
  return (headers.get("www-authenticate") ?? "").split(/, (?=Digest )/);
}

Deno.test("AUTH-06 curl authenticates with SHA-256 and MD5, several requests on a connection", async () => {
  for (
    const [front, algorithms] of [
      ["fast", ["SHA-256", "MD5"]],
      ["edge", ["SHA-256", "MD5"]],
      ["fast", ["MD5"]],
      ["edge", ["SHA-256"]],
    ] as const
  ) {
    const app = new Atila(here);
    app.authenticate = "digest";
    app.digestAlgorithms = algorithms;
    app.users = new Map([["kim", "secret"]]);
    app.route("/a/<x>", (was, { x }) => `${x} ${was.request.user!.name}`);
    app.route("/post", { methods: ["POST"], args: { v: "" } }, (_was, { v }) => v);
    await using server = await startTestFront(front, (req, ctx) => {
      ctx.mountPoint = "/";
      return app.handle(req, ctx);
    });
    const text = await curl(
      "-v",
      "--stderr",
      "-",
      "--digest",
      "-u",
      "kim:secret",
      `${server.url}/a/1?q=x%20y`,
      `${server.url}/a/2`,
    );
    assert.match(text, /^1 kim/m);
    assert.match(text, /2 kim/);
    assert.match(text, new RegExp(`> authorization: Digest .*algorithm=${algorithms[0]}`, "i"));
    assert.equal(
      await curl("--digest", "-u", "kim:secret", "-d", "v=body", `${server.url}/post`),
      "body",
    );
    const status = (...args: string[]) =>
      curl("-o", "/dev/null", "-w", "%{http_code}", "--digest", ...args, `${server.url}/a/1`);
    assert.equal(await status("-u", "kim:wrong"), "401");
    assert.equal(await status("-u", "nobody:secret"), "401");
    assert.equal(await status(), "401");
  }
});

Deno.test("AUTH-06 over TLS and HTTP/2 on both fronts", async () => {
  const tls = await testTls();
  for (const front of ["fast", "edge"] as const) {
    const app = new Atila(here);
    app.authenticate = "digest";
    app.users = new Map([["kim", "secret"]]);
    app.route("/", (was) => `${was.request.version} ${was.request.user!.name}`);
    await using server = await startTestFront(front, (req, ctx) => {
      ctx.mountPoint = "/";
      return app.handle(req, ctx);
    }, { tls });
    assert.equal(
      await curl("-k", "--http2", "--digest", "-u", "kim:secret", `${server.url}/`),
      "2.0 kim",
      front,
    );
  }
});

Deno.test("AUTH-06 each challenge has a fresh nonce, and an opaque made of the realm", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.users = new Map([["kim", "secret"]]);
  app.route("/", () => "in");
  const client = app.makeClient();
  const [first, second] = [await client.get("/"), await client.get("/")];
  assert.equal(challenges(first.headers).length, 2);
  for (const { headers } of [first, second]) {
    for (const challenge of challenges(headers)) {
      assert.match(
        challenge,
        /^Digest realm="App", qop="auth", algorithm=(SHA-256|MD5), nonce="[\w-]{43}", opaque="[0-9a-f]{32}", charset=UTF-8$/,
      );
    }
  }
  const partOf = (res: typeof first, name: string) =>
    parseParameters(challenges(res.headers)[0]!.slice(7))!.get(name);
  assert.notEqual(partOf(first, "nonce"), partOf(second, "nonce"));
  assert.equal(partOf(first, "opaque"), partOf(second, "opaque"));
  app.realm = "Other";
  assert.notEqual(partOf(await client.get("/"), "opaque"), partOf(first, "opaque"));
});

Deno.test("AUTH-06 a request cannot be replayed; requests that overtake each other get in", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.users = new Map([["kim", "secret"]]);
  app.route("/", () => "in");
  const client = app.makeClient();
  for (const index of [0, 1]) {
    const challenge = challenges((await client.get("/")).headers)[index]!;
    const ask = async (nc: string) => {
      const headers = { authorization: answer(challenge, { nc }) };
      const { statusCode, headers: { get: _ }, headers: back } = await client.get("/", { headers });
      return statusCode === 200
        ? "in"
        : /stale=true/.test(back.get("www-authenticate")!)
        ? "stale"
        : "no";
    };
    const asked: string[] = [];
    for (
      const nc of [
        "00000001",
        "00000001",
        "00000003",
        "00000002",
        "00000002",
        "00000003",
        "000000ff",
        "000000be",
        "00000003",
        "000000bf",
        "0000ffff",
        "000000fe",
      ]
    ) asked.push(`${nc} ${await ask(nc)}`);
    assert.deepEqual(asked, [
      "00000001 in",
      "00000001 stale",
      "00000003 in",
      "00000002 in",
      "00000002 stale",
      "00000003 stale",
      "000000ff in",
      "000000be stale",
      "00000003 stale",
      "000000bf in",
      "0000ffff in",
      "000000fe stale",
    ]);
  }
});

Deno.test("AUTH-06 curl goes on by itself when its nonce is stale", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.digestNonceSeconds = 0.001;
  app.users = new Map([["kim", "secret"]]);
  let asked = 0;
  app.route("/", () => `in ${++asked}`);
  const client = app.makeClient();
  const [challenge] = challenges((await client.get("/")).headers);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const late = await client.get("/", { headers: { authorization: answer(challenge!) } });
  assert.equal(late.statusCode, 401);
  assert.match(late.headers.get("www-authenticate")!, /stale=true.*stale=true/);
  const wrong = { authorization: answer(challenge!, { password: "wrong" }) };
  assert.doesNotMatch(
    (await client.get("/", { headers: wrong })).headers.get("www-authenticate")!,
    /stale/,
    "who does not know the password is not told",
  );
  app.digestNonceSeconds = 300;
  assert.equal(asked, 0);
});

Deno.test("AUTH-06 nonces of others, and those that were forgotten, are stale", async () => {
  let now = 1_000_000_000;
  const make = (nonces = new NonceTable({ slots: 8 })) =>
    new DigestAuthority({ algorithms: ["SHA-256"], nonceSeconds: 60, nonces, now: () => now });
  const lookup = () => ({ password: "secret", encrypted: false, info: undefined });
  const [here, elsewhere] = [make(), make()];
  const check = async (authority: DigestAuthority, challenge: string, nc = "00000001") => {
    const verdict = await authority.check(
      { method: "GET", target: "/", credentials: answer(challenge, { nc }).slice(7) },
      "App",
      lookup,
    );
    return verdict.ok ? "in" : verdict.stale ? "stale" : "no";
  };
  const [challenge] = here.challenges("App");
  assert.equal(await check(elsewhere, challenge!), "stale", "of another engine");
  assert.equal(await check(here, challenge!), "in");
  const many: string[] = [];
  for (let i = 0; i < 20; i++) {
    now += 10;
    many.push(here.challenges("App")[0]!);
    assert.equal(await check(here, many[i]!), "in");
  }
  assert.equal(await check(here, challenge!), "stale", "forgotten, so it is not good any more");
  assert.equal(await check(here, many[19]!, "00000002"), "in");
  assert.equal(await check(here, many[19]!, "00000002"), "stale");
  now += 60_000;
  assert.equal(await check(here, many[19]!, "00000003"), "stale", "too old");
  now -= 3_600_000;
  assert.equal(await check(here, many[19]!, "00000004"), "stale", "of the future");

  // The clock was set back while the table was full; clients answer a stale nonce with a fresh one.
  const first = here.challenges("App")[0]!;
  assert.equal(await check(here, first), "stale");
  for (let i = 0; i < 20; i++) {
    now += 10;
    assert.equal(await check(here, here.challenges("App")[0]!), "in", "not an hour later");
  }
  now += 3_600_000 - 60_000;
  assert.equal(
    await check(here, many[19]!, "00000004"),
    "stale",
    "and nothing can be replayed later",
  );
});

Deno.test("AUTH-06 everything of the answer is checked", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.users = new Map([["kim", "secret"], ["Zoë", "ü"]]);
  app.route("/", () => "in");
  app.route("/other", () => "in");
  const client = app.makeClient();
  const status = async (authorization: string, path = "/") =>
    (await client.get(path, { headers: { authorization } })).statusCode;
  const fresh = async () => challenges((await client.get("/")).headers)[0]!;

  assert.equal(await status(answer(await fresh())), 200);
  assert.equal(await status(answer(await fresh(), { uri: "http://127.0.0.1:5000/" })), 200);
  assert.equal(await status(answer(await fresh()), "/other"), 401, "of another path");
  assert.equal(await status(answer(await fresh()), "/?q=1"), 401, "of another query");
  assert.equal(await status(answer(await fresh(), { method: "POST" })), 401, "of another method");
  for (
    const change of [
      { response: "0".repeat(64) },
      { response: "" },
      { realm: "Other" },
      { opaque: "0".repeat(32) },
      { opaque: undefined },
      { qop: "auth-int" },
      { qop: undefined },
      { nc: "1" },
      { nc: undefined },
      { cnonce: undefined },
      { uri: undefined },
      { username: undefined },
      { username: "lee" },
      { algorithm: "SHA-256-sess" },
      { algorithm: "MD5" },
      { nonce: "A".repeat(43) },
    ]
  ) {
    const expected = answer(await fresh(), { change });
    assert.equal(await status(expected), 401, JSON.stringify(change));
  }
  const good = answer(await fresh());
  assert.equal(await status(`${good}, username="kim"`), 401, "a name that stands there twice");
  assert.equal(await status(good.replace('"', "")), 401);
  assert.equal(await status(good), 200, "which took nothing from the right one");

  const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  const given = parseParameters((await fresh()).slice(7))!;
  const ha1 = sha256("Zoë:App:ü");
  const nonce = given.get("nonce")!;
  const response = sha256(`${ha1}:${nonce}:00000001:cn:auth:${sha256("GET:/")}`);
  assert.equal(
    await status(answer(await fresh(), { change: { username: utf8("Zoë"), nonce, response } })),
    200,
    "names in UTF-8",
  );
});

Deno.test("AUTH-06 AUTH-08 a realm beyond ASCII is one that clients can answer", async () => {
  const app = new Atila(here);
  app.users = new Map<string, UserRecord>([
    ["kim", "secret"],
    ["lee", [sha256('lee:Büro 漢 "7":secret'), true]],
  ]);
  app.authenticate = "digest";
  app.realm = 'Büro 漢 "7"';
  app.route("/", (was) => was.request.user!.realm!);
  await using server = serve(app);
  for (const name of ["kim", "lee"]) {
    assert.equal(await curl("--digest", "-u", `${name}:secret`, `${server.url}/`), app.realm);
  }
  assert.match(await curl("-i", "--digest", "-u", "kim:wrong", `${server.url}/`), /401/);
});

Deno.test("AUTH-06 an empty query is the same target with and without its question mark", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.users = new Map([["kim", "secret"]]);
  app.route("/", (was) => JSON.stringify(was.request.args));
  const client = app.makeClient();
  const status = async (path: string, uri: string) => {
    const challenge = challenges((await client.get("/")).headers)[0]!;
    const headers = { authorization: answer(challenge, { uri }) };
    return (await client.get(path, { headers })).statusCode;
  };
  assert.equal(await status("/?", "/?"), 200);
  assert.equal(await status("/?", "/"), 200);
  assert.equal(await status("/?", "http://127.0.0.1:5000/?"), 200);
  assert.equal(await status("/??", "/??"), 200);
  assert.equal(await status("/??", "/?"), 401);
  assert.equal(await status("/?a=?", "/?a=?"), 200);
});

Deno.test("AUTH-06 a name beyond ASCII may come in its extended form", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.users = new Map([["Zoë", "secret"], ["UTF-8''Zo%C3%AB", "secret"]]);
  app.route("/", (was) => was.request.user!.name);
  const client = app.makeClient();
  const ask = async (change: Record<string, string | undefined>, user = "Zoë") => {
    const challenge = challenges((await client.get("/")).headers)[0]!;
    const given = parseParameters(challenge.slice(7))!;
    const nonce = given.get("nonce")!;
    const response = sha256(
      `${sha256(`${user}:App:secret`)}:${nonce}:00000001:cn:auth:${sha256("GET:/")}`,
    );
    const headers = {
      authorization: answer(challenge, { change: { ...change, nonce, response } }),
    };
    const { statusCode, text } = await client.get("/", { headers });
    return statusCode === 200 ? text : statusCode;
  };
  const extended = { "username*": "UTF-8''Zo%C3%AB", username: undefined };
  assert.equal(await ask(extended), "Zoë");
  assert.equal(await ask({ ...extended, "username*": "utf-8'de'Zo%C3%AB" }), "Zoë");
  assert.equal(await ask({ ...extended, userhash: "false" }), "Zoë");
  for (
    const refused of [
      { ...extended, userhash: "true" },
      { ...extended, username: "Zo" },
      { ...extended, "username*": "UTF-8''Zo%C3" },
      { ...extended, "username*": "iso-8859-1''Zo%EB" },
      { ...extended, "username*": "Zo" },
    ]
  ) assert.equal(await ask(refused), 401, JSON.stringify(refused));
  assert.equal(await ask({ username: "UTF-8''Zo%C3%AB" }, "UTF-8''Zo%C3%AB"), "UTF-8''Zo%C3%AB");
});

Deno.test("AUTH-06 stored hashes instead of passwords", async () => {
  const app = new Atila(here);
  app.authenticate = "digest";
  app.realm = "Vault";
  app.users = new Map([
    ["old", [md5("old:Vault:abc"), true]],
    ["new", [sha256("new:Vault:abc").toUpperCase(), true, "info"]],
    ["moved", [md5("moved:Elsewhere:abc"), true]],
  ] as [string, [string, boolean]][]);
  app.route("/", (was) => `in ${was.request.user!.info}`);
  await using server = serve(app);
  const ask = (user: string) =>
    curl("-w", " %{http_code}", "-o", "/dev/null", "--digest", "-u", `${user}:abc`, server.url);
  assert.equal(await ask("new"), " 200");
  assert.equal(await ask("old"), " 401", "an MD5 hash says nothing about SHA-256");
  const plain = new Atila(here);
  Object.assign(plain, { authenticate: "digest", realm: "Vault", digestAlgorithms: ["MD5"] });
  plain.users = app.users;
  plain.route("/", () => "in");
  await using other = serve(plain);
  assert.equal(await curl("--digest", "-u", "old:abc", other.url), "in");
  assert.equal(
    await curl("-w", "%{http_code}", "-o", "/dev/null", "--digest", "-u", "moved:abc", other.url),
    "401",
    "of another realm",
  );
});

Deno.test({
  name: "AUTH-05 AUTH-06 Chromium signs in by digest and basic, page after page",
  ignore: isMissing("chromium"),
  // The browser keeps its own connections.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const app = new Atila(here);
    app.users = new Map([["kim", "secret"]]);
    for (const scheme of ["digest", "basic"] as const) {
      app.route(`/${scheme}/<page>`, { authenticate: scheme }, (was, { page }) => {
        return `<link rel="icon" href="data:,"><p>${page} ${was.request.user!.name}</p>` +
          (page === "first" ? `<script src="script"></script>` : "");
      });
    }
    await using server = serve(app);
    const browser = await openBrowser();
    try {
      for (const scheme of ["digest", "basic"]) {
        const context = await browser.newContext({
          httpCredentials: { username: "kim", password: "secret" },
        });
        const page = await context.newPage();
        for (const name of ["first", "second", "third"]) {
          const answer = await page.goto(`${server.url}/${scheme}/${name}`);
          assert.equal(answer!.status(), 200);
          assert.equal(await page.locator("p").innerText(), `${name} kim`);
        }
        await context.close();
        const stranger = await browser.newContext({
          httpCredentials: { username: "kim", password: "wrong" },
        });
        const refused = await (await stranger.newPage()).goto(`${server.url}/${scheme}/first`);
        assert.equal(refused!.status(), 401);
        await stranger.close();
      }
    } finally {
      await browser.close();
    }
  },
});
