/** The app with a life. */

import { Atila } from "@skitai/skitai/atila";

const VERSION = "one";

/** The app. */
export const app: Atila = new Atila(import.meta.url);

function note(what: string): void {
  // deno-lint-ignore no-console -- the test reads it
  console.log(`hook ${Deno.pid} ${VERSION} ${what}`);
}

function refusal(use: () => unknown): string {
  try {
    use();
    return "not refused";
  } catch (error) {
    return (error as Error).message;
  }
}

app.beforeMount((wac) => {
  const { host, mountPoint } = wac.handler as { host: string; mountPoint: string };
  wac.register("greeter", { hello: () => `hello from ${VERSION}` });
  note(
    `beforeMount threads=${wac.numthreads} workers=${wac.workers} port=${
      wac.config.port !== undefined
    } ` +
      `handler=${host}${mountPoint}`,
  );
  note(`taken: ${refusal(() => wac.register("greeter", {}))}`);
  note(`taken: ${refusal(() => wac.register("get", {}))}`);
  wac.logger.get("app").log("logged by beforeMount");
});

app.mounted(async (was) => {
  const { data } = await was.get("@backend/hello");
  note(`mounted ${data}`);
  note(`no request: ${refusal(() => was.request)}`);
  note(`no response: ${refusal(() => was.response)}`);
});

app.mounted(() => {
  throw new Error("a hook that fails");
});

app.reloaded(async (was) => {
  note(`reloaded ${(await was.get("@backend/hello")).data}`);
});

app.mountedOrReloaded(() => note("mountedOrReloaded"));
app.beforeReload((was) => note(`beforeReload ${was.constructor.name}`));
app.beforeUmount(async (was) => note(`beforeUmount ${(await was.get("@backend/hello")).data}`));

app.umounted((wac) => {
  wac.unregister("greeter");
  note(`umounted ${refusal(() => wac.unregister("greeter"))}`);
});

app.route("/version", () => VERSION);

app.route("/page", async (was) => {
  was.g.first = was.get("@backend/held?name=first");
  was.g.second = was.get("@backend/held?name=second");
  was.g.third = was.get("@backend/held?name=third");
  return await was.render("page.html", { title: "three at once" });
});

app.route("/aborted", async (was) => {
  was.g.gone = was.get("@backend/gone");
  return await was.render("aborted.html");
});

app.route("/single", async (was) => {
  const shards = was.sqlite3.map("@shards");
  await shards.execute("create table if not exists t (n)").wait();
  await shards.execute("delete from t; insert into t values (1)").wait();
  const future = was.get("@backend/hello");
  const late = was.get("@backend/hello");
  await late.wait();
  const offloaded = await was.offload(new URL("./jobs.ts", import.meta.url), "square", 7);
  const rows = await shards.execute("select n from t").dispatch();
  const threads: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    threads.push(Deno.readTextFileSync(`/proc/self/task/${name}/comm`).trim());
  }
  return was.response.API({
    dispatched: (await future.dispatch()).data,
    waited: late.settled?.data,
    rows: rows.data,
    offloaded,
    workers: threads.filter((name) => name.startsWith("worker")),
  });
});
