/**
 * HTTPS with HTTP/2, and a plain port that forwards to it. Give the certificate on the command line:
 * `deno run -A examples/https.ts --cert cert.pem --key key.pem`.
 */

import * as skitai from "@skitai/skitai";

const [options] = skitai.argopt("", ["cert=", "key=", "forward="]);
const given = new Map(options);

skitai.enableSsl(given.get("--cert") ?? "cert.pem", given.get("--key"));
if (given.has("--forward")) skitai.enableForward(Number(given.get("--forward")), 5000, "127.0.0.1");
skitai.mount("/", () => new Response("private\n"));
await skitai.run();
