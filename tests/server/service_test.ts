import assert from "node:assert/strict";
import { ConfigError } from "../../src/core/errors.ts";
import {
  enableFileLogging,
  enableForward,
  enableSsl,
  mount,
  type MountOptions,
  service,
  setMaxAge,
} from "../../src/server/service.ts";

Deno.test("MNT-01 MNT-18 MNT-25 options of the wrong type are named when mount is called", () => {
  const wrong: [unknown, RegExp][] = [
    [
      { host: ["a.test", "b.test"] },
      /^mount\("\/x"\): host is a text, got \[ "a\.test", "b\.test" \]$/,
    ],
    [{ host: 5 }, /host is a text, got 5$/],
    [{ export: null }, /export is a text, got null$/],
    [{ pref: true }, /pref is what pref\(\) gives, got true$/],
    [5, /options are one object/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(
      () => mount("/x", "app.ts", options as MountOptions),
      (error) => error instanceof ConfigError && message.test(error.message),
      String(message),
    );
  }
  assert.equal(service.mounts.length, 0);
});

Deno.test("HTTP-30 an age that is no number is shown as it was given", () => {
  assert.throws(
    () => setMaxAge("/", "60" as unknown as number),
    new RangeError('setMaxAge: expected a number of at least 0 seconds, got "60"'),
  );
});

Deno.test("LOG-03 HTTP-12 HTTP-14 what is no text is refused when it is set", () => {
  const wrong = 5 as unknown as string;
  const { forward, logDirectory, ssl } = service;
  assert.throws(() => enableFileLogging(wrong), /^TypeError: enableFileLogging: .*, got 5$/);
  assert.throws(() => enableForward(80, 443, wrong), /^TypeError: enableForward: .*, got 5$/);
  assert.throws(() => enableSsl("cert.pem", wrong), /enableSsl: keyFile is a text, not number$/);
  assert.throws(() => enableSsl("cert.pem", undefined, wrong), /enableSsl: passphrase is a text/);
  assert.deepEqual({ forward, logDirectory, ssl }, {
    forward: service.forward,
    logDirectory: service.logDirectory,
    ssl: service.ssl,
  });
});

Deno.test("MNT-16 EXT-01 the compiler knows what a mounted function is given, and what is no target", () => {
  const neverRun = () => {
    mount("/", (req, info) => new Response(`${info.mountPoint} ${req.url}`));
    mount("/", { fetch: (req: Request) => new Response(req.url) });
    // @ts-expect-error -- a number answers nothing
    mount("/", 5);
    // @ts-expect-error -- neither does what may be nothing
    mount("/", undefined);
  };
  assert.equal(typeof neverRun, "function");
});
