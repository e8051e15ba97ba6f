/**
 * A client for tests: starts an app script as a real server and talks to it.
 *
 * @example
 * ```ts ignore
 * import { testClient } from "@skitai/skitai/testing";
 *
 * await using client = await testClient("./app.ts", 6000);
 * const answer = await client.get("/");
 * console.assert(answer.statusCode === 200);
 * ```
 *
 * @module
 */

export { launch, testClient } from "./test_client.ts";
export type {
  TestAnswer,
  TestClient,
  TestClientOptions,
  TestRequestOptions,
} from "./test_client.ts";
export type { ApiStub } from "./api_stub.ts";
