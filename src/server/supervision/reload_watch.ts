/**
 * Notices that files have changed, by looking at them once a second.
 *
 * Asking the system for notifications is of no use here: editors replace files, network and container
 * file systems stay silent, and directories would need a watch each.
 *
 * @module
 */

import { join } from "../../core/file_path.ts";

/** Directories whose contents are never part of an app. */
const SKIPPED = new Set(["node_modules", "__pycache__"]);
/** Most files looked at, so that a directory named by mistake does not keep a processor busy. */
const MOST_FILES = 10_000;

/** Time and size of every file, by path. */
type Snapshot = ReadonlyMap<string, string>;

/** Watches files, and directories with everything below them. */
export class ReloadWatch {
  #paths: readonly string[] = [];
  #snapshot: Snapshot = new Map();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #changed: (paths: readonly string[]) => void | Promise<void>;
  #failed: (error: unknown) => void;

  /** Makes the watch. What `changed` does is not waited for: files may change again meanwhile. */
  constructor(options: {
    readonly changed: (paths: readonly string[]) => void | Promise<void>;
    readonly failed: (error: unknown) => void;
  }) {
    this.#changed = options.changed;
    this.#failed = options.failed;
  }

  /**
   * Watches these paths instead of others. Of files that were not watched before, what they are like now
   * counts as unchanged.
   */
  async watch(paths: readonly string[]): Promise<void> {
    this.stop();
    const own = [...paths];
    this.#paths = own;
    const now = await take(own);
    if (this.#paths !== own) return;
    // Who has read a file since the last look may have been too early for its last change.
    this.#snapshot = new Map(
      [...now].map(([path, mark]) => [path, this.#snapshot.get(path) ?? mark]),
    );
    if (own.length > 0) this.#schedule();
  }

  /** Stops watching. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#paths = [];
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#look(), 1000);
  }

  async #look(): Promise<void> {
    const paths = this.#paths;
    try {
      const now = await take(paths);
      if (paths !== this.#paths) return;
      const changes = differences(this.#snapshot, now);
      this.#snapshot = now;
      if (changes.length > 0) {
        Promise.resolve(this.#changed(changes)).catch((error) => this.#failed(error));
      }
    } catch (error) {
      this.#failed(error);
    }
    // The change may have brought other paths, with a timer of their own.
    if (paths === this.#paths && paths.length > 0) this.#schedule();
  }
}

function differences(before: Snapshot, after: Snapshot): string[] {
  const changed = [...after].filter(([path, mark]) => before.get(path) !== mark).map(([path]) =>
    path
  );
  const removed = [...before.keys()].filter((path) => !after.has(path));
  // A file that is gone is most likely being replaced; when it comes back it counts as changed.
  return changed.length > 0 ? changed : removed.filter((path) => !path.startsWith("."));
}

async function take(paths: readonly string[]): Promise<Snapshot> {
  const marks = new Map<string, string>();
  for (const path of paths) await visit(path, marks);
  return marks;
}

async function visit(path: string, marks: Map<string, string>): Promise<void> {
  if (marks.size >= MOST_FILES) return;
  try {
    const stat = await Deno.stat(path);
    if (stat.isFile) {
      marks.set(path, `${stat.mtime?.getTime()}:${stat.size}`);
    } else if (stat.isDirectory) {
      for await (const { name } of Deno.readDir(path)) {
        if (!name.startsWith(".") && !name.endsWith("~") && !SKIPPED.has(name)) {
          await visit(join(path, name), marks);
        }
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
