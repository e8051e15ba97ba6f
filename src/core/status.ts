/**
 * HTTP status codes, their reason phrases, and status strings of the form `"404 Not Found"`.
 *
 * @module
 */

/** A status in the form accepted everywhere: a number, or a string that starts with one. */
export type StatusLike = number | string;

/** A status code with its reason phrase. */
export interface Status {
  /** Three-digit code. */
  readonly code: number;
  /** Reason phrase; the registered one unless the caller gave another. */
  readonly reason: string;
}

/**
 * The registered reason phrases. A table of our own, because `node:http` costs a start as much time as
 * everything else this program loads.
 */
const REASONS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Payload Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a Teapot",
  421: "Misdirected Request",
  422: "Unprocessable Entity",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  509: "Bandwidth Limit Exceeded",
  510: "Not Extended",
  511: "Network Authentication Required",
};

/** Reason phrase of a code; `"Unknown"` when it is not registered. */
export function reasonOf(code: number): string {
  return REASONS[code] ?? "Unknown";
}

/**
 * Reads a status.
 *
 * @throws {TypeError} for anything that is not a code from 200 to 599, alone or followed by a reason.
 */
export function parseStatus(status: StatusLike): Status {
  if (typeof status === "number") {
    if (Number.isInteger(status) && status >= 200 && status <= 599) {
      return { code: status, reason: reasonOf(status) };
    }
  } else {
    const match = /^([2-5]\d\d)(?: +([^\r\n]+))?$/.exec(status);
    if (match) {
      const code = Number(match[1]);
      return { code, reason: match[2] ?? reasonOf(code) };
    }
  }
  throw new TypeError(
    `Cannot use ${
      JSON.stringify(status)
    } as a status: expected a code from 200 to 599 or a string such as "404 Not Found"`,
  );
}

/** True for statuses whose responses have no body by definition. */
export function isBodyless(code: number): boolean {
  return code === 204 || code === 205 || code === 304 || (code >= 100 && code < 200);
}
