/**
 * `skitai build`: makes one program of a start script and everything it imports, which starts faster
 * and takes less memory than its sources.
 *
 * @module
 */

import { cp, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { ConfigError } from "../../core/errors.ts";

/** Options of {@link buildProgram}. */
export interface BuildOptions {
  /** Directory of the program. Default `dist`, beside the script. */
  readonly outdir?: string;
  /** Files and directories the program reads, such as `templates`, by their path from the script. */
  readonly include?: readonly string[];
  /** Make it smaller, at the price of readable stack traces. Default false. */
  readonly minify?: boolean;
  /** Configuration of Deno with the import map. Default: the one Deno finds. */
  readonly config?: string;
}

/** What was built. */
export interface BuiltProgram {
  /** The main module, absolute. */
  readonly main: string;
  /** How many files there are. */
  readonly files: number;
  /** Their size in bytes, without what was included. */
  readonly bytes: number;
}

/** Names the files of a build, so that the next one knows what it may remove. */
const MANIFEST = ".skitai-build.json";
/**
 * Where a program is made, within its directory: that may be a disk of its own, and what an interrupted
 * build leaves there the next one removes.
 */
const UNFINISHED = ".skitai-build.unfinished";

/**
 * Builds a program with `deno bundle`.
 *
 * @throws {ConfigError} when there is no such script or no such file to include, when the directory
 *   has files that no build made, or with what the bundler says. The directory is as it was then.
 */
export async function buildProgram(
  script: string,
  options: BuildOptions = {},
): Promise<BuiltProgram> {
  const source = resolve(script);
  const from = dirname(source);
  const outdir = await realPath(resolve(options.outdir ?? join(from, "dist")));
  if (!await isThere(source)) throw new ConfigError(source, "there is no such script");
  const included = (options.include ?? []).map((path) => checkIncluded(path, from, outdir))
    .filter((path, _, all) => !all.some((other) => path.startsWith(join(other, "/"))));
  for (const path of included) {
    if (!await isThere(join(from, path))) {
      throw new ConfigError(path, `there is no such file in ${from} to include`);
    }
  }
  const earlier = await earlierBuild(outdir);

  const made = await mkdir(outdir, { recursive: true });
  const fresh = join(outdir, UNFINISHED);
  let isDone = false;
  try {
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh);
    await bundle(source, fresh, options);
    const names = (await readdir(fresh)).sort();
    let bytes = 0;
    const all = new Set(names);
    for (const name of names) bytes += await makeLazy(join(fresh, name), all);
    for (const path of included) {
      if (await isThere(join(fresh, path))) {
        throw new ConfigError(path, "cannot be included: the program has a file of that name");
      }
      // What is beside the sources is not where the program goes: no link may lead there.
      await cp(join(from, path), join(fresh, path), { recursive: true, dereference: true });
    }
    const files = [...new Set([...names, ...included])];
    await writeFile(join(fresh, MANIFEST), JSON.stringify({ files }));
    // Bundles are named after their content: what is left of an earlier build is never asked for again.
    for (const path of earlier) await rm(join(outdir, path), { recursive: true, force: true });
    for (const path of [...files, MANIFEST]) {
      await mkdir(dirname(join(outdir, path)), { recursive: true });
      await rm(join(outdir, path), { recursive: true, force: true });
      await rename(join(fresh, path), join(outdir, path));
    }
    isDone = true;
    const main = join(outdir, basename(source).replace(/\.[^.]+$/, ".js"));
    return { main, files: names.length, bytes };
  } finally {
    await rm(!isDone && made !== undefined ? made : fresh, { recursive: true, force: true });
  }
}

/** Where links lead; a path that does not exist is what it is. */
async function realPath(path: string): Promise<string> {
  return await isThere(path) ? await realpath(path) : path;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Normalizes a path to include, which keeps its place relative to the main module. */
function checkIncluded(path: string, from: string, outdir: string): string {
  const inside = relative(from, resolve(from, path));
  if (inside === "" || inside.startsWith("..") || resolve(inside) === inside) {
    throw new ConfigError(path, `cannot be included: it is not inside of ${from}`);
  }
  if (!relative(resolve(from, inside), outdir).startsWith("..")) {
    throw new ConfigError(path, `cannot be included: the program would be inside of it`);
  }
  return inside;
}

/** Paths an earlier build has made there. */
async function earlierBuild(outdir: string): Promise<readonly string[]> {
  let names: string[];
  try {
    names = await readdir(outdir);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") return [];
    if (code === "ENOTDIR") throw new ConfigError(outdir, "it is no directory");
    throw error;
  }
  if (names.every((name) => name === UNFINISHED)) return [];
  if (!names.includes(MANIFEST)) {
    throw new ConfigError(outdir, "it has files that no build has made; name another --outdir");
  }
  try {
    return JSON.parse(await readFile(join(outdir, MANIFEST), "utf8")).files as string[];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ConfigError(join(outdir, MANIFEST), "it is damaged; remove the directory");
  }
}

async function bundle(source: string, outdir: string, options: BuildOptions): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--platform=deno",
      "--code-splitting",
      `--outdir=${outdir}`,
      ...(options.minify ? ["--minify"] : []),
      ...(options.config === undefined ? [] : [`--config=${options.config}`]),
      source,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code === 0) return;
  const said = new TextDecoder().decode(stderr).split("\nStack backtrace:")[0]!.trim();
  throw new ConfigError(source, `deno bundle cannot build it:\n${said}`);
}

/** How a bundle gets `require` for packages in the older form, at the start of every program. */
const EAGER_REQUIRE =
  /import\s*\{\s*createRequire as (\w+)\s*\}\s*from\s*"node:module";\s*var (\w+)\s*=\s*\1\(import\.meta\.url\);/;

/** How it loads another file of the program. */
const LATER_IMPORT = /\bimport\("(\.\/[^"\\]+\.js)"\)/g;

/**
 * Lets a file of the program load the modules of Node when a package asks for one, not at the start:
 * most services never need them, and they take as long as the rest of the start. And keeps the runtime
 * from reading at the start what the file loads later. Gives the size of the file.
 */
async function makeLazy(path: string, names: ReadonlySet<string>): Promise<number> {
  const text = await readFile(path, "utf8");
  const lazy = text.replace(
    EAGER_REQUIRE,
    (_, create: string, name: string) => {
      const real = `(${create}??=process.getBuiltinModule("node:module")` +
        `.createRequire(import.meta.url))`;
      return `var ${create},${name}=new Proxy(function(){},{` +
        `apply:(_,self,args)=>${real}.apply(self,args),get:(_,key)=>${real}[key]});`;
    },
  ).replace(
    LATER_IMPORT,
    (whole, file: string) =>
      names.has(file.slice(2)) ? `import(new URL("${file}",import.meta.url).href)` : whole,
  );
  if (lazy !== text) await writeFile(path, lazy);
  return new TextEncoder().encode(lazy).byteLength;
}
