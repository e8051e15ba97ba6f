/**
 * A Hono app (/api/hello), a plain function (/now) and static files (/about.html) side by side; all may
 * ask backends through `was`.
 */

import { Hono } from "hono";
import * as skitai from "@skitai/skitai";

// Apps see the full path, so the prefix is theirs, too.
const api = new Hono().basePath("/api");
api.get("/hello", (c) => c.json({ framework: "Hono", transaction: skitai.was.txnid() }));

skitai.mount("/api", api);
skitai.mount("/now", () => new Response(new Date().toISOString()));
skitai.mount("/", "pages/static");
await skitai.run();
