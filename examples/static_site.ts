/** A static site: entity tags, ranges, compression and caching headers come with the mount. */

import * as skitai from "@skitai/skitai";

skitai.mount("/", "pages/static");
skitai.setMaxAge("/", 60);
skitai.setMaxAge("/assets", 86_400);
await skitai.run();
