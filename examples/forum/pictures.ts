/**
 * Pictures that come with posts. What the browser says about a file proves nothing: they are told from
 * everything else by how they begin, and get a name of ours, so that nobody chooses how they are served.
 */

import { HttpError } from "@skitai/skitai";
import type { UploadedFile } from "@skitai/skitai/atila";

const BEGINNINGS: Record<string, RegExp> = {
  png: /^\x89PNG\r\n/,
  jpg: /^\xff\xd8\xff/,
  gif: /^GIF8[79]a/,
  webp: /^RIFF.{4}WEBP/s,
};

/** Keeps the picture of a form, if there is one. Gives the name it is kept under. */
export async function keepPicture(
  files: readonly UploadedFile[],
  directory: string,
): Promise<string | null> {
  const [file, another] = files;
  if (file === undefined) return null;
  if (another !== undefined) throw new HttpError(400, "One picture for each post, please");
  const beginning = String.fromCharCode(...(await file.read()).subarray(0, 16));
  const ending = Object.keys(BEGINNINGS).find((ending) => BEGINNINGS[ending]!.test(beginning));
  if (ending === undefined) {
    throw new HttpError(415, "Not a picture: expected PNG, JPEG, GIF or WebP");
  }
  const name = `${crypto.randomUUID()}.${ending}`;
  await file.save(directory, { name });
  return name;
}

/** Removes a picture that nobody shows any more. */
export async function dropPicture(name: unknown, directory: string): Promise<void> {
  if (typeof name === "string") await Deno.remove(`${directory}/${name}`);
}
