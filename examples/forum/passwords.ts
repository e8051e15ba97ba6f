/** Passwords as PBKDF2 hashes, made by the runtime outside of the event loop. */

const ITERATIONS = 600_000;

/** Hash and salt of a password, as text. */
export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return `${salt.toBase64()}:${(await derive(password, salt)).toBase64()}`;
}

/** Whether a password belongs to a hash. Takes as long for a hash nobody has. */
export async function isPassword(password: string, stored: string): Promise<boolean> {
  const [salt = "", hash = ""] = stored.split(":");
  const derived = await derive(password, Uint8Array.fromBase64(salt));
  const expected = Uint8Array.fromBase64(hash);
  let difference = derived.length ^ expected.length;
  for (let i = 0; i < derived.length; i++) difference |= derived[i]! ^ (expected[i] ?? 0);
  return difference === 0;
}

async function derive(password: string, salt: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(password);
  const key = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt, iterations: ITERATIONS };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 256));
}
