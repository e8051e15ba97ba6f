/**
 * A file system that is soon full, in memory. It takes a privileged user of Linux to have one.
 *
 * @module
 */

/** A small disk; disposing unmounts it. */
export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Mounts one of so many KiB; `undefined` where that is not allowed. */
  static async mount(kib: number): Promise<SmallDisk | undefined> {
    if (Deno.build.os !== "linux") return undefined;
    const path = await Deno.makeTempDir({ prefix: "skitai-disk-" });
    if (await run("mount", "-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", path)) {
      return new SmallDisk(path);
    }
    await Deno.remove(path);
    return undefined;
  }

  /** Writes a file that takes all the room that is left but for so many bytes. */
  async fill(name: string, leaveBytes = 0): Promise<void> {
    using file = await Deno.open(`${this.path}/${name}`, { write: true, create: true });
    const page = new Uint8Array(4096);
    let size = 0;
    try {
      for (;;) size += await file.write(page);
    } catch (error) {
      if (!/No space left/.test(String(error))) throw error;
    }
    await file.truncate(Math.max(0, size - leaveBytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // a program that is being started has, until it runs, all files open that were open here
    if (!await run("umount", "-l", this.path)) throw new Error(`Cannot unmount ${this.path}`);
    await Deno.remove(this.path);
  }
}

/** True where a small disk can be mounted. */
export async function canMount(): Promise<boolean> {
  const disk = await SmallDisk.mount(16);
  await disk?.[Symbol.asyncDispose]();
  return disk !== undefined;
}

async function run(...command: string[]): Promise<boolean> {
  const [program, ...args] = command;
  try {
    return (await new Deno.Command(program!, { args, stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
