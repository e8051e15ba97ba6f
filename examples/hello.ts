/** The smallest service: a function on a prefix. `deno run -A examples/hello.ts`, then `curl http://127.0.0.1:5000/`. */

import * as skitai from "@skitai/skitai";

skitai.mount("/", () => new Response("Hello, World!\n"));
await skitai.run();
