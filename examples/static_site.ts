/**
 * A static site: entity tags, ranges, compression and caching headers come with the mount. One of its
 * pages is http://127.0.0.1:5000/about.html.
 */

import * as skitai from "@skitai/skitai";

skitai.mount("/", "pages/static");
skitai.setMaxAge("/", 60);
skitai.setMaxAge("/assets", 86_400);
await skitai.run();
