/**
 * Comparing secrets without telling by the time it takes how much of them fits.
 *
 * @module
 */

import { nodeCrypto } from "../../core/node_builtins.ts";

/** Of this process only: the digests below are never seen outside. */
const key = crypto.getRandomValues(new Uint8Array(32));

/** True when two texts are the same. The time does not depend on where they differ. */
export function equalSecrets(a: string, b: string): boolean {
  const digest = (text: string) => nodeCrypto().createHmac("sha256", key).update(text).digest();
  return nodeCrypto().timingSafeEqual(digest(a), digest(b));
}
