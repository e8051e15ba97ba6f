import assert from "node:assert/strict";
import { fetchText, LogService } from "../_support/log_services.ts";
import { isMissing } from "../_support/services.ts";

/** `/ask` of one service for each of the addresses. */
const asking = (base: string, ...urls: string[]) =>
  `${base}/ask?${urls.map((url) => `at=${encodeURIComponent(url)}`).join("&")}`;

/** Transaction and path of all requests a service has logged. */
const logged = (service: LogService) =>
  service.requests().map(({ gtxnid, ltxnid, uri }) =>
    `${gtxnid}/${ltxnid} ${uri.replace(/\?.*/, "")}`
  );

/** Identifiers of the entries of the app log with a text. */
const entries = (service: LogService, text: string) =>
  service.lines("app").flatMap((line) => {
    const match = /^\S+ \S+ \[info:(\S+)\] (.*)$/.exec(line);
    return match !== null && match[2] === text ? [match[1]] : [];
  });

for (const front of ["fast", "edge"]) {
  Deno.test(`TXN-02 TXN-03 TXN-04 TXN-06 LOG-13 a transaction goes through two servers under one name (${front})`, async () => {
    await using shop = await LogService.start({ LOG_FRONT: front, LOG_WORKERS: "2" });
    await using stock = await LogService.start({ LOG_FRONT: front });
    const here = await shop.url("");
    const there = await stock.url("");
    // The shop asks the stock twice; each time that asks the shop, and the second time itself too.
    const said = await fetchText(asking(
      here,
      asking(there, `${here}/id`),
      asking(there, `${here}/id`, `${there}/id`),
    ));
    const lines = said.split("\n");
    const id = lines[0]!.slice(0, lines[0]!.indexOf("/"));
    assert.match(id, /^GTID-C\d+-R\d+$/);
    assert.deepEqual(lines, [
      `${id}/1000`,
      `${id}/2001`,
      `${id}/3002 ${id} 3002`,
      `${id}/2002`,
      `${id}/3003 ${id} 3003`,
      `${id}/3004 ${id} 3004`,
    ]);
    const other = await fetchText(`${here}/id`);
    assert.ok(other.endsWith(" 1000") && !other.includes(`${id} `), "the next one is another");

    assert.deepEqual([await shop.stop(), await stock.stop()], [0, 0]);
    const ofShop = logged(shop).filter((text) => text.startsWith(`${id}/`));
    assert.deepEqual(ofShop.sort(), [`${id}/1000 /ask`, `${id}/3002 /id`, `${id}/3003 /id`]);
    assert.deepEqual(logged(stock).sort(), [
      `${id}/2001 /ask`,
      `${id}/2002 /ask`,
      `${id}/3004 /id`,
    ]);
    assert.deepEqual(entries(shop, "asks"), [`${id}/1000`]);
    assert.deepEqual(entries(stock, "asks"), [`${id}/2001`, `${id}/2002`]);
    assert.deepEqual(entries(stock, "told"), [`${id}/3004`]);
  });

  Deno.test(`TXN-04 TXN-05 what strangers send is taken on, refused or replaced, and logged (${front})`, async () => {
    await using service = await LogService.start({ LOG_FRONT: front });
    const url = await service.url("/id");
    const ask = (gtxnid: string, ltxnid?: string) =>
      fetchText(
        url,
        ...["-H", `X-Gtxn-Id: ${gtxnid}`, "-w", " %{http_code}"],
        ...(ltxnid === undefined ? [] : ["-H", `X-Ltxn-Id: ${ltxnid}`]),
      );
    assert.equal(await ask("GTID-C9-R9", "1001"), "GTID-C9-R9/2001 GTID-C9-R9 2001 200");
    assert.match(await ask("GTID-C9-R9"), / 400$/);
    assert.match(await ask("GTID-C9-R9", "many"), / 400$/);
    for (const id of ["a b", "x] [error:y", "-\t-", "z".repeat(200), "ü"]) {
      assert.match(await ask(id, "1001"), /^(GTID-C\d+-R\d+)\/1000 \1 1000 200$/);
    }
    assert.equal(await service.stop(), 0);
    const requests = service.requests();
    assert.deepEqual(requests.map(({ status }) => status), [
      200,
      400,
      400,
      200,
      200,
      200,
      200,
      200,
    ]);
    assert.deepEqual(requests[0]!.gtxnid, "GTID-C9-R9");
    const own = requests.slice(1);
    assert.ok(
      own.every(({ gtxnid }) => /^GTID-C\d+-R\d+$/.test(gtxnid) && gtxnid !== "GTID-C9-R9"),
    );
    assert.ok(own.every(({ ltxnid }) => ltxnid === 1000));
    assert.equal(new Set(own.map(({ gtxnid }) => gtxnid)).size, own.length);
    assert.equal(entries(service, "told").length, 6);
  });
}

Deno.test("TXN-01 TXN-02 ids of a service with several workers are unique", {
  ignore: isMissing("h2load"),
}, async () => {
  await using service = await LogService.start({ LOG_WORKERS: "2" });
  const url = await service.url("/hello");
  const { success } = await new Deno.Command("h2load", {
    args: ["--h1", "-n", "3000", "-c", "30", url],
    stdout: "null",
  }).output();
  assert.ok(success);
  assert.equal(await service.stop(), 0);
  const requests = service.requests();
  assert.equal(requests.length, 3000);
  assert.equal(new Set(requests.map(({ gtxnid }) => gtxnid)).size, 3000);
  assert.ok(
    requests.every(({ gtxnid, ltxnid }) => /^GTID-C\d+-R\d+$/.test(gtxnid) && ltxnid === 1000),
  );
  assert.equal(new Set(requests.map(({ workerId }) => workerId)).size, 2);
  const connections = new Set(requests.map(({ gtxnid }) => gtxnid.split("-")[1]));
  assert.equal(connections.size, 30, "each connection has a number of its own");
});
