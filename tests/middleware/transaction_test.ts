import assert from "node:assert/strict";
import { createContext } from "../../src/core/context.ts";
import { compose, type Handler } from "../../src/core/handler.ts";
import { nextChildIds, transactionText } from "../../src/core/transaction.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import { transaction } from "../../src/middleware/transaction.ts";
import { curl, startTestFront } from "../_support/fronts.ts";
import { listLog } from "../_support/list_log.ts";

/** Tells the ids of the request and those of two calls it would make. */
const tell: Handler = (_req, ctx) => {
  const first = nextChildIds(ctx);
  const second = nextChildIds(ctx);
  return new Response(
    `${transactionText(ctx)} ${first["x-gtxn-id"]} ${first["x-ltxn-id"]} ${second["x-ltxn-id"]}`,
  );
};
const handler = compose([errorGuard({ log: listLog() }), transaction], tell);

for (const kind of ["fast", "edge"] as const) {
  const test = (name: string, run: () => Promise<void>) => Deno.test(`${name} (${kind})`, run);

  test("TXN-01 TXN-02 TXN-06 a request without ids begins a transaction at 1000", async () => {
    await using server = await startTestFront(kind, handler);
    const seen = new Set<string>();
    for (let i = 1; i <= 3; i++) {
      const said = await curl(server.url);
      assert.match(said, /^(GTID-C\d+-R\d+)\/1000 \1 1001 1002$/);
      seen.add(said);
    }
    assert.equal(seen.size, 3);
    // A local id alone names nothing.
    assert.match(await curl("-H", "X-Ltxn-Id: 5000", server.url), /^GTID-C\d+-R\d+\/1000 /);
  });

  test("TXN-04 both ids are taken on, a thousand deeper", async () => {
    await using server = await startTestFront(kind, handler);
    for (
      const [local, expected] of [
        ["1001", "GTID-C3-R8/2001 GTID-C3-R8 2002 2003"],
        ["2001", "GTID-C3-R8/3001 GTID-C3-R8 3002 3003"],
        ["0", "GTID-C3-R8/1000 GTID-C3-R8 1001 1002"],
        ["999999999", "GTID-C3-R8/1000000999 GTID-C3-R8 1000001000 1000001001"],
      ] as const
    ) {
      assert.equal(
        await curl("-H", "X-Gtxn-Id: GTID-C3-R8", "-H", `X-Ltxn-Id: ${local}`, server.url),
        expected,
      );
    }
    // Whatever other systems call it, as long as it can be written down.
    assert.match(
      await curl("-H", "x-gtxn-id: req:7.a_b+c=d@e~f", "-H", "x-ltxn-id: 1001", server.url),
      /^req:7\.a_b\+c=d@e~f\/2001 /,
    );
  });

  test("TXN-05 a broken pair is answered with 400", async () => {
    await using server = await startTestFront(kind, handler);
    const status = ["-o", "/dev/null", "-w", "%{http_code}"];
    for (
      const args of [
        ["X-Gtxn-Id: GTID-C3-R8"],
        ["X-Gtxn-Id;", "X-Ltxn-Id;"],
        ...["abc", "-1", "1.5", "0x10", "1e3", "1 2", "١٢", "1000000000", "99999999999999999999"]
          .map((local) => ["X-Gtxn-Id: GTID-C3-R8", `X-Ltxn-Id: ${local}`]),
        ["X-Gtxn-Id: GTID-C3-R8", "X-Ltxn-Id: 1001", "X-Ltxn-Id: 1002"],
      ]
    ) {
      const headers = args.flatMap((header) => ["-H", header]);
      assert.equal(await curl(...status, ...headers, server.url), "400", args.join(", "));
    }
    const page = await curl("-H", "Accept: application/json", "-H", "X-Gtxn-Id: a", server.url);
    assert.match(page, /X-Gtxn-Id came without X-Ltxn-Id/);
  });

  test("TXN-04 TXN-05 a global id nobody could write down is replaced", async () => {
    await using server = await startTestFront(kind, handler);
    for (
      const id of [
        "a b",
        "a]b",
        "a[b",
        "a/b",
        'a"b',
        "a\tb",
        "a,b",
        "ä",
        "${jndi:x}",
        "x".repeat(129),
        "x".repeat(10_000),
      ]
    ) {
      const said = await curl("-H", `X-Gtxn-Id: ${id}`, "-H", "X-Ltxn-Id: 1001", server.url);
      assert.match(said, /^(GTID-C\d+-R\d+)\/1000 \1 1001 1002$/, id.slice(0, 20));
    }
    const long = "x".repeat(128);
    const said = await curl("-H", `X-Gtxn-Id: ${long}`, "-H", "X-Ltxn-Id: 1001", server.url);
    assert.ok(said.startsWith(`${long}/2001 `));
  });
}

Deno.test("TXN-04 TXN-05 a refused request keeps the transaction it has begun itself", () => {
  const ctx = createContext({ url: "http://h.example/", connectionId: 3, requestId: 8 });
  const req = new Request("http://h.example/", { headers: { "x-gtxn-id": "a" } });
  assert.throws(() => transaction(tell)(req, ctx), /X-Gtxn-Id came without X-Ltxn-Id/);
  assert.equal(transactionText(ctx), "GTID-C3-R8/1000");
});
