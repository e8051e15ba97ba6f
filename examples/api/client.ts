// deno-lint-ignore-file no-console -- it prints what it finds
/** Asks the API of `app.ts` with the types that `skitai client` has written: all calls are checked. */

import { createClient } from "@skitai/skitai/api-client";
import type { Api } from "./api.d.ts";

const [address = "http://127.0.0.1:5000"] = Deno.args;
const visitor = createClient<Api>(address);
const { token } = await visitor("POST /tokens", { client: "demo", secret: "let-me-in" });
const api = createClient<Api>(address, { headers: { authorization: `Bearer ${token}` } });

const added = await api("POST /books", { title: "Kindred", author: "Octavia E. Butler" });
const { books } = await api("GET /books", { author: "Butler" });
console.log(books.map(({ title }) => title).join(", "));
const { title } = await api("GET /books/<int:id>", { id: added.id });
const { removed } = await api("DELETE /books/<int:id>", { id: added.id });
console.log(`${title}: ${removed ? "removed" : "not there"}`);
await api("DELETE /tokens");
