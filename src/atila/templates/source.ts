/**
 * Where templates come from: a list of directories, searched in order.
 *
 * @module
 */

import { join } from "../../core/file_path.ts";
import { TemplateError } from "./template_error.ts";

/** A template as it is on disk. */
export interface SourceFile {
  /** Name below its directory, without leading slash. */
  readonly name: string;
  /** Path of the file. */
  readonly path: string;
  /** Its content. */
  readonly text: string;
}

/**
 * Finds and reads templates. Reading is synchronous: it happens once per template, or while
 * developing.
 */
export class TemplateSource {
  /** Directories, first one first. The list is read at every search, so it may grow. */
  readonly directories: readonly string[];

  /** Takes the list as it is. */
  constructor(directories: readonly string[]) {
    this.directories = directories;
  }

  /**
   * Brings a name to its form below a directory: no leading slash, no dots. A name that starts with
   * `./` or `../` is relative to the template `from`.
   *
   * @throws {TemplateError} for a name that leads out of the directories.
   */
  resolve(name: string, from?: string): string {
    const relative = from !== undefined && /^\.\.?\//.test(name);
    const parts = relative ? from.split("/").slice(0, -1) : [];
    const refused = () =>
      new TemplateError("the name leads out of the template directories", {
        template: JSON.stringify(name),
        line: 0,
      });
    if (name.includes("\0") || name.includes("\\") || /^[A-Za-z]:/.test(name)) throw refused();
    for (const part of name.split("/")) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (!relative || parts.pop() === undefined) throw refused();
    }
    if (parts.length === 0) {
      throw new TemplateError("the name is empty", { template: JSON.stringify(name), line: 0 });
    }
    return parts.join("/");
  }

  /** Reads the first file of a resolved name; `undefined` when no directory has it. */
  read(name: string): SourceFile | undefined {
    for (const directory of this.directories) {
      const path = join(directory, name);
      try {
        return { name, path, text: Deno.readTextFileSync(path) };
      } catch (error) {
        // A directory of that name, or a file where a directory should be, is no template either.
        if (
          error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory ||
          error instanceof Deno.errors.NotADirectory
        ) continue;
        throw error;
      }
    }
    return undefined;
  }

  /** The error of a template no directory has. */
  missing(name: string): TemplateError {
    const searched = this.directories.join(", ") || "no directory, as none is set";
    return new TemplateError(`not found; searched ${searched}`, { template: name, line: 0 });
  }
}
