/**
 * A file somebody uploaded.
 *
 * @module
 */

import { dirname, join } from "../core/file_path.ts";
import { safeFileName, splitExtension } from "./upload_name.ts";

/** Options of {@link UploadedFile.save}. */
export interface SaveOptions {
  /** Name to save under, without a directory. Default: the safe name of the upload. */
  name?: string;
  /** Make the directory, and those above it, where they are missing. Default false. */
  mkdir?: boolean;
  /**
   * When the name is taken: `"u"` finds a free one (`name.1.ext`, `name.2.ext` …), `"o"` overwrites.
   * Default `"u"`.
   */
  dup?: "u" | "o";
}

/** What an upload is made of. */
export interface UploadInit {
  /** Name as the client sent it. */
  readonly sentName: string;
  /** Media type as the client says, without parameters. */
  readonly mimetype: string;
  /** Size in bytes. */
  readonly size: number;
  /** Content, where it is in memory. */
  readonly bytes?: Uint8Array;
  /** Temporary file, where it is not. */
  readonly path?: string;
  /** Directory for a temporary file made later. Default: that of the system. */
  readonly directory?: string;
}

type Place =
  | { readonly kind: "memory"; readonly bytes: Uint8Array }
  | { readonly kind: "temporary" | "saved"; readonly path: string }
  | { readonly kind: "removed" };

/**
 * A file of a multipart form. Small files are in memory, larger ones in a temporary file; both are
 * gone when the response has been sent, unless they were saved.
 *
 * @example
 * ```ts ignore
 * app.route("/photos", { methods: ["POST"], args: { photo: FILE } }, async (was, { photo }) => {
 *   const path = await photo.save("/srv/photos", { mkdir: true });
 *   return was.response.API({ path, size: photo.size, type: photo.mimetype });
 * });
 * ```
 */
export class UploadedFile {
  /** Name the client gave, made safe: no directory, no leading dots, no shell characters. */
  readonly name: string;
  /** Name exactly as the client sent it. Never use it as a path. */
  readonly sentName: string;
  /** Size in bytes. */
  readonly size: number;
  /** Media type as the client says, without parameters. What is in the file may be something else. */
  readonly mimetype: string;
  readonly #directory: string | undefined;
  #place: Place;

  /** Made while the body is read. */
  constructor(init: UploadInit) {
    this.sentName = init.sentName;
    this.name = safeFileName(init.sentName);
    this.size = init.size;
    this.mimetype = init.mimetype;
    this.#directory = init.directory;
    this.#place = init.path === undefined
      ? { kind: "memory", bytes: init.bytes ?? new Uint8Array(0) }
      : { kind: "temporary", path: init.path };
  }

  /**
   * Path of the file: a temporary one, after {@link save} the one it was saved under. A file that is in
   * memory is written when its path is asked for the first time.
   *
   * @throws {Error} after {@link remove}.
   */
  get path(): string {
    const place = this.#here("path");
    if (place.kind !== "memory") return place.path;
    const path = makeTemporarySync(this.#directory);
    try {
      Deno.writeFileSync(path, place.bytes);
    } catch (error) {
      Deno.removeSync(path);
      throw error;
    }
    this.#place = { kind: "temporary", path };
    return path;
  }

  /** @deprecated Use {@link path}. */
  get file(): string {
    return this.path;
  }

  /**
   * Moves the file into a directory and returns its new path. Within one file system nothing is copied.
   *
   * @throws {TypeError} for a name with a directory, or an unknown `dup`.
   * @throws {Deno.errors.NotFound} when the directory is missing and `mkdir` is off.
   * @throws {Error} after {@link remove}, or when it was saved before.
   */
  async save(into: string, options: SaveOptions = {}): Promise<string> {
    const { name = this.name, mkdir = false, dup = "u" } = options;
    if (
      typeof name !== "string" || name === "" || name === "." || name === ".." ||
      // deno-lint-ignore no-control-regex
      /[/\\\x00]/.test(name)
    ) {
      throw new TypeError(
        `Cannot save an upload as ${
          JSON.stringify(name)
        }: expected a file name without a directory`,
      );
    }
    if (dup !== "u" && dup !== "o") {
      throw new TypeError(`Cannot save an upload: dup is "u" or "o", not ${JSON.stringify(dup)}`);
    }
    const place = this.#here("save");
    if (place.kind === "saved") {
      throw new Error(`Cannot save the upload "${this.name}": it was saved as ${place.path}`);
    }
    if (mkdir) await Deno.mkdir(into, { recursive: true });
    const path = dup === "u" ? await reserve(into, name) : join(into, name);
    try {
      if (place.kind === "memory") {
        const { bytes } = place;
        await replace(into, path, (temporary) => Deno.writeFile(temporary, bytes));
      } else {
        await move(place.path, path);
      }
    } catch (error) {
      if (dup === "u") await removeIfThere(path);
      throw error;
    }
    // Temporary files are for the owner only; a saved one is as if the app had written it.
    if (Deno.build.os !== "windows") await Deno.chmod(path, 0o666 & ~umask());
    this.#place = { kind: "saved", path };
    return path;
  }

  /**
   * Deletes what is temporary. Nothing happens to a file that was saved, or removed before.
   *
   * @throws what the file system says, unless the file is gone already.
   */
  async remove(): Promise<void> {
    const place = this.#place;
    if (place.kind === "saved" || place.kind === "removed") return;
    this.#place = { kind: "removed" };
    if (place.kind === "temporary") await removeIfThere(place.path);
  }

  /** All bytes. @throws {Error} after {@link remove}. */
  async read(): Promise<Uint8Array> {
    const place = this.#here("read");
    return place.kind === "memory" ? place.bytes : await Deno.readFile(place.path);
  }

  /** All bytes as a stream, for files of any size. @throws {Error} after {@link remove}. */
  async stream(): Promise<ReadableStream<Uint8Array>> {
    const place = this.#here("stream");
    if (place.kind !== "memory") return (await Deno.open(place.path)).readable;
    return new Blob([place.bytes as BlobPart]).stream();
  }

  #here(member: string): Exclude<Place, { kind: "removed" }> {
    if (this.#place.kind === "removed") {
      throw new Error(
        `Cannot use ${member} of the upload "${this.name}": it was removed, which also happens when ` +
          `the response has been sent; save() keeps it`,
      );
    }
    return this.#place;
  }
}

const PREFIX = "skitai-upload-";

/** Makes an empty temporary file, for the owner only. @throws {Error} that names the directory. */
export async function makeTemporary(directory: string | undefined): Promise<string> {
  try {
    return await Deno.makeTempFile({ dir: directory, prefix: PREFIX });
  } catch (cause) {
    throw cannotMake(directory, cause);
  }
}

function makeTemporarySync(directory: string | undefined): string {
  try {
    return Deno.makeTempFileSync({ dir: directory, prefix: PREFIX });
  } catch (cause) {
    throw cannotMake(directory, cause);
  }
}

function cannotMake(directory: string | undefined, cause: unknown): Error {
  const where = directory ?? "the directory of the system";
  return new Error(`Cannot make a temporary file in ${where}: ${(cause as Error).message}`, {
    cause,
  });
}

/** Removes a file; one that is gone is fine. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Creates an empty file under the first free name, so that nobody else can take it. */
async function reserve(directory: string, name: string): Promise<string> {
  const [stem, extension] = splitExtension(name);
  for (let number = 0;; number++) {
    const path = join(directory, number === 0 ? name : `${stem}.${number}${extension}`);
    try {
      (await Deno.open(path, { write: true, createNew: true })).close();
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** Moves a file over another, also from one file system to another. */
async function move(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if ((error as { code?: string }).code !== "EXDEV") throw error;
    await replace(dirname(to), to, (temporary) => Deno.copyFile(from, temporary));
    await removeIfThere(from);
  }
}

/** Puts a file in place at once: nobody sees half of it, and a failure leaves what was there. */
async function replace(
  directory: string,
  path: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = await makeTemporary(directory);
  try {
    await write(temporary);
    await Deno.rename(temporary, path);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  }
}

let mask: number | undefined;

/** The umask of the process. Asking for it sets it for a moment, so it is asked for once. */
function umask(): number {
  return mask ??= Deno.umask();
}
