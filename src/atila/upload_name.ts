/**
 * File names as clients send them, made harmless.
 *
 * @module
 */

/** Longest name in bytes of UTF-8: what file systems take, less room for a number before the extension. */
const MAX_NAME_BYTES = 240;

/** Longest extension that is kept when a name is cut, in characters. */
const MAX_EXTENSION = 16;

/** Longest name that is looked at as a whole, in characters: more than can stay of any. */
const MAX_READ = 1024;

/** Name of a file whose own name has nothing usable. */
export const UNNAMED = "unnamed";

const encoder = new TextEncoder();

/** Names that are devices on Windows, whatever their extension. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * Makes a name that is safe to use in any directory: no directory of any system, no leading dots or
 * dashes, no control, shell or direction characters, at most 240 bytes. Letters of all languages stay.
 */
export function safeFileName(sent: string): string {
  const last = sent.slice(Math.max(sent.lastIndexOf("/"), sent.lastIndexOf("\\")) + 1);
  const tame = readable(last)
    .normalize("NFC")
    // control and direction characters, and what shells and other file systems give a meaning to
    .replace(/[\p{Cc}\p{Cf}"'`*?<>|:;&$!#%^~(){}[\]\\/\ufffd]/gu, "_")
    .replace(/\s+/g, " ");
  const name = withoutEnd(tame)
    .replace(/^[ .]+/, "")
    .replace(/^-+/, "_");
  if (name === "" || /^_+$/.test(name)) return UNNAMED;
  return shortened(DEVICE.test(name) ? `_${name}` : name);
}

/** Splits a name before its extension, the dot belonging to the extension. */
export function splitExtension(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf(".");
  return dot <= 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
}

/**
 * What is looked at of a name: all, or its beginning and its end. Normalizing takes the square of the
 * length where marks follow each other, and a client may send hundreds of names of 16 KiB.
 */
function readable(name: string): string {
  if (name.length <= MAX_READ) return name;
  const end = 2 * MAX_EXTENSION;
  return (name.slice(0, MAX_READ - end) + name.slice(-end)).toWellFormed();
}

/** Without blanks and dots at the end. A pattern that looks for it starts anew at each dot of a run. */
function withoutEnd(name: string): string {
  let end = name.length;
  while (name[end - 1] === "." || name[end - 1] === " ") end--;
  return name.slice(0, end);
}

function shortened(name: string): string {
  if (name.length * 3 <= MAX_NAME_BYTES || encoder.encode(name).length <= MAX_NAME_BYTES) {
    return name;
  }
  let [stem, extension] = splitExtension(name);
  if (extension.length > MAX_EXTENSION) [stem, extension] = [name, ""];
  const room = MAX_NAME_BYTES - encoder.encode(extension).length;
  // Cutting between the halves of a surrogate pair would leave a name that cannot be encoded.
  const { read } = encoder.encodeInto(stem, new Uint8Array(room));
  return stem.slice(0, read) + extension;
}
