/**
 * Content types by file name extension.
 *
 * The extensions of ordinary sites are answered from a small table at once. The first other one
 * loads the complete database, so that a site which never needs it does not pay for it at start.
 *
 * @module
 */

/** Type of files nobody knows. */
export const UNKNOWN_TYPE = "application/octet-stream";

const COMMON = `
text/html html htm | text/css css | text/javascript js mjs | text/plain txt log | text/csv csv
text/markdown md | text/calendar ics | text/vtt vtt | text/yaml yaml yml | text/x-vcard vcf
application/json json map | application/ld+json jsonld | application/manifest+json webmanifest
application/xml xml | application/rss+xml rss | application/atom+xml atom
application/xhtml+xml xhtml
application/wasm wasm | application/pdf pdf | application/zip zip | application/gzip gz tgz
application/x-tar tar | application/x-7z-compressed 7z | application/rtf rtf
application/epub+zip epub
application/node cjs | application/toml toml | application/octet-stream bin exe iso dmg
image/png png | image/jpeg jpg jpeg | image/gif gif | image/webp webp | image/avif avif
image/svg+xml svg | image/x-icon ico | image/bmp bmp | image/tiff tif tiff | image/heic heic
font/woff woff | font/woff2 woff2 | font/ttf ttf | font/otf otf
audio/mpeg mp3 | audio/ogg ogg oga | audio/wav wav | audio/mp4 m4a | audio/flac flac
video/mp4 mp4 | video/webm webm | video/ogg ogv | video/quicktime mov | video/x-msvideo avi
application/vnd.apple.mpegurl m3u8 | application/dash+xml mpd | model/gltf-binary glb
`;

/** Types by extension; made for the first file. */
let known: Map<string, string> | undefined;
let complete: Promise<void> | undefined;
let loaded = false;

/**
 * Content type for a file name, with `charset=utf-8` for text. Names without a known extension are
 * `application/octet-stream`. A promise only where the complete database has to be loaded first.
 */
export function contentTypeOf(name: string): string | Promise<string> {
  const extension = extensionOf(name);
  const types = known ??= commonTypes();
  const type = types.get(extension);
  if (type !== undefined) return type;
  if (extension === "" || loaded) return UNKNOWN_TYPE;
  complete ??= loadAll(types);
  return complete.then(() => types.get(extension) ?? UNKNOWN_TYPE);
}

/** Extension of the last segment in lower case, without its dot; `""` when there is none. */
export function extensionOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot <= name.lastIndexOf("/") ? "" : name.slice(dot + 1).toLowerCase();
}

/** Which list wins when several name types for one extension. */
const SOURCES = ["iana", "apache", "nginx"];

/** What is read of the database, whose package carries no types. */
type MimeDb = Readonly<Record<string, { source?: string; extensions?: readonly string[] }>>;

function commonTypes(): Map<string, string> {
  const types = new Map<string, string>();
  for (const entry of COMMON.trim().split(/\s*[|\n]\s*/)) {
    const [type = "", ...extensions] = entry.split(" ");
    for (const extension of extensions) types.set(extension, withCharset(type));
  }
  return types;
}

async function loadAll(types: Map<string, string>): Promise<void> {
  const { default: db } = await import("mime-db") as unknown as { default: MimeDb };
  const ranks = new Map<string, number>();
  for (const [type, entry] of Object.entries(db)) {
    const rank = SOURCES.indexOf(entry.source ?? "");
    for (const extension of entry.extensions ?? []) {
      const taken = ranks.get(extension);
      if (types.has(extension) && taken === undefined) continue;
      if (taken !== undefined && (rank === -1 || rank >= taken)) continue;
      ranks.set(extension, rank === -1 ? SOURCES.length : rank);
      types.set(extension, withCharset(type));
    }
  }
  loaded = true;
}

function withCharset(type: string): string {
  return type.startsWith("text/") ? `${type}; charset=utf-8` : type;
}
