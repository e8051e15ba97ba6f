import assert from "node:assert/strict";
import { splitChallenges } from "../../src/core/challenges.ts";

Deno.test("AUTH-08 splitChallenges() finds where a challenge begins, with parameters or without", () => {
  const cases: [value: string, ...challenges: string[]][] = [
    ["Bearer", "Bearer"],
    ['Basic realm="a, b c=d", charset="UTF-8"', 'Basic realm="a, b c=d", charset="UTF-8"'],
    [
      'Digest realm="x", nonce="y", Basic realm="z"',
      'Digest realm="x", nonce="y"',
      'Basic realm="z"',
    ],
    ['Basic realm="x", Negotiate', 'Basic realm="x"', "Negotiate"],
    ["Negotiate, NTLM , Bearer", "Negotiate", "NTLM", "Bearer"],
    [
      "Basic realm = x, charset = y, Negotiate abc==",
      "Basic realm = x, charset = y",
      "Negotiate abc==",
    ],
    ["Negotiate abc, Basic realm=x", "Negotiate abc", "Basic realm=x"],
    ['Basic realm="a\\", NTLM, b"', 'Basic realm="a\\", NTLM, b"'],
  ];
  for (const [value, ...challenges] of cases) assert.deepEqual(splitChallenges(value), challenges);
});
