/**
 * The servers we measure ourselves against, as far as this machine has them.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./harness.ts";

/** Which peers are there. */
export interface Peers {
  /** Node with Fastify, Hono, its adapter and the driver of PostgreSQL. */
  readonly node: boolean;
  /** nginx. */
  readonly nginx: boolean;
}

const NODE_PACKAGES = ["fastify@5", "pino@10", "hono@4", "@hono/node-server@2", "postgres@3"];

/** What decides about the speed of the peer on Python, with the versions that are installed. */
const PYTHON_PACKAGES: Readonly<Record<string, string>> = {
  fastapi: "0.163.2",
  starlette: "1.10.0",
  pydantic: "2.14.3",
  uvicorn: "0.54.0",
  uvloop: "0.23.0",
  httptools: "0.9.0",
  asyncpg: "0.32.0",
};

/** Where peers are installed: outside, so that Deno does not see their manifests. */
const INSTALLED = join(tmpdir(), "skitai-bench-peers");
const VENV = join(INSTALLED, "python");
const PYTHON = join(VENV, "bin", "python");

/** How a program ended, and what it printed. */
interface Ran {
  readonly success: boolean;
  readonly output: string;
}

async function run(program: string, args: string[], cwd?: string): Promise<Ran> {
  try {
    const options = { args, cwd, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const { success, stdout, stderr } = await new Deno.Command(program, options).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { success, output: text(stdout.byteLength > 0 && success ? stdout : stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, output: `${program} is not installed` };
  }
}

/** Command of a peer on Node. */
export const node = (script: string): readonly string[] => ["node", join(INSTALLED, script)];

/** Finds the peers, and installs those that come from npm. */
export async function preparePeers(): Promise<Peers> {
  const [node, nginx] = await Promise.all([prepareNode(), run("nginx", ["-v"])]);
  return { node, nginx: nginx.success };
}

/** Whether there is a Node: where there is none, Deno answers to its name. */
async function hasNode(): Promise<boolean> {
  return (await run("node", ["-e", "process.exit(process.versions.deno ? 1 : 0)"])).success;
}

async function prepareNode(): Promise<boolean> {
  if (!await hasNode()) return false;
  await Deno.mkdir(INSTALLED, { recursive: true });
  for await (const { name } of Deno.readDir(`${HERE}peers`)) {
    if (name.endsWith(".mjs")) await Deno.copyFile(`${HERE}peers/${name}`, join(INSTALLED, name));
  }
  const resolvable = NODE_PACKAGES.map((name) => `require.resolve("${name.replace(/@\d+$/, "")}")`);
  if ((await run("node", ["-e", resolvable.join(";")], INSTALLED)).success) return true;
  const manifest = '{ "private": true, "type": "module" }\n';
  await Deno.writeTextFile(join(INSTALLED, "package.json"), manifest);
  const install = ["install", "--no-audit", "--no-fund", ...NODE_PACKAGES];
  return (await run("npm", install, INSTALLED)).success;
}

/**
 * Command of a peer on Python; its packages are installed where they are not there yet.
 *
 * @returns the command, or in a few words what is missing for it.
 */
export async function python(
  script: string,
): Promise<{ readonly command: readonly string[] } | { readonly problem: string }> {
  const pinned = Object.entries(PYTHON_PACKAGES).map(([name, version]) => `${name}==${version}`);
  if ((await pythonPackages()).join() !== pinned.join().replaceAll("==", " ")) {
    await Deno.mkdir(INSTALLED, { recursive: true });
    for (
      const [program, ...args] of [
        ["python3", "-m", "venv", VENV],
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...pinned],
      ]
    ) {
      const { success, output } = await run(program!, args);
      if (!success) return { problem: output.split("\n").at(-1)! || `${program} failed` };
    }
  }
  return { command: [PYTHON, `peers/${script}`] };
}

/** Those of the pinned packages that are installed, each with its version, in their order. */
async function pythonPackages(): Promise<string[]> {
  const program = "import sys, importlib.metadata as m\n" +
    "for name in sys.argv[1:]:\n" +
    "  try: print(name, m.version(name))\n" +
    "  except m.PackageNotFoundError: pass\n";
  const { success, output } = await run(PYTHON, ["-c", program, ...Object.keys(PYTHON_PACKAGES)]);
  return success ? output.split("\n").filter(Boolean) : [];
}

/** Lines that say what was measured on what. */
export async function versions(): Promise<string[]> {
  const read = async (file: string) => JSON.parse(await Deno.readTextFile(file));
  const own = (await read(`${HERE}../deno.json`)).version;
  const { specifiers } = await read(`${HERE}../deno.lock`) as {
    specifiers: Record<string, string>;
  };
  const onDeno = ["hono", "postgres", "ioredis", "undici"].map((name) => {
    const [, version = "unknown"] = Object.entries(specifiers).find(([key]) =>
      key.startsWith(`npm:${name}@`)
    ) ?? [];
    return `${name} ${version.replace(/_.*/, "")}`;
  });
  const onNode = await Promise.all(NODE_PACKAGES.map(async (pinned) => {
    const name = pinned.replace(/@\d+$/, "");
    try {
      return `${name} ${
        (await read(join(INSTALLED, "node_modules", name, "package.json"))).version
      }`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return `${name} not installed`;
      throw error;
    }
  }));
  const onPython = await pythonPackages();
  const tool = async (program: string, ...args: string[]): Promise<string> => {
    const { success, output } = await run(program, args);
    return success ? /\d[\w.]*/.exec(output)![0] : "not installed";
  };
  return [
    `- ${new Date().toISOString().slice(0, 10)}, Skitai ${own}, Deno ${Deno.version.deno}, ` +
    `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} cores`,
    `- on Deno: ${onDeno.join(", ")}`,
    `- on Node ${await hasNode() ? await tool("node", "--version") : "not installed"}: ${
      onNode.join(", ")
    }`,
    `- on Python ${await tool("python3", "--version")}: ` +
    (onPython.join(", ") || "nothing installed"),
    `- nginx ${await tool("nginx", "-v")}, PostgreSQL ${await tool("psql", "--version")}, ` +
    `Redis ${await tool("redis-server", "--version")}`,
  ];
}
