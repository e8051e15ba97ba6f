import assert from "node:assert/strict";
import { dirname, relative, resolve } from "node:path";

/** The folders of `src/`; each imports only from itself and from those before it. */
const ORDER = [
  "core",
  "wire",
  "net",
  "store",
  "clients",
  "was",
  "middleware",
  "mounts",
  "atila",
  "server",
  "agents",
  "daemon",
];

const root = resolve(new URL("..", import.meta.url).pathname);
const src = `${root}/src`;

async function sources(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await sources(path));
    else if (/\.tsx?$/.test(entry.name)) found.push(path);
  }
  return found;
}

/** Relative specifiers of static, type, dynamic and worker imports. */
function specifiers(source: string): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
  const patterns = [
    /\bfrom\s+["'](\.[^"']+)["']/g,
    /\bimport\s+["'](\.[^"']+)["']/g,
    /\bimport\(\s*["'](\.[^"']+)["']/g,
    /\bnew URL\(\s*["'](\.[^"']+\.ts)["']/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(([, name]) => name!));
}

Deno.test("every folder of src imports only from folders listed before it", async () => {
  const wrong: string[] = [];
  for (const file of await sources(src)) {
    const folder = relative(src, file).split("/")[0]!;
    assert(ORDER.includes(folder), `src/${folder} is not one of the folders of the design`);
    for (const name of specifiers(await Deno.readTextFile(file))) {
      const target = relative(src, resolve(dirname(file), name));
      if (target.startsWith("..")) continue;
      const other = target.split("/")[0]!;
      if (ORDER.indexOf(other) > ORDER.indexOf(folder)) {
        wrong.push(`${relative(root, file)} imports ${name}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

interface Graph {
  roots: string[];
  modules: {
    specifier: string;
    dependencies?: { specifier: string; isDynamic?: boolean; code?: { specifier?: string } }[];
  }[];
}

Deno.test("a static site loads no template engine, no client library and no validator", async () => {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", `${root}/mod.ts`],
    stdout: "piped",
    stderr: "null",
  }).output();
  assert(success, "deno info failed");
  const graph = JSON.parse(new TextDecoder().decode(stdout)) as Graph;
  const byName = new Map(graph.modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const walk = (specifier: string): void => {
    if (seen.has(specifier)) return;
    seen.add(specifier);
    for (const dependency of byName.get(specifier)?.dependencies ?? []) {
      if (dependency.isDynamic || dependency.code?.specifier === undefined) continue;
      walk(dependency.code.specifier);
    }
  };
  graph.roots.forEach(walk);
  assert(seen.size > 10, "the module graph of mod.ts is empty");
  const packages = [...seen].filter((specifier) => specifier.startsWith("npm:"));
  assert.deepEqual(packages, [], "npm packages are loaded where they are first needed");
});
