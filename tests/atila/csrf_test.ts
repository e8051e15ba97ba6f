import assert from "node:assert/strict";
import { keyedApp, logged, VisitorClient } from "../_support/visitor.ts";

function formApp() {
  const app = keyedApp();
  app.route("/form", (was) => was.csrfTokenInput);
  app.route("/token", (was) => was.csrfToken);
  app.route("/twice", (was) => `${was.csrfToken === was.csrfToken}`);
  app.route("/keys", (was) => was.session.keys().join());
  app.route("/send", { methods: ["POST", "GET", "PUT"] }, (was) => String(was.csrfVerify()));
  app.route("/keep", { methods: ["POST"] }, (was) => String(was.csrfVerify(true)));
  app.route("/read", { methods: ["POST"], stream: true }, async (was) => {
    const before = was.csrfVerify(true);
    await was.readForm();
    return `${before} ${was.csrfVerify(true)}`;
  });
  app.route("/fails", { methods: ["POST"] }, (was) => {
    if (was.csrfVerify()) throw new Error("planned");
    return "false";
  });
  return { app, visitor: new VisitorClient(app) };
}

Deno.test("TOK-01 the token is random, made on first use and kept in the session", async () => {
  const { app, visitor } = formApp();
  const { text } = await visitor.get("/token");
  assert.match(text, /^[\w-]{32}$/);
  assert.equal(visitor.lines.length, 1);
  assert.equal((await visitor.get("/token")).text, text);
  assert.deepEqual(visitor.lines, [], "it is there already");
  assert.equal((await visitor.get("/keys")).text, "_csrf_token");
  assert.equal((await new VisitorClient(app).get("/twice")).text, "true");
  assert.notEqual((await new VisitorClient(app).get("/token")).text, text);
});

Deno.test("TOK-02 the element for forms has the token", async () => {
  const { visitor } = formApp();
  const token = (await visitor.get("/token")).text;
  assert.equal(
    (await visitor.get("/form")).text,
    `<input type="hidden" name="_csrf_token" value="${token}">`,
  );
});

Deno.test("TOK-03 a form with the token is genuine, once", async () => {
  const { visitor } = formApp();
  const _csrf_token = (await visitor.get("/token")).text;
  assert.equal((await visitor.post("/keep", { _csrf_token })).text, "true");
  assert.equal((await visitor.post("/keep", { _csrf_token, other: "x" })).text, "true");
  assert.equal((await visitor.post("/send", { _csrf_token })).text, "true");
  assert.equal((await visitor.post("/send", { _csrf_token })).text, "false", "used up");
  assert.notEqual((await visitor.get("/token")).text, _csrf_token);
});

Deno.test("TOK-03 whatever else is sent is not genuine, and uses nothing up", async () => {
  const { app, visitor } = formApp();
  const _csrf_token = (await visitor.get("/token")).text;
  const foreign = (await new VisitorClient(app).get("/token")).text;
  const text = async (sent: Promise<{ text: string }>) => (await sent).text;
  assert.equal(await text(visitor.post("/send")), "false", "missing");
  assert.equal(await text(visitor.post("/send", { _csrf_token: "" })), "false");
  assert.equal(await text(visitor.post("/send", { _csrf_token: foreign })), "false");
  assert.equal(await text(visitor.post("/send", { _csrf_token: _csrf_token.slice(1) })), "false");
  assert.equal(await text(visitor.post("/send", { _csrf_token: `${_csrf_token}x` })), "false");
  assert.equal(await text(visitor.post(`/send?_csrf_token=${_csrf_token}`)), "false", "query");
  assert.equal(await text(visitor.get(`/send?_csrf_token=${_csrf_token}`)), "false", "query");
  const twice = `_csrf_token=${_csrf_token}&_csrf_token=${_csrf_token}`;
  const form = { "content-type": "application/x-www-form-urlencoded" };
  assert.equal(await text(visitor.request("POST", "/send", twice, { headers: form })), "false");
  for (const value of [1, null, true, [_csrf_token], { _csrf_token }]) {
    assert.equal(
      await text(visitor.request("POST", "/send", { _csrf_token: value })),
      "false",
      JSON.stringify(value),
    );
  }
  const proto = `{"__proto__": {"_csrf_token": "${_csrf_token}"}}`;
  const json = { "content-type": "application/json" };
  assert.equal(await text(visitor.request("POST", "/send", proto, { headers: json })), "false");
  const other = new VisitorClient(app);
  assert.equal(await text(other.post("/send", { _csrf_token })), "false", "no session");
  assert.equal(await text(other.post("/send", { _csrf_token: "undefined" })), "false");
  assert.equal(await text(visitor.post("/send", { _csrf_token })), "true", "still there");
});

Deno.test("TOK-03 JSON, multipart and a header carry the token as well", async () => {
  const { visitor } = formApp();
  const _csrf_token = (await visitor.get("/token")).text;
  assert.equal((await visitor.request("POST", "/keep", { _csrf_token })).text, "true");
  const form = new FormData();
  form.set("_csrf_token", _csrf_token);
  form.set("file", new File(["x"], "x.txt"));
  assert.equal((await visitor.request("POST", "/keep", form)).text, "true");
  assert.equal(
    (await visitor.request("POST", "/read", form)).text,
    "false true",
    "a form that the route has read itself",
  );
  const header = { "x-csrf-token": _csrf_token };
  assert.equal((await visitor.request("PUT", "/send", "raw", { headers: header })).text, "true");
  const wrong = (await visitor.get("/token")).text;
  assert.equal(
    (await visitor.post("/send", { _csrf_token: "wrong" }, { "x-csrf-token": wrong })).text,
    "false",
    "the field counts where there is one",
  );
});

Deno.test("TOK-03 CKY-05 a handler that fails has used nothing up", async () => {
  const { visitor } = formApp();
  const _csrf_token = (await visitor.get("/token")).text;
  await logged(() => visitor.post("/fails", { _csrf_token }));
  assert.equal((await visitor.post("/send", { _csrf_token })).text, "true");
});
