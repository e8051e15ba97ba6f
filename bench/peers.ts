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

/** Where peers are installed: outside, so that Deno does not see their manifests. */
const INSTALLED = join(tmpdir(), "skitai-bench-peers");

/** What a program printed, or `undefined` where it is not there. */
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

async function prepareNode(): Promise<boolean> {
  if (!(await run("node", ["--version"])).success) return false;
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
  const tool = async (program: string, ...args: string[]): Promise<string> => {
    const { success, output } = await run(program, args);
    return success ? /\d[\w.]*/.exec(output)![0] : "not installed";
  };
  return [
    `- ${new Date().toISOString().slice(0, 10)}, Skitai ${own}, Deno ${Deno.version.deno}, ` +
    `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} cores`,
    `- on Deno: ${onDeno.join(", ")}`,
    `- on Node ${await tool("node", "--version")}: ${onNode.join(", ")}`,
    `- nginx ${await tool("nginx", "-v")}, PostgreSQL ${await tool("psql", "--version")}, ` +
    `Redis ${await tool("redis-server", "--version")}`,
  ];
}
