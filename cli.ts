// deno-lint-ignore-file no-console -- what a command says belongs on the console
/**
 * The `skitai` command.
 *
 * ```sh
 * deno run -A jsr:@skitai/skitai/cli status
 * ```
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import colors from "picocolors";
import { VERSION } from "./src/core/version.ts";
import { describeInstance, listInstances } from "./src/server/commands/list_instances.ts";

/** Runs the command with these arguments and returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("skitai")
    .description("Looks after services made with Skitai for Deno")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .showHelpAfterError(false);
  program.command("status")
    .description("list every service of this machine and whether it runs")
    .action(status);
  program.command("client")
    .description("write TypeScript declarations of the routes of an app, for createClient")
    .argument("<script>", "file that exports the app, or that mounts it")
    .option("--export <name>", 'name of the export that is the app (default: "app")')
    .option("--point <prefix>", "prefix the app is mounted at, where the script does not mount it")
    .addHelpText("after", "\nExample:\n  skitai client app.ts > api.d.ts")
    .action(client);
  program.command("build")
    .description("make one program of a start script, which starts faster and takes less memory")
    .argument("<script>", "start script")
    .option("--outdir <directory>", 'directory of the program (default: "dist" beside the script)')
    .option("--include <path...>", "files and directories beside the script that the program reads")
    .option("--minify", "make it smaller, at the price of readable stack traces")
    .option("--config <file>", "configuration of Deno with the import map")
    .addHelpText("after", "\nExample:\n  skitai build app.ts --include templates static")
    .action(build);
  program.on("command:*", ([name]: string[]) => {
    console.error(`unknown command "${name}"; see skitai --help`);
    throw new CommanderError(1, "skitai.unknownCommand", `unknown command "${name}"`);
  });
  if (args.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    // Commander has printed what there is to say.
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
}

async function status(): Promise<void> {
  const instances = await listInstances();
  if (instances.length === 0) console.log("no services");
  const width = Math.max(0, ...instances.map(({ name }) => name.length));
  for (const instance of instances) {
    const text = describeInstance(instance);
    const colour = instance.pid === undefined ? colors.dim : colors.green;
    console.log(`${instance.name.padEnd(width)}  ${colour(text)}`);
  }
}

async function client(
  script: string,
  options: { export?: string; point?: string },
): Promise<void> {
  // What the script prints while it is loaded must not end up among the declarations.
  const { log, info, debug } = console;
  console.log = console.info = console.debug = console.error;
  let text: string;
  try {
    const { declareClient } = await import("./src/server/commands/client_declarations.ts");
    text = await declareClient(script, options, (problem) => console.error(`warning: ${problem}`));
  } catch (error) {
    console.error(`skitai client: ${error instanceof Error ? error.message : String(error)}`);
    throw new CommanderError(1, "skitai.client", "failed");
  } finally {
    Object.assign(console, { log, info, debug });
  }
  console.log(text.trimEnd());
}

async function build(
  script: string,
  options: { outdir?: string; include?: string[]; minify?: boolean; config?: string },
): Promise<void> {
  try {
    const { buildProgram } = await import("./src/server/commands/build.ts");
    const { main, files, bytes } = await buildProgram(script, options);
    console.log(`${main}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB`);
  } catch (error) {
    console.error(`skitai build: ${error instanceof Error ? error.message : String(error)}`);
    throw new CommanderError(1, "skitai.build", "failed");
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
