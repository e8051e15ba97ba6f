/**
 * Directories outside of the checkout whose scripts import this package by its name, as those of users do.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Directory of the checkout. */
export const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));

/** A directory with a `deno.json`, removed at the end of the block. */
export interface Project extends AsyncDisposable {
  /** Its path. */
  readonly path: string;
  /** Path of a file in it. */
  file(...names: string[]): string;
  /** Writes a file, and the directories above it. */
  write(name: string, text: string): Promise<string>;
}

/** Makes one. `from` is a directory whose files are copied into it. */
export async function openProject(from?: string): Promise<Project> {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "skitai-project-" }));
  if (from !== undefined) await copy(from, path);
  const { imports, compilerOptions } = JSON.parse(
    await Deno.readTextFile(join(CHECKOUT, "deno.json")),
  );
  for (const [name, target] of Object.entries<string>(imports)) {
    if (target.startsWith("./")) imports[name] = resolve(CHECKOUT, target);
  }
  await Deno.writeTextFile(join(path, "deno.json"), JSON.stringify({ imports, compilerOptions }));
  // The versions of the checkout, so that nothing is asked of a registry.
  await Deno.copyFile(join(CHECKOUT, "deno.lock"), join(path, "deno.lock"));
  const file = (...names: string[]) => join(path, ...names);
  return {
    path,
    file,
    async write(name, text) {
      await Deno.mkdir(resolve(path, name, ".."), { recursive: true });
      await Deno.writeTextFile(file(name), text);
      return file(name);
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
}
