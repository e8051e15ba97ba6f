import assert from "node:assert/strict";
import { jwtVerify, SignJWT } from "jose";
import { Atila } from "../../src/atila/mod.ts";
import { compose } from "../../src/core/handler.ts";
import { requestLog } from "../../src/middleware/request_log.ts";
import { eventually, startTestFront } from "../_support/fronts.ts";
import { curl } from "../_support/serve_handler.ts";
import { parseRequestLine } from "../../src/wire/request_line.ts";

const here = import.meta.url;

Deno.test("AUTH-09 bearer: accepted, refused with a reason, missing, malformed", async () => {
  const key = new TextEncoder().encode("0123456789abcdef0123456789abcdef");
  const sign = (subject: string, expires: string) =>
    new SignJWT({}).setSubject(subject).setProtectedHeader({ alg: "HS256" })
      .setExpirationTime(expires).sign(key);
  const app = new Atila(here);
  app.authenticate = "bearer";
  app.bearerHandler(async (was, token) => {
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: ["HS256"] });
      was.g.subject = payload.sub;
      return undefined;
    } catch {
      return 'invalid "token"\r\nX: y';
    }
  });
  app.route("/", (was) => `hello ${was.g.subject} ${was.request.token === undefined}`);
  const client = app.makeClient();
  const ask = async (authorization?: string) => {
    const headers: HeadersInit = authorization === undefined ? {} : { authorization };
    const { statusCode, text, headers: back } = await client.get("/", { headers });
    return statusCode === 200 ? text : `${statusCode} ${back.get("www-authenticate")}`;
  };
  const good = await sign("kim", "1m");
  assert.equal(await ask(`Bearer ${good}`), "hello kim false");
  assert.equal(await ask(`bearer   ${good} `), "hello kim false");
  const refused = '401 Bearer realm="App", error="invalid \\"token\\" X: y"';
  assert.equal(await ask(`Bearer ${await sign("kim", "-1m")}`), refused);
  assert.equal(await ask(`Bearer ${good.slice(0, -2)}xx`), refused);
  assert.equal(await ask(), '401 Bearer realm="App"');
  assert.equal(await ask("Bearer"), '401 Bearer realm="App"');
  assert.equal(await ask(`Basic ${btoa("a:b")}`), '401 Bearer realm="App"');
  assert.equal(await ask('Bearer a"b'), '401 Bearer realm="App", error="invalid_request"');
  app.bearerHandler(() => 7 as unknown as string);
  assert.match(await ask("Bearer x"), /^500/, "what is neither nothing nor text lets nobody in");
  const none = new Atila(here);
  none.route("/", { authenticate: "bearer" }, () => "in");
  assert.equal((await none.makeClient().get("/")).statusCode, 500, "without a handler, too");
});

Deno.test("AUTH-07 AUTH-09 the log has the name of the user, and of a token only its end", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  app.bearerHandler(() => undefined);
  app.route("/basic", { authenticate: "basic" }, () => "in");
  app.route("/bearer", { authenticate: "bearer" }, (was) => was.request.token!);
  const lines: string[] = [];
  await using front = await startTestFront(
    "fast",
    compose([
      requestLog({ log: { write: (line) => void lines.push(line) }, connections: () => 0 }),
    ], (req, ctx) => {
      ctx.mountPoint = "/";
      return app.handle(req, ctx);
    }),
  );
  assert.equal(await curl("-u", "kim:secret", `${front.url}/basic`), "in");
  await curl("-u", "kim:wrong", `${front.url}/basic`);
  const token = "abcdefghijklmnopqrstuvwxyz";
  assert.equal(await curl("-H", `Authorization: Bearer ${token}`, `${front.url}/bearer`), token);
  assert.equal(await curl("-H", "Authorization: Bearer sesame", `${front.url}/bearer`), "sesame");
  await eventually(() => lines.length === 4, "four lines");
  assert.deepEqual(lines.map((line) => parseRequestLine(line).user), ["kim", "", "", ""]);
  assert.ok(!lines.join().includes(token.slice(0, 10)), lines.join("\n"));
  assert.match(parseRequestLine(lines[2]!).token, /uvwxyz$/);
  assert.ok(!lines[3]!.includes("sesame"), "nothing is left to guess of a short one");
});
