/**
 * What a client sees when something went wrong: a page, or a JSON fault for those who ask for JSON.
 *
 * @module
 */

import { acceptsJson } from "./accept.ts";
import { knownResponse } from "./body_size.ts";
import { splitUrl } from "./context.ts";
import { asError } from "./errors.ts";
import { checkHeader, MAX_FIELDS, tooManyFields } from "./header_value.ts";
import { httpDate } from "./http_date.ts";
import { isBodyless, reasonOf } from "./status.ts";
import { SOFTWARE } from "./version.ts";

/** Facts about an error, as error pages and error templates get them. */
export interface ErrorInfo {
  /** HTTP status code. */
  readonly code: number;
  /** Reason phrase. */
  readonly message: string;
  /** Explanation, or `""`. */
  readonly detail: string;
  /** Path and query of the request, as sent. */
  readonly url: string;
  /** When it happened, as an HTTP date. */
  readonly time: string;
  /** Name and version of the server. */
  readonly software: string;
  /** `debug` when the app shows its errors. */
  readonly mode: "normal" | "debug";
  /** Stack with its causes; `""` unless it may be shown. */
  readonly traceback: string;
}

/** What {@link errorInfo} and {@link errorResponse} are told. */
export interface ErrorOptions {
  /** The request that failed. */
  readonly req: Request;
  /** Status code, 400 to 599 as a rule. */
  readonly status: number;
  /** Reason phrase. Default: the registered one. */
  readonly reason?: string;
  /** Explanation that is safe to show. Default `""`. */
  readonly detail?: string;
  /** What was thrown; shown with its stack only when `debug` or `expose` is set. */
  readonly error?: unknown;
  /** The app shows its errors. Default false. */
  readonly debug?: boolean;
  /** Show this one error although `debug` is off. Default false. */
  readonly expose?: boolean;
  /** Further headers of the response. They replace those of the page, but do not describe its body. */
  readonly headers?: HeadersInit;
}

/** An error as JSON. */
export interface Fault {
  /** Status code × 100, plus 90 when a stack comes with it. */
  readonly code: number;
  /** What went wrong. */
  readonly message: string;
  /** How to find out more. */
  readonly debug?: string;
  /** Anything else the app wants to say. */
  readonly more_info?: unknown;
  /** Stack, the message first. */
  readonly traceback?: readonly string[];
}

/** Collects the facts about an error. */
export function errorInfo(options: ErrorOptions): ErrorInfo {
  const { path, query } = splitUrl(options.req.url);
  const debug = options.debug ?? false;
  const shown = (debug || options.expose === true) && options.error !== undefined;
  return {
    code: options.status,
    message: options.reason ?? reasonOf(options.status),
    detail: options.detail ?? "",
    url: query === "" ? path : `${path}?${query}`,
    time: httpDate(Date.now()),
    software: SOFTWARE,
    mode: debug ? "debug" : "normal",
    traceback: shown ? tracebackOf(options.error) : "",
  };
}

/** Stack of whatever was thrown, followed by those of its causes. */
export function tracebackOf(thrown: unknown): string {
  const parts: string[] = [];
  const seen = new Set<unknown>();
  try {
    for (let next = thrown; next !== undefined && !seen.has(next); next = (next as Error).cause) {
      seen.add(next);
      const error = asError(next);
      parts.push(error.stack ?? String(error));
      if (error !== next) break;
    }
  } catch {
    // Whatever was thrown may have members that throw themselves.
    parts.push("an error that cannot be read");
  }
  return parts.join("\nCaused by: ");
}

/** The JSON form of an error. */
export function faultOf(info: ErrorInfo): Fault {
  const message = info.detail || info.message;
  if (info.traceback === "") return { code: info.code * 100, message };
  return {
    code: info.code * 100 + 90,
    message,
    debug: "see traceback",
    traceback: info.traceback.split("\n").map((line) => line.trim()),
  };
}

/**
 * The response for an error: a JSON fault when the client accepts `application/json`, the default
 * page otherwise. Not to be cached (`max-age=0`).
 */
export function errorResponse(options: ErrorOptions): Response {
  const info = errorInfo(options);
  const headers = new Headers({ "cache-control": "max-age=0", vary: "accept" });
  const given = pageHeaders(options.headers);
  if (given.length > MAX_FIELDS) throw tooManyFields(given.length);
  for (const [name, value] of given) {
    checkHeader(name, value);
    if (name === "set-cookie" || name === "vary") headers.append(name, value);
    else headers.set(name, value);
  }
  const init = { status: info.code, statusText: statusTextOf(info.message), headers };
  if (isBodyless(info.code)) return new Response(null, init);
  if (acceptsJson(options.req.headers.get("accept"))) {
    headers.set("content-type", "application/json; charset=utf-8");
    return knownResponse(JSON.stringify(faultOf(info)), init);
  }
  headers.set("content-type", "text/html; charset=utf-8");
  headers.set("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
  return knownResponse(errorPage(info), init);
}

/** What headers say of a body that a page takes the place of. */
const OF_BODY = [
  "content-type",
  "content-length",
  "content-encoding",
  "content-range",
  "content-disposition",
];

/** Headers as they go with a page, instead of the body they were meant for. */
export function pageHeaders(headers: HeadersInit | undefined): [string, string][] {
  return [...new Headers(headers)].filter(([name, value]) =>
    !OF_BODY.includes(name) ||
    // Of a 416 it tells the size of the file, not the part that is sent.
    (name === "content-range" && / \*\//.test(value))
  );
}

/** A reason phrase holds Latin-1 only; anything else would make the response impossible. */
function statusTextOf(reason: string): string {
  return reason.replace(/[^\t\x20-\x7e\x80-\xff]/g, "?");
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#64707f;--back:#f4f6f8;--card:#fff;
--line:#dde3ea;--mark:#c8402f}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#93a0b0;--back:#14181e;
--card:#1c222b;--line:#2d3642;--mark:#f0705f}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:2rem 1rem;
background:var(--back);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{width:100%;max-width:46rem;padding:2.25rem 2.5rem;background:var(--card);
border:1px solid var(--line);border-radius:12px}
.code{margin:0;font-size:.95rem;font-weight:600;letter-spacing:.08em;color:var(--mark)}
h1{margin:.15rem 0 .75rem;font-size:1.9rem;line-height:1.2;font-weight:650}
p{margin:0 0 1rem;overflow-wrap:anywhere}
pre{margin:1.25rem 0;padding:1rem 1.1rem;overflow:auto;border-radius:8px;background:var(--back);
border:1px solid var(--line);font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.85rem;
color:var(--soft);display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;overflow-wrap:anywhere}
`;

/** The default error page. Complete in itself; everything that came from outside is escaped. */
export function errorPage(info: ErrorInfo): string {
  const detail = info.detail === "" ? "" : `<p>${escapeHtml(info.detail)}</p>\n`;
  const traceback = info.traceback === "" ? "" : `<pre>${escapeHtml(info.traceback)}</pre>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.code} ${escapeHtml(info.message)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="code">${info.code}</p>
<h1>${escapeHtml(info.message)}</h1>
${detail}${traceback}<footer><span>${escapeHtml(info.url)}</span><span>${info.time}</span><span>${
    escapeHtml(info.mode === "debug" ? info.software : info.software.split("/")[0]!)
  }</span></footer>
</main>
</body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for HTML, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
