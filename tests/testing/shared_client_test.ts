/** How a test file of a user shares one server between its tests: started once, stopped once. */

import assert from "node:assert/strict";
import { type TestClient, testClient } from "../../src/server/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";

const SCRIPT = new URL("../_support/client_service.ts", import.meta.url);

let client: TestClient;

Deno.test.beforeAll(async () => {
  client = await testClient(SCRIPT, freePort(), { startTimeoutMs: 60_000 });
});

Deno.test.afterAll(async () => {
  await client.stop();
});

let pid: number | undefined;

Deno.test("TST-07 the first test of a file gets the client that was started before it", async () => {
  pid = client.pid;
  await client.get("/set?cookie=session%3D1%3B+Path%3D/");
});

Deno.test("TST-07 the next one gets the same server, and the session goes on", async () => {
  assert.equal(client.pid, pid);
  // What the server prints meanwhile is no leak of the test that runs.
  await client.get("/print");
  assert.equal((await client.get("/echo")).data.cookie, "session=1");
});
