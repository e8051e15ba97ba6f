/**
 * From the path of a URL to a name below a directory, without ways out of it.
 *
 * @module
 */

/** What {@link fileNameOf} makes of a URL path. */
export type SafePath =
  /** Decoded, without leading slash; segments are separated by `/`. */
  | { readonly name: string }
  /** `unsafe`: never to be looked up. `undecodable`: not the name of any file. */
  | { readonly refused: "unsafe" | "undecodable" };

const UNSAFE: SafePath = { refused: "unsafe" };

/**
 * Decodes a URL path once and checks the result: nothing with `./`, `//`, a dot segment at the end,
 * a backslash or a control character leads to a file. On Windows neither does a colon, which names
 * drives and alternate streams.
 *
 * @param path Path as sent, percent-encoded, with or without its leading slash.
 */
export function fileNameOf(path: string, windows: boolean = Deno.build.os === "windows"): SafePath {
  let name = path;
  if (path.includes("%")) {
    try {
      name = decodeURIComponent(path);
    } catch {
      return { refused: "undecodable" };
    }
  }
  if (
    name.includes("./") || name.includes("//") || name === "." || name === ".." ||
    name.endsWith("/.") || name.endsWith("/..") || name.includes("\\") || hasControl(name) ||
    (windows && name.includes(":"))
  ) return UNSAFE;
  // A slash within a name: it would lead into a directory past the mounts that are compared by segment.
  if (/%2f/i.test(path)) return { refused: "undecodable" };
  return { name: name.startsWith("/") ? name.slice(1) : name };
}

/**
 * True when some segment starts with a dot. Such files are private by custom (`.git`, `.env`); only
 * `.well-known` at the top is meant to be read by others.
 */
export function isHidden(name: string): boolean {
  if (!name.startsWith(".")) return name.includes("/.");
  const end = name.indexOf("/");
  const first = end === -1 ? name : name.slice(0, end);
  return first !== ".well-known" || name.includes("/.", end === -1 ? name.length : end);
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}
