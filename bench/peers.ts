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
  /** Node with Fastify, Hono and its adapter installed in `bench/peers`. */
  readonly node: boolean;
  /** nginx. */
  readonly nginx: boolean;
}

const PACKAGES = ["fastify@5", "pino@10", "hono@4", "@hono/node-server@2"];

/** Where the peers that run on Node are installed: outside, so that Deno does not see their manifest. */
export const NODE_PEERS: string = join(tmpdir(), "skitai-bench-peers");

async function succeeds(command: string, args: string[], cwd?: string): Promise<boolean> {
  try {
    const options = { args, cwd, stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  return new TextDecoder().decode(stdout.byteLength > 0 ? stdout : stderr).trim();
}

/** Installs the peers that come from npm. */
export async function preparePeers(): Promise<Peers> {
  let node = await succeeds("node", ["--version"]);
  if (node) {
    await Deno.mkdir(NODE_PEERS, { recursive: true });
    for await (const { name } of Deno.readDir(`${HERE}peers`)) {
      if (name.endsWith(".mjs")) {
        await Deno.copyFile(`${HERE}peers/${name}`, `${NODE_PEERS}/${name}`);
      }
    }
    const resolvable = PACKAGES.map((name) => `require.resolve("${name.replace(/@\d+$/, "")}")`);
    if (!await succeeds("node", ["-e", resolvable.join(";")], NODE_PEERS)) {
      const manifest = '{ "private": true, "type": "module" }\n';
      await Deno.writeTextFile(`${NODE_PEERS}/package.json`, manifest);
      node = await succeeds("npm", ["install", "--no-audit", "--no-fund", ...PACKAGES], NODE_PEERS);
    }
  }
  return { node, nginx: await succeeds("nginx", ["-v"]) };
}

/** Lines that say what was measured on what. */
export async function versions(): Promise<string[]> {
  const packages = await Promise.all(
    ["fastify", "hono", "@hono/node-server"].map(async (name) => {
      try {
        const manifest = await Deno.readTextFile(`${NODE_PEERS}/node_modules/${name}/package.json`);
        return `${name} ${JSON.parse(manifest).version}`;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return `${name} not installed`;
        throw error;
      }
    }),
  );
  const own = JSON.parse(await Deno.readTextFile(`${HERE}../deno.json`)).version;
  const tools: string[] = [];
  for (const [name, args] of [["node", ["--version"]], ["nginx", ["-v"]]] as const) {
    if (await succeeds(name, [...args])) tools.push(`${name} ${await output(name, [...args])}`);
  }
  return [
    `- ${new Date().toISOString().slice(0, 10)}, Skitai ${own}, Deno ${Deno.version.deno}, ` +
    `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} cores`,
    `- ${[...packages, ...tools].join(", ")}`,
  ];
}
