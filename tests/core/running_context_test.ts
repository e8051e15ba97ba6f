import assert from "node:assert/strict";
import { join } from "node:path";

/** Each case has a runtime of its own, in which no request has run yet. */
async function run(script: string): Promise<unknown> {
  const context = new URL("../../src/core/context.ts", import.meta.url).href;
  const directory = await Deno.makeTempDir();
  try {
    const file = join(directory, "case.ts");
    await Deno.writeTextFile(
      file,
      `import { createContext, runInContext, runningContext } from "${context}";
const ctx = (requestId: number) => createContext({ url: "http://a.test/", requestId });
const id = () => runningContext()?.requestId ?? null;
const call = <T>(requestId: number, f: () => T): T =>
  runInContext(ctx(requestId), f, undefined, undefined, undefined);
const turn = () => new Promise<void>((resolve) => setTimeout(resolve));
const said: unknown[] = [];
${script}
console.log(JSON.stringify(said));`,
    );
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", file],
      stdin: "null",
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("EXT-03 WAS-01 handlers that answer at once find their request, nested ones too", async () => {
  assert.deepEqual(
    await run(`
      said.push(id());
      call(1, () => { said.push(id()); call(2, () => said.push(id())); said.push(id()); });
      try { call(3, () => { said.push(id()); throw new Error("x"); }); } catch { said.push(id()); }
      said.push(id());`),
    [null, 1, 2, 1, 3, null, null],
  );
});

Deno.test("EXT-03 WAS-01 the first handler that waits finds its request, among others and afterwards", async () => {
  assert.deepEqual(
    await run(`
      const gate = Promise.withResolvers<void>();
      call(1, () => said.push(id()));
      const first = call(2, async () => { await gate.promise; said.push(id()); await turn(); return id(); });
      const second = call(3, async () => { said.push(id()); await turn(); return id(); });
      call(4, () => said.push(id()));
      said.push(await second);
      gate.resolve();
      said.push(await first);
      await turn();
      said.push(id());
      said.push(await call(5, async () => { await turn(); return id(); }));`),
    [1, 3, 4, 3, 2, 2, null, 5],
  );
});

Deno.test("EXT-03 WAS-01 many waiting handlers at once never see each other's request", async () => {
  assert.deepEqual(
    await run(`
      const work = async (n: number) => {
        for (let step = 0; step < 5; step++) {
          await (step % 2 === 0 ? turn() : Promise.resolve());
          if (id() !== n) return [n, id()];
        }
        return true;
      };
      const all = Array.from({ length: 200 }, (_, n) => call(n + 1, () => work(n + 1)));
      said.push((await Promise.all(all)).filter((ok) => ok !== true));`),
    [[]],
  );
});

Deno.test("EXT-03 WAS-01 what a handler imports when it is needed changes nothing for those after it", async () => {
  assert.deepEqual(
    await run(`
      const server = Deno.serve({ port: 0, onListen() {} }, (req) => {
        const n = Number(new URL(req.url).pathname.slice(1));
        said.push(["before", n, id()]);
        return call(n, async () => {
          await import("node:zlib");
          await turn();
          return Response.json(id());
        });
      });
      const ask = async (n: number) =>
        await (await fetch("http://localhost:" + server.addr.port + "/" + n)).json();
      said.push(await ask(1), await ask(2), await Promise.all([3, 4].map(ask)));
      await server.shutdown();
      said.splice(0, said.length, ...said.filter((one) => !Array.isArray(one) || one[0] !== "before"));`),
    [1, 2, [3, 4]],
  );
});

Deno.test("EXT-03 WAS-01 what a handler leaves behind belongs to its request, whoever runs meanwhile", async () => {
  assert.deepEqual(
    await run(`
      const gate = Promise.withResolvers<void>();
      const left = call(1, () => ({ done: turn().then(id) }));
      const stream = call(2, () => new ReadableStream({
        async pull(controller) { await turn(); controller.enqueue(id()); controller.close(); },
      }));
      const waiting = call(3, async () => { await gate.promise; return { done: turn().then(id) }; });
      said.push(await left.done, (await stream.getReader().read()).value);
      gate.resolve();
      said.push(await (await waiting).done);`),
    [1, 2, 3],
  );
});
