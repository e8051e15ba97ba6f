import assert from "node:assert/strict";
import type { AtilaWas } from "../../src/atila/mod.ts";
import { keyedApp, logged, OTHER_KEY, StoppedClock, VisitorClient } from "../_support/visitor.ts";

/** A visitor of an app whose only route runs what is given. */
function visit() {
  const app = keyedApp();
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
    async run<T>(
      handler: (was: AtilaWas) => T,
      { as = visitor, remoteAddr }: { as?: VisitorClient; remoteAddr?: string } = {},
    ): Promise<T> {
      next = handler;
      const answer = await as.get("/run", remoteAddr === undefined ? {} : { remoteAddr });
      assert.equal(answer.statusCode, 200, answer.text);
      return result as T;
    },
  };
}

const texts = (was: AtilaWas) => was.mbox.get().map(({ msg }) => msg);

Deno.test("MBX-01 MBX-02 a message is shown once, on the next page, however late that is", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  await run((was) => {
    was.mbox.send("Saved");
    was.mbox.push("Look here", "warn", { link: "/x", n: 1 });
  });
  assert.match(
    visitor.lines[0]!,
    /^sk\.mbox=ey.*Max-Age=34560000; Path=\/; .*HttpOnly; SameSite=Lax/,
  );
  assert.ok(!visitor.lines[0]!.includes("Saved"));
  const sentAt = clock.seconds;
  clock.pass(300 * 86_400);
  await run(() => "a page that does not look leaves them");
  assert.deepEqual(visitor.lines, []);
  const messages = await run((was) => was.mbox.get());
  assert.deepEqual(messages, [
    { id: 1, category: "info", created: sentAt, valid: 0, msg: "Saved", extra: {} },
    {
      id: 2,
      category: "warn",
      created: sentAt,
      valid: 0,
      msg: "Look here",
      extra: { link: "/x", n: 1 },
    },
  ]);
  assert.match(visitor.lines[0]!, /^sk\.mbox=; Max-Age=0/);
  assert.deepEqual(await run(texts), []);
});

Deno.test("MBX-02 MBX-01 timed messages stay until their time is over", async () => {
  using clock = new StoppedClock();
  const { visitor, run } = visit();
  await run((was) => {
    was.mbox.send("a minute", "info", { valid: 60 });
    was.mbox.send("an hour", "info", { valid: 3600 });
  });
  assert.match(
    visitor.lines[0]!,
    /Max-Age=3600;/,
    "the cookie is kept as long as the last of them",
  );
  assert.deepEqual(await run(texts), ["a minute", "an hour"]);
  assert.deepEqual(visitor.lines, [], "reading changes nothing");
  clock.pass(59);
  assert.deepEqual(await run(texts), ["a minute", "an hour"]);
  clock.pass(1);
  assert.deepEqual(await run(texts), ["an hour"]);
  clock.pass(3540);
  assert.deepEqual(await run(texts), []);
  assert.equal(visitor.cookies.size, 0);
  await run((was) => {
    for (const valid of [-1, NaN, Infinity, "5" as never]) {
      assert.throws(() => was.mbox.send("x", "info", { valid }), /valid for .* seconds/);
    }
  });
});

Deno.test("MBX-02 CKY-05 messages a page has read stay when the page fails", async () => {
  const { app, visitor, run } = visit();
  app.route("/fails", (was) => {
    was.mbox.get();
    throw new Error("planned");
  });
  await run((was) => was.mbox.send("once"));
  await logged(() => visitor.get("/fails"));
  assert.deepEqual(visitor.lines, []);
  assert.deepEqual(await run(texts), ["once"]);
});

Deno.test("MBX-03 reading by category, by several, and by an extra value leaves the others", async () => {
  const { run } = visit();
  const send = (was: AtilaWas) => {
    was.mbox.send("i", "info");
    was.mbox.send("w", "warn");
    was.mbox.send("e", "error", { field: "email" });
    was.mbox.send("f", "error", { field: "name", line: 3 });
  };
  const left = (was: AtilaWas) => texts(was).join("");
  const read = async (...filter: unknown[]): Promise<string> => {
    await run(send);
    const found = await run((was) =>
      was.mbox.get(...filter as [string]).map(({ msg }) => msg).join("")
    );
    return `${found} ${await run(left)}`;
  };
  assert.equal(await read("error"), "ef iw");
  assert.equal(await read("info", "warn"), "iw ef");
  assert.equal(await read(["info", "error"]), "ief w");
  assert.equal(await read("info", "warn", "error"), "iwef ");
  assert.equal(await read("field", "email"), "e iwf");
  assert.equal(await read("line", 3), "f iwe");
  assert.equal(await read("line", "3"), " iwef");
  assert.equal(await read("none"), " iwef");
  assert.equal(await read("toString", undefined), " iwef");
});

Deno.test("MBX-04 MBX-05 messages are found by an extra value or a category, and removed by id", async () => {
  const { visitor, run } = visit();
  const ids = await run((was) => [
    was.mbox.send("a", "info", { order: 7 }),
    was.mbox.send("b", "warn", { order: 8 }),
    was.mbox.send("c", "warn", { order: 7 }),
  ]);
  await run((was) => {
    assert.deepEqual(was.mbox.search("order", 7), [ids[0], ids[2]]);
    assert.deepEqual(was.mbox.search("warn"), [ids[1], ids[2]]);
    assert.deepEqual(was.mbox.search("order"), [], "a category called order");
    assert.deepEqual(was.mbox.search("constructor", Object), []);
  });
  assert.deepEqual(visitor.lines, [], "searching is not reading");
  await run((was) => {
    for (const id of was.mbox.search("order", 7)) was.mbox.remove(id);
    was.mbox.remove(99);
  });
  const fourth = await run((was) => was.mbox.send("d"));
  assert.ok(
    !ids.includes(fourth) || fourth === ids[2],
    "ids are unique among those that are there",
  );
  assert.deepEqual(await run(texts), ["b", "d"]);
});

Deno.test("MBX-05 clearing removes what came, also where nobody has read it before", async () => {
  const { visitor, run } = visit();
  const send = (was: AtilaWas) => {
    was.mbox.send("a");
    was.mbox.send("b", "info", { valid: 600 });
  };
  await run(send);
  await run((was) => was.mbox.clear());
  assert.match(visitor.lines.join(), /Max-Age=0/);
  assert.deepEqual(await run(texts), []);
  await run(send);
  await run((was) => {
    was.mbox.clear();
    was.mbox.send("c");
  });
  assert.deepEqual(await run(texts), ["c"]);
  await run((was) => was.mbox.clear());
  assert.deepEqual(visitor.lines, [], "where nothing came nothing is removed");
});

Deno.test("MBX-06 what is sent and read in one request never touches the cookie", async () => {
  const { app, visitor, run } = visit();
  const long = "x".repeat(100_000);
  const read = await run((was) => {
    was.mbox.send(long);
    was.mbox.send("gone", "warn");
    was.mbox.remove(was.mbox.search("warn")[0]!);
    return texts(was);
  });
  assert.deepEqual(read, [long]);
  assert.deepEqual(visitor.lines, []);

  app.route("/too-much", (was) => {
    was.mbox.send(long);
    return "";
  });
  let answer = await visitor.get("/run");
  const log = await logged(async () => answer = await visitor.get("/too-much"));
  assert.equal(answer.statusCode, 500);
  assert.match(
    log,
    /Cannot keep 1 messages that were not read in the message box: .* 133\d\d\d bytes/,
  );
  assert.deepEqual(visitor.lines, []);
});

Deno.test("MBX-06 a timed message of the same request is kept although it was read", async () => {
  const { visitor, run } = visit();
  await run((was) => {
    was.mbox.send("stays", "info", { valid: 60 });
    texts(was);
  });
  assert.equal(visitor.lines.length, 1);
  assert.deepEqual(await run(texts), ["stays"]);
});

Deno.test("MBX-07 the source is checked, and boxes have names and keys of their own", async () => {
  const { visitor, run } = visit();
  const [home, elsewhere] = [{ remoteAddr: "192.0.2.1" }, { remoteAddr: "192.0.2.2" }];
  await run((was) => was.mbox.send("private"), home);
  const copy = visitor.copy();
  assert.equal(await run((was) => was.mbox.sourceVerified(), elsewhere), false);
  assert.deepEqual(await run((was) => was.mbox.getv(), { ...elsewhere, as: copy }), []);
  assert.match(copy.lines[0]!, /^sk\.mbox=; Max-Age=0/);
  assert.deepEqual(await run((was) => was.mbox.getv("none"), home), []);
  assert.deepEqual(await run((was) => was.mbox.getv().map(({ msg }) => msg), home), ["private"]);

  await run((was) => {
    was.mbox.send("default");
    was.mbox.mount("staff", OTHER_KEY, { path: "/staff" }).send("for staff");
    was.mbox.mount().send("second");
  });
  assert.deepEqual(visitor.lines.map((line) => /^[^=]+|Path=[^;]+/g.exec(line)![0]), [
    "sk.mbox",
    "sk.mbox.staff",
  ]);
  assert.match(visitor.lines[1]!, /Path=\/staff;/);
  await run((was) => {
    assert.deepEqual(texts(was), ["default", "second"]);
    was.mbox.mount("staff", null, { path: "/staff" });
    assert.deepEqual(texts(was), [], "not with another key");
    was.mbox.mount("staff", OTHER_KEY, { path: "/staff" });
    assert.deepEqual(texts(was), ["for staff"]);
    assert.throws(() => was.mbox.mount("a b"), /a name has/);
    assert.throws(() => was.mbox.mount(null, null, { path: "/x" }), /share it/);
  });
});

Deno.test("MBX-07 MBX-06 what is sent in a request is there, whatever came from elsewhere", async () => {
  const { visitor, run } = visit();
  const sendAndGet = (was: AtilaWas) => {
    was.mbox.send("of this request");
    return was.mbox.getv().map(({ msg }) => msg);
  };
  assert.deepEqual(await run(sendAndGet), ["of this request"]);
  assert.deepEqual(visitor.lines, []);
  await run((was) => was.mbox.send("private"), { remoteAddr: "192.0.2.1" });
  assert.deepEqual(await run(sendAndGet, { remoteAddr: "192.0.2.2" }), ["of this request"]);
  assert.match(visitor.lines[0]!, /^sk\.mbox=; Max-Age=0/);
});

Deno.test("MBX-01 MBX-06 extra values JSON cannot say are fine until they have to be kept", async () => {
  const { app, visitor, run } = visit();
  const got = await run((was) => {
    was.mbox.send("now", "info", { n: 1n });
    return was.mbox.get()[0]!.extra.n;
  });
  assert.equal(got, 1n);
  app.route("/later", (was) => String(was.mbox.send("later", "info", { n: 1n })));
  const log = await logged(async () => {
    assert.equal((await visitor.get("/later")).statusCode, 500);
  });
  assert.match(
    log,
    /TypeError: Cannot keep 1 messages that were not read in the message box: .*Big/,
  );
});

Deno.test("MBX-01 forged boxes are empty, keys rotate, and __proto__ is a name like others", async () => {
  const { app, visitor, run } = visit();
  await run((was) =>
    was.mbox.send("m", "__proto__", JSON.parse('{"__proto__": {"polluted": 1}, "valid": 0}'))
  );
  const cookie = visitor.cookies.get("sk.mbox")!;
  const before = app.securekey;
  app.securekey = [OTHER_KEY, before as string];
  await run((was) => {
    assert.deepEqual(was.mbox.search("__proto__"), [1]);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
  for (const forged of ["", "x", cookie.slice(1), cookie.slice(0, -1), `${cookie}x`]) {
    const forger = new VisitorClient(app);
    forger.cookies.set("sk.mbox", forged);
    assert.deepEqual(await run(texts, { as: forger }), []);
  }
  app.securekey = undefined;
  const log = await logged(async () => assert.equal((await visitor.get("/run")).statusCode, 500));
  assert.match(log, /Messages need a key/);
});

Deno.test("MBX-02 messages are rendered by a template that reads them while it is written", async () => {
  const { app, visitor, run } = visit();
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(
    `${directory}/page.html`,
    "{% for m in was.mbox.get() %}<p class={{ m.category }}>{{ m.msg }}</p>{% endfor %}" +
      "{{ was.session.user }}{{ was.csrfTokenInput | safe }}",
  );
  app.templateDirs.push(directory);
  app.route("/page", (was) => was.render("page.html"));
  await run((was) => {
    was.mbox.send("<b>", "warn");
    was.session.user = "ann";
  });
  const { text } = await visitor.get("/page");
  assert.match(text, /^<p class=warn>&lt;b&gt;<\/p>ann<input type="hidden" name="_csrf_token" /);
  assert.deepEqual(visitor.lines.map((line) => line.split("=")[0]), ["sk.sid", "sk.mbox"]);
  assert.ok(!visitor.cookies.has("sk.mbox"));
  await Deno.remove(directory, { recursive: true });
});
