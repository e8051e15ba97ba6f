import assert from "node:assert/strict";
import * as health from "@skitai/skitai/atila/services/health";
import * as login from "@skitai/skitai/atila/services/login";
import { type AppAnswer, Atila } from "../../src/atila/mod.ts";

/** A visitor that keeps cookies and fills in forms. */
class Browser {
  #cookies = new Map<string, string>();
  #client;

  constructor(app: Atila, point = "/") {
    this.#client = app.makeClient(point);
  }

  async ask(
    method: string,
    path: string,
    form?: Record<string, string>,
    more: Record<string, string> = {},
  ): Promise<AppAnswer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers: Record<string, string> = cookie === "" ? more : { ...more, cookie };
    const answer = await this.#client.request(
      method,
      path,
      form === undefined ? undefined : new URLSearchParams(form),
      { headers },
    );
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (/max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) this.#cookies.delete(name!);
      else this.#cookies.set(name!, value!);
    }
    return answer;
  }

  /** The CSRF token of a page. */
  async token(path: string): Promise<string> {
    const { text } = await this.ask("GET", path);
    return /name="_csrf_token" value="([^"]+)"/.exec(text)![1]!;
  }
}

function shop(options: Partial<login.LoginOptions> = {}): Atila {
  const app = new Atila(import.meta.url);
  app.securekey = "0123456789abcdef0123456789abcdef";
  app.mountWith(login, {
    point: "/account",
    ns: "account",
    async verify(_was: unknown, name: string, password: string) {
      await Promise.resolve();
      return name === "kim" && password === "right" ? { name } : undefined;
    },
    ...options,
  });
  app.route("/", () => "home");
  app.route(
    "/cart",
    { use: [app.loginRequired] },
    (was) => `cart of ${(was.session.get("user") as { name: string }).name}`,
  );
  return app;
}

Deno.test("SUB-11 the login service: there, in, back where one wanted to go, out", async () => {
  const app = shop();
  const visitor = new Browser(app, "/shop/");
  const sent = await visitor.ask("GET", "/cart?x=1&y=2");
  assert.equal(sent.statusCode, 303);
  const location = sent.headers.get("location")!;
  assert.equal(location, "/shop/account/signin?next=%2Fshop%2Fcart%3Fx%3D1%26y%3D2");
  assert.equal(app.buildUrl("account.signin"), "/account/signin");

  const page = await visitor.ask("GET", location.slice("/shop".length));
  assert.equal(page.headers.get("cache-control"), "no-store");
  assert.match(page.text, /value="\/shop\/cart\?x=1&amp;y=2"/);
  const token = /name="_csrf_token" value="([^"]+)"/.exec(page.text)![1]!;
  const next = "/shop/cart?x=1&y=2";
  const form = { name: "kim", password: "wrong", next, _csrf_token: token };
  const wrong = await visitor.ask("POST", "/account/signin", form);
  assert.equal(wrong.statusCode, 401);
  assert.match(wrong.text, /role="alert">Wrong name or password[\s\S]*value="kim"/);
  assert.doesNotMatch(wrong.text, /value="wrong"/);

  const right = await visitor.ask("POST", "/account/signin", { ...form, password: "right" });
  assert.deepEqual([right.statusCode, right.headers.get("location")], [303, next]);
  assert.equal((await visitor.ask("GET", "/cart")).text, "cart of kim");
  assert.equal((await visitor.ask("GET", "/account/signin")).headers.get("location"), "/shop/");

  assert.equal((await visitor.ask("POST", "/account/signout", {})).statusCode, 403, "not our form");
  assert.equal((await visitor.ask("GET", "/cart")).statusCode, 200);
});

Deno.test("SUB-11 signing out, forged forms, JSON clients, open redirects", async () => {
  const app = shop();
  app.route("/form", (was) => was.csrfTokenInput);
  const visitor = new Browser(app);
  const token = await visitor.token("/account/signin");
  const form = { name: "kim", password: "right", _csrf_token: token };
  assert.equal(
    (await new Browser(app).ask("POST", "/account/signin", form)).statusCode,
    403,
    "the token of somebody else",
  );
  for (
    const next of ["//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "x", ""]
  ) {
    const someone = new Browser(app);
    const _csrf_token = await someone.token("/account/signin");
    const { headers } = await someone.ask("POST", "/account/signin", {
      ...form,
      _csrf_token,
      next,
    });
    assert.equal(headers.get("location"), "/", JSON.stringify(next));
  }
  const api = await visitor.ask("GET", "/cart", undefined, { accept: "application/json" });
  assert.deepEqual([api.statusCode, api.data.message], [401, "Sign in first"]);

  assert.equal((await visitor.ask("POST", "/account/signin", form)).statusCode, 303);
  const _csrf_token = await visitor.token("/form");
  const out = await visitor.ask("POST", "/account/signout", { _csrf_token });
  assert.deepEqual([out.statusCode, out.headers.get("location")], [303, "/"]);
  assert.equal((await visitor.ask("GET", "/cart")).statusCode, 303);
});

Deno.test("SUB-11 after some wrong passwords a name has to wait, others do not", async () => {
  const app = shop({ maxFailures: 2, waitSeconds: 60 });
  const visitor = new Browser(app);
  const _csrf_token = await visitor.token("/account/signin");
  const status = async (name: string, password: string) => {
    const answer = await visitor.ask("POST", "/account/signin", { name, password, _csrf_token });
    return answer.statusCode;
  };
  assert.deepEqual([await status("kim", "a"), await status("kim", "b")], [401, 401]);
  const late = await visitor.ask("POST", "/account/signin", {
    name: "kim",
    password: "right",
    _csrf_token,
  });
  assert.equal(late.statusCode, 429);
  assert.ok(Number(late.headers.get("retry-after")) > 50);
  assert.match(late.text, /Too many attempts/);
  assert.equal(await status("lee", "a"), 401);
  assert.throws(() => new Atila(import.meta.url).mountWith(login), /needs verify/);
});

Deno.test("SUB-11 passwords tried at once, or with a name written otherwise, count as well", async () => {
  const app = new Atila(import.meta.url);
  app.securekey = "a key of tests with more than enough characters";
  let verified = 0;
  let isBroken = false;
  let answers = Promise.withResolvers<undefined>();
  app.mountWith(login, {
    point: "/account",
    maxFailures: 3,
    verify: async (_was: unknown, _name: string, password: string) => {
      verified++;
      await answers.promise;
      if (isBroken) throw new Error("the database is away");
      return password === "right" ? "kim" : undefined;
    },
  });
  const visitor = new Browser(app);
  const _csrf_token = await visitor.token("/account/signin");
  const ask = (name: string, password = "wrong") =>
    visitor.ask("POST", "/account/signin", { name, password, _csrf_token });
  const all = Array.from({ length: 20 }, () => ask("kim"));
  while (verified < 3) await new Promise((resolve) => setTimeout(resolve));
  answers.resolve(undefined);
  const statuses = (await Promise.all(all)).map(({ statusCode }) => statusCode);
  assert.equal(verified, 3, "passwords that were looked at");
  assert.deepEqual(statuses.filter((status) => status === 401).length, 3);
  for (const name of ["KIM", " kim ", "\uff4bim"]) {
    assert.equal((await ask(name, "right")).statusCode, 429, name);
  }

  // What could not be verified is no failure of who asks.
  isBroken = true;
  answers = Promise.withResolvers();
  answers.resolve(undefined);
  for (let i = 0; i < 5; i++) assert.equal((await ask("lee")).statusCode, 500);
  isBroken = false;
  assert.equal((await ask("lee", "right")).statusCode, 303);
});

Deno.test("SUB-11 the health service, free of authentication, and what it checks", async () => {
  const app = new Atila(import.meta.url);
  app.authenticate = "basic";
  app.users = new Map([["kim", "secret"]]);
  let isThere = true;
  app.mountWith(health, {
    timeoutMs: 20,
    checks: {
      stock: () => isThere ? Promise.resolve() : Promise.reject(new Error("stock is away")),
      slow: () => isThere ? "at once" : new Promise(() => {}),
    },
  });
  const client = app.makeClient();
  assert.deepEqual((await client.get("/healthz")).data, { status: "ok" });
  const ready = await client.get("/readyz");
  assert.deepEqual([ready.statusCode, ready.data], [200, { stock: "ok", slow: "ok" }]);
  isThere = false;
  const away = await client.get("/readyz");
  assert.deepEqual([away.statusCode, away.data], [503, { stock: "failed", slow: "failed" }]);
  assert.equal((await client.get("/healthz")).statusCode, 200);
  assert.equal(away.headers.get("cache-control"), "no-store");
});
