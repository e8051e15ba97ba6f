/**
 * The runtime directory of a service.
 *
 * @module
 */

import { asError, ConfigError } from "../../core/errors.ts";
import { getVarBase, getVarPath } from "../paths.ts";

/**
 * Makes the runtime directory and returns its path.
 *
 * The base is open to all users, like any directory for temporary files, so a directory of that name may
 * have been laid there by somebody else; such a one is refused.
 *
 * @throws {ConfigError} when the directory cannot be made, or belongs to another user.
 */
export async function makeVarDirectory(path: string = getVarPath()): Promise<string> {
  let stat: Deno.FileInfo;
  try {
    stat = await make(path);
  } catch (error) {
    const reason = asError(error).message;
    throw new ConfigError(path, `this runtime directory cannot be made: ${reason}`, {
      cause: error,
    });
  }
  const owner = Deno.uid();
  if (!stat.isDirectory || (owner !== null && stat.uid !== owner)) {
    throw new ConfigError(path, "this runtime directory belongs to another user");
  }
  return path;
}

async function make(path: string): Promise<Deno.FileInfo> {
  const base = getVarBase();
  try {
    await Deno.mkdir(base, { recursive: false });
    // Through a umask the mode of mkdir would not stay open for others. The sticky bit keeps them from
    // removing what is not theirs.
    if (Deno.build.os !== "windows") await Deno.chmod(base, 0o1777);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) await Deno.mkdir(base, { recursive: true });
    else if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  await Deno.mkdir(path, { recursive: true, mode: 0o755 });
  return await Deno.lstat(path);
}
