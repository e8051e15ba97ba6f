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

if (import.meta.main) Deno.exit(await main(Deno.args));
