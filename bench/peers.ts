/**
 * The servers we measure ourselves against, as far as this machine has them.
 *
 * @module
 */

import { HERE } from "./harness.ts";

/** Which peers are there. */
export interface Peers {
  /** Node with Fastify, Hono and its adapter installed in `bench/peers`. */
  readonly node: boolean;
  /** nginx. */
  readonly nginx: boolean;
}

const PACKAGES = ["fastify@5", "hono@4", "@hono/node-server@2"];

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
  const cwd = `${HERE}peers`;
  let node = await succeeds("node", ["--version"]);
  if (node && !await succeeds("node", ["-e", "require.resolve('fastify')"], cwd)) {
    await Deno.writeTextFile(`${cwd}/package.json`, '{ "private": true, "type": "module" }\n');
    node = await succeeds("npm", ["install", "--no-audit", "--no-fund", ...PACKAGES], cwd);
  }
  return { node, nginx: await succeeds("nginx", ["-v"]) };
}

/** Lines that say what was measured on what. */
export async function versions(): Promise<string[]> {
  const packages = await Promise.all(
    ["fastify", "hono", "@hono/node-server"].map(async (name) => {
      try {
        const manifest = await Deno.readTextFile(`${HERE}peers/node_modules/${name}/package.json`);
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
