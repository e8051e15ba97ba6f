import assert from "node:assert/strict";
import { alias, aliases, appAliases } from "../../src/was/aliases.ts";
import { Atila } from "../../src/atila/atila.ts";
import { watchAll } from "../../src/was/delivery.ts";
import { wac } from "../../src/was/wac.ts";
import { rawBackend, until } from "../_support/raw_backend.ts";

/** A backend that says its name, and notes what it was asked for. */
function backend(name: string) {
  const asked: string[] = [];
  const raw = rawBackend(async (conn) => {
    for (;;) {
      const request = await conn.request();
      if (request === undefined) return;
      asked.push(request.head.split(" ")[1]!);
      const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${name.length}`;
      await conn.write(`${head}\r\n\r\n${name}`);
    }
  });
  return {
    node: raw.origin.slice("http://".length),
    asked,
    [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
  };
}

Deno.test("ALI-12 ALI-13 OPS-01 an alias of an app is for its requests, checked and looked after like others", async () => {
  await using ofService = backend("service");
  await using ofApp = backend("app");
  const [app, other] = [new Atila(import.meta.url), new Atila(import.meta.url)];
  for (const one of [app, other]) {
    one.route("/<name>", async (was, { name }) => (await was.get(`@${name}/x`)).text);
  }
  alias("@scoped", "http", ofService.node);
  const made = app.alias("scoped", "http", ofApp.node, { health: { path: "/well" } });
  app.alias("@own", "http", `${ofApp.node}/base`);
  try {
    assert.equal(app.alias("@scoped", "http", "elsewhere"), made, "the first definition counts");
    const [mine, theirs] = [app.makeClient(), other.makeClient()];
    assert.equal((await mine.get("/scoped")).text, "app");
    assert.equal((await theirs.get("/scoped")).text, "service");
    assert.equal((await mine.get("/own")).text, "app");
    assert.equal((await theirs.get("/own")).statusCode, 500, "no such alias there");
    assert.ok(ofApp.asked.includes("/base/x"));

    assert.throws(() => app.alias("@own2", "gopher" as "http", "x"), /unknown type "gopher"/);
    assert.deepEqual(wac.clusters.names(), ["@scoped", "@scoped", "@own"]);
    const { members } = wac.clusters.get("@own")!.status();
    assert.deepEqual(members.map(({ node, state }) => [node, state]), [[ofApp.node, "active"]]);
    assert.equal(wac.clusters.get("@scoped")!.status().members[0]!.node, ofService.node);
    watchAll(aliases);
    await until("it is checked", () => ofApp.asked.includes("/well"));
  } finally {
    aliases.delete("@scoped");
    appAliases.clear();
    await wac.backends[Symbol.asyncDispose]();
  }
});
