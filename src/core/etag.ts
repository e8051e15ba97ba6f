/**
 * Entity tags.
 *
 * @module
 */

/**
 * Tag of a file from its size in bytes and its modification time in milliseconds since the epoch.
 */
export function fileEtag(size: number, modifiedMs: number): string {
  return `"${size.toString(16)}-${Math.trunc(modifiedMs).toString(16)}"`;
}

/** The weak form of a tag; one that is weak already stays. */
export function weakEtag(etag: string): string {
  return etag.startsWith("W/") ? etag : `W/${etag}`;
}

/** How two tags are compared: `weak` ignores `W/`, `strong` never matches a weak tag. */
export type EtagComparison = "weak" | "strong";

const TAG = /[ \t]*((?:W\/)?"[\x21\x23-\x7e\x80-\uffff]*")[ \t]*(?:,|$)|[ \t]*,/y;

/**
 * True when an `If-None-Match` or `If-Match` value covers a tag: `*`, one tag, or a list of them. A
 * list is read up to the first thing that is no tag.
 */
export function etagMatches(
  header: string,
  etag: string,
  comparison: EtagComparison = "weak",
): boolean {
  if (header === etag) return comparison === "weak" || !etag.startsWith("W/");
  if (header.trim() === "*") return true;
  const wanted = comparison === "weak" ? opaque(etag) : etag.startsWith("W/") ? undefined : etag;
  TAG.lastIndex = 0;
  for (let match = TAG.exec(header); match !== null; match = TAG.exec(header)) {
    const tag = match[1];
    if (tag !== undefined && (comparison === "weak" ? opaque(tag) : tag) === wanted) return true;
    if (TAG.lastIndex >= header.length) return false;
  }
  return false;
}

function opaque(etag: string): string {
  return etag.startsWith("W/") ? etag.slice(2) : etag;
}
