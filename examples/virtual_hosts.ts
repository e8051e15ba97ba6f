/**
 * Two sites in one server, chosen by the host that was asked for; each is a script of its own:
 * `curl -H 'Host: shop.example.com' http://127.0.0.1:5000/`.
 */

import * as skitai from "@skitai/skitai";

skitai.mount("/", "sites/shop.ts", { host: "shop.example.com" });
skitai.mount("/", "sites/blog.ts", { host: ".example.org" });
skitai.mount("/", "pages/static");
await skitai.run();
