/**
 * What is measured of what asking other servers over HTTP costs.
 *
 * @module
 */

import { bare, ours } from "./asking.ts";
import { median, start } from "./harness.ts";
import { growth } from "./memory.ts";
import { compare, type Scenario, skitai } from "./scenario.ts";

/** A backend in this process that answers at once or after a while. */
function farServer(delayMs = 0): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    return Response.json({ n: 1 });
  });
}

/** Scenarios of backends that speak HTTP. */
export const httpScenarios: readonly Scenario[] = [
  {
    name: "Five backends of 50 ms on one page",
    run: async (effort) => {
      await using page = await start({
        name: "Skitai",
        command: skitai("backends.ts"),
        path: "/page",
      });
      const times: number[] = [];
      for (let i = 0; i < effort.rounds * 10; i++) {
        const response = await fetch(`http://127.0.0.1:${page.port}/page`);
        const { took, slowest } = await response.json();
        if (i > 0) times.push(took / slowest);
      }
      const { megabytes, slope, rates } = await growth(page, effort.rounds, { path: "/page" });
      const [first, last] = [megabytes[0]!, megabytes.at(-1)!];
      return [
        {
          subject: "one page, its time ÷ that of its slowest backend",
          value: median(times).toFixed(3),
          wanted: "≤ 1.15",
        },
        { subject: "64 pages at a time", value: `${Math.round(median(rates))} pages/s` },
        {
          subject: "their resident memory, its peak: first round after warming → last",
          value: `${first.toFixed(0)} → ${last.toFixed(0)} MB`,
          ratio: (last / first).toFixed(2),
          wanted: "≤ 1.05",
        },
        {
          subject: "its growth by all rounds",
          value: `${(slope * 60).toFixed(1)} MB a minute`,
        },
      ];
    },
  },
  {
    name: "HTTP: ten requests per page",
    run: async (effort) => {
      await using far = farServer();
      const env = { BACKEND: `127.0.0.1:${far.addr.port}` };
      return await compare(effort, ours("http", "/ten", env), [
        { ...bare("fetch and Promise.all", "fetch", env), wanted: "≥ 1.30" },
        { ...bare("undici and Promise.all", "undici", env), wanted: "≥ 1.00" },
      ]);
    },
  },
  {
    name: "Memory of 10 000 futures in flight",
    run: async (effort) => {
      await using far = farServer(100);
      const subject = ours("http", "/", { BACKEND: `127.0.0.1:${far.addr.port}` });
      const command = subject.command.with(1, "run").toSpliced(2, 0, "--v8-flags=--expose-gc");
      await using server = await start({ ...subject, command });
      const sizes: number[] = [];
      for (let i = 0; i <= effort.rounds; i++) {
        const response = await fetch(`http://127.0.0.1:${server.port}/memory`);
        const { each, answered } = await response.json();
        if (answered !== 10_000) throw new Error(`only ${answered} futures were answered`);
        if (i > 0) sizes.push(each);
      }
      return [{ subject: "heap of one future", value: `${(median(sizes) / 1024).toFixed(2)} KB` }];
    },
  },
];
