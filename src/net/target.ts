/**
 * Splits the URL of a backend into what a connection and a request line need.
 *
 * @module
 */

/** Where a request goes. */
export interface Target {
  /** `http` or `https`. */
  readonly scheme: "http" | "https";
  /** Host name or address without brackets. */
  readonly hostname: string;
  /** Port. */
  readonly port: number;
  /** Host, and the port unless it is the default one, as the `Host` header has it. */
  readonly authority: string;
  /** Path and query, percent-encoded, starting with `/`. */
  readonly path: string;
  /** User in the URL, decoded; `undefined` without one. */
  readonly user: string | undefined;
  /** Password in the URL, decoded; `""` without one. */
  readonly password: string;
}

// Characters a URL parser leaves as they are; anything else takes the slow way.
const PLAIN =
  /^(https?):\/\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?([/?][!$-;=?-Z[\]_a-z~]*)?$/;

/**
 * Reads an absolute URL with the scheme `http` or `https`. A fragment is dropped.
 *
 * @throws {TypeError} for anything else.
 */
export function parseTarget(url: string): Target {
  const match = PLAIN.exec(url);
  const rest = match?.[4] ?? "/";
  // dot segments and numeric forms of addresses need normalising
  if (match === null || rest.includes("/.") || rest.includes("/%2")) return parseSlowly(url);
  const scheme = match[1] as "http" | "https";
  const standard = scheme === "https" ? 443 : 80;
  const port = match[3] === undefined ? standard : Number(match[3]);
  if (port > 65535) throw notAUrl(url);
  const hostname = match[2]!;
  return {
    scheme,
    hostname,
    port,
    authority: port === standard ? hostname : `${hostname}:${port}`,
    path: rest.charCodeAt(0) === 63 ? `/${rest}` : rest,
    user: undefined,
    password: "",
  };
}

function parseSlowly(text: string): Target {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) throw notAUrl(text);
  const scheme = url.protocol === "https:" ? "https" : "http";
  return {
    scheme,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port),
    authority: url.host,
    path: url.pathname + url.search,
    user: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

function notAUrl(url: string): TypeError {
  const shown = url.replace(/\/\/[^/?#]*@/, "//***@");
  return new TypeError(
    `Cannot request ${JSON.stringify(shown)}: expected an http or https URL, or @alias/path`,
  );
}
