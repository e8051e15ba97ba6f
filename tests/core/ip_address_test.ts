import assert from "node:assert/strict";
import { isIPv4 as nodeIsIPv4, isIPv6 as nodeIsIPv6 } from "node:net";
import { isIPv4, isIPv6 } from "../../src/core/ip_address.ts";

Deno.test("SRV-08 addresses are told from names as node:net tells them", () => {
  for (
    const text of [
      "127.0.0.1",
      "0.0.0.0",
      "255.255.255.255",
      "256.0.0.1",
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      "1.2.3.4 ",
      "a.b.c.d",
      "",
      "localhost",
      "::",
      "::1",
      "::ffff:127.0.0.1",
      "2001:db8::8a2e:370:7334",
      "1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7",
      "1::2::3",
      "12345::",
      "::ffff:256.0.0.1",
      "[::1]",
      "::1]/x",
      ":",
      "fe80::g",
    ]
  ) {
    assert.equal(isIPv4(text), nodeIsIPv4(text), text);
    assert.equal(isIPv6(text), nodeIsIPv6(text), text);
  }
});
