import assert from "node:assert/strict";
import { Atila, Atilary, type AtilaWas } from "../../src/atila/mod.ts";
import type { LifecyclePhase } from "../../src/core/app.ts";
import { HttpError } from "../../src/core/errors.ts";
import { type Wac, wac } from "../../src/was/wac.ts";
import { was as imported } from "../../src/was/current.ts";
import { overrideEnv } from "../_support/env_override.ts";

const here = import.meta.url;

/** An app whose hooks write down that they ran. */
function recorded(): { app: Atila; ran: string[] } {
  const app = new Atila(here);
  const ran: string[] = [];
  app.beforeRequest(() => void ran.push("before"));
  app.finishRequest(() => void ran.push("finish"));
  app.failedRequest((_was, error) => void ran.push(`failed ${(error as Error).message}`));
  app.teardownRequest(() => void ran.push("teardown"));
  app.route("/ok", () => {
    ran.push("handler");
    return "ok";
  });
  app.route("/fails", () => {
    ran.push("handler");
    throw new HttpError(409, "conflict");
  });
  return { app, ran };
}

Deno.test("HOOK-01 HOOK-02 HOOK-04 the order of a request that succeeds", async () => {
  const { app, ran } = recorded();
  assert.equal((await app.makeClient().get("/ok")).text, "ok");
  assert.deepEqual(ran, ["before", "handler", "finish", "teardown"]);
});

Deno.test("HOOK-01 what a before hook returns is the response: no handler, no finish, but teardown", async () => {
  const { app, ran } = recorded();
  let answer: unknown = "";
  app.beforeRequest(() => answer as string);
  const client = app.makeClient();
  assert.equal((await client.get("/ok")).text, "", "an empty text is an answer");
  assert.deepEqual(ran.splice(0), ["before", "teardown"]);
  answer = null;
  assert.equal((await client.get("/ok")).text, "ok", "null is none");
  assert.deepEqual(ran.splice(0), ["before", "handler", "finish", "teardown"]);
  app.beforeRequest((was: AtilaWas) => was.response("403 Forbidden", "no"));
  const refused = await client.get("/ok");
  assert.deepEqual([refused.statusCode, refused.text], [403, "no"]);
});

Deno.test("HOOK-01 HOOK-06 HOOK-07 HOOK-11 TPL-14 TPL-15 what is no function is refused at once", () => {
  const app = new Atila(here);
  const part = new Atilary();
  const none = undefined as never;
  for (
    const register of [
      () => app.beforeRequest(none),
      () => app.finishRequest(none),
      () => app.failedRequest(none),
      () => app.teardownRequest("x" as never),
      () => app.mounted(none),
      () => app.runBefore(() => {}, none),
      () => app.runAfter(none),
      () => app.errorHandler(404, "page" as never),
      () => app.defaultErrorHandler(none),
      () => part.beforeRequest(none),
      () => part.teardownRequest(none),
    ]
  ) assert.throws(register, /A hook is a function, not (undefined|x|page)/);
});

Deno.test("HOOK-01 HOOK-03 HOOK-06 TypeScript refuses hooks whose return cannot be sent", async () => {
  const app = new Atila(here);
  let count = 0;
  // @ts-expect-error a number would be the response
  app.beforeRequest(() => count++);
  // @ts-expect-error data goes through was.response.API
  app.failedRequest(() => Promise.resolve({ a: 1 }));
  // @ts-expect-error the same before one handler
  app.runBefore(() => count++);
  app.finishRequest(() => count++);
  app.teardownRequest(() => count++);
  const fine = new Atila(here);
  fine.beforeRequest((was) =>
    was.request.args.stop ? was.response.API({ stopped: true }) : undefined
  );
  fine.beforeRequest(async (was) => was.request.args.wait ? await Promise.resolve("waited") : null);
  fine.failedRequest((_was, error) => error instanceof HttpError ? "refused" : undefined);
  fine.route("/", { use: [fine.runBefore((was) => void (was.g.a = 1))] }, (was) => String(was.g.a));
  const client = fine.makeClient();
  assert.deepEqual((await client.get("/?stop=1")).data, { stopped: true });
  assert.equal((await client.get("/?wait=1")).text, "waited");
  assert.equal((await client.get("/")).text, "1");
});

Deno.test("HOOK-03 a failed hook sees the error and may answer for it", async () => {
  const { app, ran } = recorded();
  const client = app.makeClient();
  assert.equal((await client.get("/fails")).statusCode, 409);
  assert.deepEqual(ran.splice(0), ["before", "handler", "failed conflict", "teardown"]);
  app.failedRequest((was) => was.response("200 OK", "saved"));
  const saved = await client.get("/fails");
  assert.deepEqual([saved.statusCode, saved.text], [200, "saved"]);
  assert.deepEqual(ran, ["before", "handler", "failed conflict", "teardown"]);
});

Deno.test("HOOK-03 a failed hook answers from the start, whatever the handler had set or returned", async () => {
  const app = new Atila(here);
  const traced: string[] = [];
  app.failedRequest((was) => was.response("503 Service Unavailable", "sorry", { "x-hook": "1" }));
  app.route("/nothing", (() => undefined) as never);
  app.route("/late", (was) => {
    was.response.setStatus("201 Created");
    was.response.setHeader("x-handler", "1");
    throw new Error("late");
  });
  app.route("/http", (was) => was.response.throw(502, "no backend"));
  app.route("/conflict", (was) => was.response.throw(409));
  const before = wac.logger;
  const log = {
    log: () => {},
    trace: (error: unknown) => void traced.push((error as Error).message),
  };
  wac.logger = { ...before, get: () => log } as unknown as typeof before;
  try {
    const client = app.makeClient();
    for (const path of ["/nothing", "/late", "/http", "/conflict"]) {
      const { statusCode, text, headers } = await client.get(path);
      assert.deepEqual([statusCode, text], [503, "sorry"], path);
      assert.deepEqual([headers.get("x-hook"), headers.get("x-handler")], ["1", null], path);
    }
  } finally {
    wac.logger = before;
  }
  assert.equal(traced.length, 3, traced.join());
  assert.match(traced.join(), /returned nothing.*late.*no backend/);
});

Deno.test("HOOK-04 HOOK-05 hooks that throw: before and finish fail the request, teardown does not", async () => {
  for (const [hook, status] of [["beforeRequest", 500], ["finishRequest", 500]] as const) {
    const { app, ran } = recorded();
    app[hook](() => {
      throw new Error(hook);
    });
    assert.equal((await app.makeClient().get("/ok")).statusCode, status);
    assert.deepEqual(ran.slice(-2), [`failed ${hook}`, "teardown"]);
  }
  const { app } = recorded();
  app.teardownRequest(() => {
    throw new Error("late");
  });
  assert.equal((await app.makeClient().get("/ok")).statusCode, 200);
  app.failedRequest(() => {
    throw new Error("the failed hook fails");
  });
  assert.equal((await app.makeClient().get("/fails")).statusCode, 409);
});

Deno.test("HOOK-01 hooks may be asynchronous", async () => {
  const app = new Atila(here);
  app.beforeRequest(async (was) => {
    await Promise.resolve();
    was.g.user = "ann";
  });
  app.route("/", (was) => was.g.user);
  assert.equal((await app.makeClient().get("/")).text, "ann");
});

Deno.test("HOOK-06 HOOK-07 ATL-28 guards run in list order around one handler", async () => {
  const app = new Atila(here);
  const ran: string[] = [];
  let stop: string | null = null;
  app.route("/", {
    args: { a: 1 },
    use: [
      app.runBefore(() => void ran.push("b1"), () => {
        ran.push("b2");
        return stop;
      }),
      app.runAfter(() => ran.push("a1"), () => ran.push("a2")),
      (next) => (was, args) => {
        ran.push(`guard ${args.a}`);
        return next(was, args);
      },
    ],
  }, (_was, { a }) => {
    ran.push(`handler ${a}`);
    return "ok";
  });
  const client = app.makeClient();
  assert.equal((await client.get("/?a=2")).text, "ok");
  assert.deepEqual(ran.splice(0), ["b1", "b2", "guard 2", "handler 2", "a1", "a2"]);
  stop = "stopped";
  assert.equal((await client.get("/")).text, "stopped");
  assert.deepEqual(ran, ["b1", "b2"]);
});

Deno.test("HOOK-10 HOOK-11 HOOK-12 HOOK-13 HOOK-14 HOOK-15 HOOK-16 HOOK-17 life-cycle hooks get what they are promised, errors do not stop them", async () => {
  const app = new Atila(here);
  const ran: string[] = [];
  const withWac = (name: string) => (given: Wac) => void ran.push(`${name} ${given === wac}`);
  const withWas = (name: string) => (was: AtilaWas) => void ran.push(`${name} ${was.app === app}`);
  app.beforeMount(() => {
    throw new Error("a hook breaks");
  });
  app.beforeMount(withWac("beforeMount"));
  app.mounted(withWas("mounted"));
  app.mountedOrReloaded(withWas("mountedOrReloaded"));
  app.beforeReload(withWas("beforeReload"));
  app.reloaded(withWas("reloaded"));
  app.beforeUmount(async (was) => {
    await Promise.resolve();
    ran.push(`beforeUmount ${was.app === app}`);
  });
  app.umounted(withWac("umounted"));
  const phases: LifecyclePhase[] = [
    "beforeMount",
    "mounted",
    "mountedOrReloaded",
    "beforeReload",
    "reloaded",
    "mountedOrReloaded",
    "beforeUmount",
    "umounted",
  ];
  for (const phase of phases) await app.lifecycle(phase);
  assert.deepEqual(ran, phases.map((phase) => `${phase} true`));
});

Deno.test("HOOK-18 WAS-17 a life-cycle hook has no request and says so", async () => {
  const app = new Atila(here);
  let checked = false;
  app.mounted((was) => {
    for (const member of ["request", "response", "env"] as const) {
      assert.throws(() => was[member], new RegExp(`was\\.${member}.*life-cycle`));
    }
    assert.equal(was.txnid(), "");
    assert.equal(typeof was.get, "function");
    checked = true;
  });
  await app.lifecycle("mounted");
  assert(checked);
});

Deno.test("WAS-01 SRV-30 the imported was is that of the request, registered objects included", async () => {
  const app = new Atila(here);
  wac.register("atilaProbe", { answer: 42 });
  try {
    app.route("/<int:n>", async (was, { n }) => {
      await new Promise((resolve) => setTimeout(resolve, 5 - n));
      assert.equal(imported.txnid(), was.txnid());
      return String((imported as unknown as { atilaProbe: { answer: number } }).atilaProbe.answer);
    });
    const client = app.makeClient();
    const answers = await Promise.all([1, 2, 3].map((n) => client.get(`/${n}`)));
    assert.deepEqual(answers.map(({ text }) => text), ["42", "42", "42"]);
  } finally {
    wac.unregister("atilaProbe");
  }
});

Deno.test("ATL-06 SRV-28 CLI-08 debug shows the stack, production never does", async () => {
  const app = new Atila(here);
  app.debug = true;
  app.useReloader = true;
  app.route("/", () => {
    throw new Error("inner detail");
  });
  assert.match((await app.makeClient().get("/")).text, /inner detail/);
  using _production = overrideEnv("SKITAI_ENV", "PRODUCTION");
  assert.equal(app.debug, false);
  assert.equal(app.useReloader, false);
  assert.doesNotMatch((await app.makeClient().get("/")).text, /inner detail/);
});

Deno.test("ATL-07 ATL-08 the reloader watches the app, its services and added packages", () => {
  const app = new Atila(here);
  app.addPackage("mylib", "/opt/corplib");
  assert.deepEqual(app.watched, [
    app.file,
    `${app.home}/services`,
    `${app.home}/mylib`,
    "/opt/corplib",
  ]);
});
