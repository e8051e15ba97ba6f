/** A site that `virtual_hosts.ts` mounts by path. */

import { Atila } from "@skitai/skitai/atila";

/** The app. */
export const app: Atila = new Atila(import.meta.url);
app.route("/", () => "the blog");
app.route("/<int:year>/<title>", (_was, { year, title }) => `${title}, ${year}`);
