import assert from "node:assert/strict";
import { parseSendQueues, readSendQueues } from "../../../src/server/fronts/send_queues.ts";
import { tableAddress } from "../../../src/server/tcp_tables.ts";

Deno.test("HTTP-03 tableAddress() writes addresses as the system's table does", () => {
  assert.equal(tableAddress("127.0.0.1", 80), "0100007F:0050");
  assert.equal(tableAddress("192.168.10.255", 50_000), "FF0AA8C0:C350");
  assert.equal(tableAddress("::1", 1), "00000000000000000000000001000000:0001");
  assert.equal(tableAddress("2001:db8::a:b", 65535), "B80D012000000000000000000B000A00:FFFF");
  assert.equal(tableAddress("fe80::1%eth0", 2), "000080FE000000000000000001000000:0002");
});

Deno.test("HTTP-03 parseSendQueues() takes the rows of one local port", () => {
  const queues = new Map<string, number>();
  parseSendQueues(
    `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0100007F:1388 0200007F:C350 01 000000A0:00000010 01:00000000 00000000
   2: 0100007F:0050 0200007F:C351 01 000000FF:00000000 01:00000000 00000000
 143: 0000000000000000FFFF00000100007F:1388 0000000000000000FFFF00000300007F:C352 01 00000001:0 00:0
`,
    5000,
    queues,
  );
  assert.deepEqual(
    Object.fromEntries(queues),
    { "00000000:0000": 0, "0200007F:C350": 160, "0300007F:C352": 1 },
  );
});

Deno.test("HTTP-03 readSendQueues() sees what a client has not taken", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const client = await Deno.connect({ hostname, port: listener.addr.port });
    using server = await listener.accept();
    const { port } = client.localAddr as Deno.NetAddr;
    const unsent = async () =>
      (await readSendQueues(listener.addr.port))?.get(tableAddress(hostname, port));
    assert.equal(await unsent(), 0);
    // Nobody reads: what fits into the buffers of both sides is taken, then the write waits.
    const writing = server.write(new Uint8Array(64 * 1024 * 1024)).catch(() => 0);
    let seen = await unsent();
    for (let tries = 0; tries < 1000 && !seen; tries++) seen = await unsent();
    assert.ok(seen !== undefined && seen > 0, `${seen} bytes`);
    client.close();
    await writing;
  }
});
