/**
 * Directories that are gone when what needed them is over, also when it failed.
 *
 * @module
 */

/** A directory with a name of its own among the temporary ones, removed at the end of its scope. */
export class TemporaryDirectory implements AsyncDisposable {
  /** Where it is. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes one whose name begins with `bench-`, open to servers that run as another user. */
  static async make(): Promise<TemporaryDirectory> {
    const path = await Deno.makeTempDir({ prefix: "bench-" });
    await Deno.chmod(path, 0o755);
    return new TemporaryDirectory(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
