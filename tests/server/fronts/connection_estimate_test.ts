import assert from "node:assert/strict";
import {
  ConnectionEstimate,
  countEstablished,
} from "../../../src/server/fronts/connection_estimate.ts";

Deno.test("LOG-09 countEstablished() takes each connection of an address and port once", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
   0: 0100007F:1388 00000000:0000 0A 00000000:00001388 00:00001388 00000000
   1: 0100007F:1388 0200007F:C350 01 000000A0:00000010 01:00000000 00000000
   2: 0100007F:1388 0200007F:C351 01 00000000:00000000 00:00000000 00000000
   3: 0100007F:1388 0200007F:C350 01 00000000:00000000 00:00000000 00000000
   4: 0100007F:1388 0200007F:C352 06 00000000:00000000 00:00000000 00000000
   5: 0200007F:1388 0200007F:C353 01 00000000:00000000 00:00000000 00000000
   6: 0200007F:C350 0100007F:1388 01 00000000:00000000 00:00000000 00000000
1007: 0000000000000000FFFF00000100007F:1388 0000000000000000FFFF00000300007F:C352 01 00000001:0 00:0
1008: 00000000000000000000000001000000:1388 00000000000000000000000001000000:C354 01 00000001:0 00:0
`;
  assert.equal(countEstablished(table, "127.0.0.1", 5000), 3);
  assert.equal(countEstablished(table, "127.0.0.2", 5000), 1);
  assert.equal(countEstablished(table, "::1", 5000), 1);
  assert.equal(countEstablished(table, "0.0.0.0", 5000), 5);
  assert.equal(countEstablished(table, "::", 5000), 5);
  assert.equal(countEstablished(table, "127.0.0.1", 5001), 0);
});

Deno.test("LOG-09 the estimate knows the connections of its address, not those of another one", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  using listener = Deno.listen({ hostname: "127.21.0.1", port: 0 });
  const { port } = listener.addr;
  using _other = Deno.listen({ hostname: "127.21.0.2", port });
  const clients = await Promise.all(
    ["127.21.0.1", "127.21.0.1", "127.21.0.2"].map((hostname) => Deno.connect({ hostname, port })),
  );
  const count = async (address: string): Promise<number> => {
    const estimate = new ConnectionEstimate(address, port, () => 0);
    estimate.at(performance.now());
    await estimate.settled();
    return estimate.at(performance.now());
  };
  assert.equal(await count("127.21.0.1"), 2);
  assert.equal(await count("127.21.0.2"), 1);
  for (const client of clients) client.close();
  let left = 2;
  for (let tries = 0; left > 0 && tries < 100; tries++) left = await count("127.21.0.1");
  assert.equal(left, 0, "the connections are gone");
});
