// deno-lint-ignore-file no-console -- a benchmark prints its table
/**
 * How long the type checker needs for a client of an API with many routes: the declarations of
 * `skitai client` beside the inferred client of Hono. Every run checks new text, so no cache helps.
 *
 * ```sh
 * deno run -A bench/client_types.ts [routes] [rounds]
 * ```
 *
 * @module
 */

import { join } from "node:path";
import { Atila } from "../src/atila/mod.ts";
import { clientDeclarations } from "../src/atila/openapi/declarations.ts";
import { median } from "./harness.ts";

const ROOT = new URL("../", import.meta.url);

/** One way to have a typed client: the files of a project that uses it. */
type Project = (routes: number, round: number) => Promise<Record<string, string>>;

const declared: Project = async (routes, round) => {
  const app = new Atila(import.meta.url);
  const calls: string[] = [];
  for (let i = 0; i < routes; i++) {
    app.route(`/group${i % 20}/item${i}/<int:id>`, {
      methods: ["GET"],
      args: { q: "", page: i, full: false },
    }, () => "");
    if (i % 10 === 0) {
      calls.push(`await api("GET /group${i % 20}/item${i}/<int:id>", { id: ${i}, q: "a" });`);
    }
  }
  return {
    "api.d.ts": await clientDeclarations([{ app }], () => {}),
    "main.ts": `// ${round} ${crypto.randomUUID()}
import type { Api } from "./api.d.ts";
import { createClient } from "${new URL("src/atila/api_client.ts", ROOT)}";
const api = createClient<Api>("http://localhost");
${calls.join("\n")}
`,
  };
};

const inferred: Project = (routes, round) => {
  const chain: string[] = [];
  const calls: string[] = [];
  for (let i = 0; i < routes; i++) {
    chain.push(
      `  .get("/group${i % 20}/item${i}/:id", validator("query", (v) => ({ q: String(v.q), ` +
        `page: Number(v.page), full: v.full === "1" })), (c) => c.json({ id: c.req.param("id") }))`,
    );
    if (i % 10 === 0) {
      calls.push(
        `await api.group${i % 20}.item${i}[":id"].$get({ param: { id: "${i}" }, ` +
          `query: { q: "a", page: "1", full: "1" } });`,
      );
    }
  }
  return Promise.resolve({
    "app.ts": `import { Hono } from "hono";
import { validator } from "hono/validator";
export const app = new Hono()
${chain.join("\n")};
`,
    "main.ts": `// ${round} ${crypto.randomUUID()}
import { hc } from "hono/client";
import type { app } from "./app.ts";
const api = hc<typeof app>("http://localhost");
${calls.join("\n")}
`,
  });
};

/** An empty program with the same imports: what any check costs. */
const nothing: Project = (_routes, round) =>
  Promise.resolve({ "main.ts": `// ${round} ${crypto.randomUUID()}\nexport {};\n` });

async function check(project: Project, routes: number, round: number): Promise<number> {
  const directory = await Deno.makeTempDir({ dir: new URL("bench", ROOT).pathname });
  try {
    for (const [name, text] of Object.entries(await project(routes, round))) {
      await Deno.writeTextFile(join(directory, name), text);
    }
    const start = performance.now();
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", join(directory, "main.ts")],
      env: { NO_COLOR: "1" },
    }).output();
    const took = performance.now() - start;
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr).slice(0, 2000));
    return took;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Milliseconds that checking took, by project and round; the rounds are interleaved. */
export async function checkTimes(
  routes: number,
  rounds: number,
): Promise<Record<"nothing" | "declared" | "inferred", number[]>> {
  const projects = { nothing, declared, inferred };
  const times = { nothing: [] as number[], declared: [] as number[], inferred: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    for (const name of ["nothing", "declared", "inferred"] as const) {
      times[name].push(await check(projects[name], routes, round));
    }
  }
  return times;
}

if (import.meta.main) {
  const routes = Number(Deno.args[0] ?? 500);
  const { nothing, declared, inferred } = await checkTimes(routes, Number(Deno.args[1] ?? 3));
  const times = { nothing, "skitai client": declared, "Hono hc": inferred };
  console.log(
    `\n| ${routes} routes, ${Math.ceil(routes / 10)} calls | seconds to check |\n|---|---:|`,
  );
  for (const [name, values] of Object.entries(times)) {
    console.log(`| ${name} | ${(median(values) / 1000).toFixed(2)} |`);
  }
}
