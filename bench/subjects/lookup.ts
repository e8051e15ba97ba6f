/**
 * Looks paths up in the router named by the first argument, and times that on demand.
 *
 * @module
 */

import { type Lookup, questions, ROUTERS } from "../peers/routers.ts";
import { measureOnDemand } from "./measured.ts";

/** Cuts the path out and does no more: what the loop itself costs. */
const nothing: Lookup = (path) => [path.length, undefined];

const lookup = ROUTERS[Deno.args[0]!]?.() ?? nothing;
const asked = questions();
if (lookup !== nothing) {
  for (const { path, route } of asked) {
    const [found, value] = lookup(path);
    if (found !== route) throw new Error(`${path} led to route ${found} instead of ${route}`);
    if (value !== undefined && !path.includes(String(value))) {
      throw new Error(`${path} gave the value ${value}`);
    }
  }
}

// As in a server, each path is a new string, cut out of an address: nothing is known of it yet.
const origin = "http://localhost:5000";
const addresses = asked.map(({ path }) => origin + path);

let sum = 0;
await measureOnDemand(() => {
  for (let i = 0; i < addresses.length; i++) {
    sum += lookup(addresses[i]!.slice(origin.length))[0];
  }
  return addresses.length;
});
// Nobody may leave look-ups out whose results are not used.
if (sum === -1) throw new Error("route numbers are not negative");
