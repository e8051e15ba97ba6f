/**
 * Templates in temporary directories.
 *
 * @module
 */

import { dirname, join } from "node:path";
import {
  createTemplates,
  type TemplateEngine,
  type TemplateOptions,
} from "../../src/atila/templates/engine.ts";

/** Writes files into a new directory, gives their engine to the test, and takes them away. */
export async function withTemplates(
  files: Record<string, string>,
  test: (templates: TemplateEngine, directory: string) => Promise<void>,
  options: Partial<TemplateOptions> = {},
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await writeTemplate(directory, name, text);
    await test(createTemplates({ directories: [directory], ...options }), directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Writes one template. */
export async function writeTemplate(directory: string, name: string, text: string): Promise<void> {
  const path = join(directory, name);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}
