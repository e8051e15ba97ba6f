/**
 * What every backend client promises, whatever it speaks. A client is run through this with
 * requests of its own kind.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { Client, Outcome, Send } from "../../src/clients/contract.ts";

/** A client under test and requests that end in known ways. */
export interface ClientUnderTest extends AsyncDisposable {
  /** The client. */
  readonly client: Client;
  /** A request that is answered. */
  succeed(): Send;
  /** A request that fails, because of the network or the backend. */
  fail(): Send;
  /** A request that is not answered within the test; `taken` resolves when it is under way. */
  hang(): { readonly send: Send; readonly taken: Promise<void> };
}

const MINUTE = 60_000;

/** Something every client does. */
export interface ClientCheck {
  /** What it does. */
  readonly what: string;
  /** Shows it. */
  readonly body: (under: ClientUnderTest) => Promise<void>;
}

/** Defines the tests of a client. `ids` are the rows it proves for that client. */
export function clientSuite(
  name: string,
  ids: string,
  make: () => Promise<ClientUnderTest> | ClientUnderTest,
): void {
  for (const { what, body } of clientChecks()) {
    Deno.test(`${ids} ${name}: ${what}`, async () => {
      await using under = await make();
      await body(under);
    });
  }
}

/** What every client does, one after the other. */
export function clientChecks(): ClientCheck[] {
  const checks: ClientCheck[] = [];
  const test = (what: string, body: ClientCheck["body"]) => void checks.push({ what, body });

  test("an answer is an outcome with status 3, and the client is idle again", async (under) => {
    const outcome = await under.succeed()(AbortSignal.timeout(MINUTE));
    deepEqual([outcome.status, outcome.error], [3, undefined]);
    ok(outcome.statusCode >= 200 && outcome.statusCode < 300);
    equal(under.client.stats().busy, 0);
  });

  test("a failure is an outcome with its error, never a rejection", async (under) => {
    const outcome = await under.fail()(AbortSignal.timeout(MINUTE));
    equal(outcome.status, 2);
    ok(outcome.error instanceof Error && outcome.statusCode >= 500 && outcome.reason !== "");
    equal(under.client.stats().busy, 0);
  });

  test("many requests at once each get their answer", async (under) => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => under.succeed()(AbortSignal.timeout(MINUTE))),
    );
    deepEqual(new Set(outcomes.map((one) => one.status)), new Set([3]));
    equal(under.client.stats().busy, 0);
  });

  test("nothing is sent when the signal has aborted before", async (under) => {
    const outcome = await under.succeed()(AbortSignal.abort());
    equal(outcome.status, 1);
  });

  test("an abort ends a request under way", async (under) => {
    const { send, taken } = under.hang();
    const abort = new AbortController();
    const pending = send(abort.signal);
    await taken;
    ok(under.client.stats().busy >= 1);
    abort.abort();
    equal((await pending).status, 1);
    const after: Outcome = await under.succeed()(AbortSignal.timeout(MINUTE));
    equal(after.status, 3);
  });

  test("maintain keeps a client in use working", async (under) => {
    await under.succeed()(AbortSignal.timeout(MINUTE));
    under.client.maintain();
    equal((await under.succeed()(AbortSignal.timeout(MINUTE))).status, 3);
  });

  test("a closed client has nothing open and fails what is asked of it", async (under) => {
    await under.succeed()(AbortSignal.timeout(MINUTE));
    await under.client[Symbol.asyncDispose]();
    deepEqual(under.client.stats(), { open: 0, busy: 0 });
    equal((await under.succeed()(AbortSignal.timeout(MINUTE))).status, 2);
  });

  return checks;
}
