/**
 * HTTPS with HTTP/2, and a plain port that forwards to it. The certificate comes from the command line,
 * with its whole path, since relative ones start beside this script. One to try it with:
 *
 *     openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem
 *     deno run -A examples/https.ts --cert $PWD/cert.pem --key $PWD/key.pem --forward 8080
 *     curl -k https://localhost:5000/
 */

import * as skitai from "@skitai/skitai";

const [options] = skitai.argopt("", ["cert=", "key=", "forward="]);
const given = new Map(options);
const port = 5000;

skitai.enableSsl(given.get("--cert") ?? "cert.pem", given.get("--key"));
if (given.has("--forward")) skitai.enableForward(Number(given.get("--forward")), port, "127.0.0.1");
skitai.mount("/", () => new Response("private\n"));
await skitai.run({ port });
