/** Tells pictures from everything else by how they begin. */

import type { UploadedFile } from "@skitai/skitai/atila";

const BEGINNINGS: Record<string, RegExp> = {
  png: /^\x89PNG\r\n/,
  jpg: /^\xff\xd8\xff/,
  gif: /^GIF8[79]a/,
  webp: /^RIFF.{4}WEBP/s,
};

/** File name ending for the kind of picture it is; `undefined` for what is none. */
export async function imageEnding(file: UploadedFile): Promise<string | undefined> {
  const beginning = String.fromCharCode(...(await file.read()).subarray(0, 16));
  return Object.keys(BEGINNINGS).find((ending) => BEGINNINGS[ending]!.test(beginning));
}
