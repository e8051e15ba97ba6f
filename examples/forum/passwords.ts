/** Passwords as scrypt hashes, made by the runtime outside of the event loop. */

import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

const HASH_BYTES = 32;
/** What a hash made today costs: 32 MiB, and about a third of a second. */
const COST = { N: 2 ** 15, r: 8, p: 3 };

/** Hash of a password as text, with its salt and what it has cost. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, COST);
  return [COST.N, COST.r, COST.p, salt.toString("base64"), hash.toString("base64")].join(":");
}

/** Whether a password belongs to a hash. Takes as long where there is none to compare with. */
export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  if (stored === undefined) {
    await derive(password, randomBytes(16), COST);
    return false;
  }
  const [N, r, p, salt, hash] = stored.split(":") as [string, string, string, string, string];
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const derived = await derive(password, Buffer.from(salt, "base64"), cost);
  return timingSafeEqual(derived, Buffer.from(hash, "base64"));
}

function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  const options = { ...cost, maxmem: 256 * cost.N * cost.r };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, HASH_BYTES, options, (error, hash) => {
      if (error) reject(error);
      else resolve(hash);
    });
  });
}
