/**
 * What a client says it accepts: `Accept` and `Accept-Encoding`.
 *
 * @module
 */

/** Content codings this server can produce. */
export type ContentCoding = "gzip" | "deflate";

/** Headers repeat endlessly; this many different values are remembered. */
const MAX_REMEMBERED = 256;

const codings = new Map<string, ContentCoding | undefined>();

/**
 * Best coding for an `Accept-Encoding` value: the one with the higher weight, gzip when they are
 * equal; `undefined` when none is wanted or plain content is preferred.
 */
export function preferredCoding(header: string | null): ContentCoding | undefined {
  if (header === null || header === "") return undefined;
  if (codings.has(header)) return codings.get(header);
  const weights = parseWeights(header);
  const any = weights.get("*");
  const gzip = weights.get("gzip") ?? weights.get("x-gzip") ?? any ?? 0;
  const deflate = weights.get("deflate") ?? any ?? 0;
  const plain = weights.get("identity") ?? 0;
  const best = Math.max(gzip, deflate);
  const coding = best === 0 || plain > best ? undefined : gzip >= deflate ? "gzip" : "deflate";
  if (codings.size >= MAX_REMEMBERED) codings.clear();
  codings.set(header, coding);
  return coding;
}

/**
 * True when an `Accept` value names `application/json` and does not like HTML better. Wildcards do
 * not count: a browser and a bare curl get a page.
 */
export function acceptsJson(header: string | null): boolean {
  if (header === null || !header.toLowerCase().includes("application/json")) return false;
  const weights = parseWeights(header);
  const json = weights.get("application/json") ?? 0;
  return json > 0 && json >= (weights.get("text/html") ?? 0);
}

/**
 * Names with their weights, both as `Accept` and its siblings write them. A broken weight counts as
 * 0.
 */
function parseWeights(header: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const item of header.split(",")) {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    if (name === "") continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined
      ? 1
      : /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(q)
      ? Number(q.slice(2))
      : 0;
    weights.set(name, Math.max(weight, weights.get(name) ?? 0));
  }
  return weights;
}
