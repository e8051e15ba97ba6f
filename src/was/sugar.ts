/**
 * Older names of requests that say in the name what is sent and accepted.
 *
 * @module
 */

import type { RequestData } from "./encode_data.ts";
import type { Future } from "./future.ts";
import type { ReqOptions, RequestMethod } from "./http_requests.ts";
import { WasUtilities } from "./was_utilities.ts";

type Sent = "json" | "xml" | "form";

const TYPES: Readonly<Record<Sent, readonly [sent: string, accepted: string]>> = {
  json: ["application/json", "application/json"],
  xml: ["text/xml", "text/xml, application/xml"],
  form: ["application/x-www-form-urlencoded", "*/*"],
};

/** Requests by their older names. New code says what it sends in the headers, if it is not JSON. */
export abstract class SugarNames extends WasUtilities {
  /** Starts a GET request. */
  abstract get get(): RequestMethod;
  /** Starts a DELETE request. */
  abstract get delete(): RequestMethod;
  /** Starts an OPTIONS request. */
  abstract get options(): RequestMethod;
  /** Starts a POST request. */
  abstract get post(): RequestMethod;
  /** Starts a PUT request. */
  abstract get put(): RequestMethod;
  /** Starts a PATCH request. */
  abstract get patch(): RequestMethod;

  /** GET that accepts JSON. @deprecated Use `get`. */
  getjson<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.get<T>(uri, data, typed("json", false, options));
  }

  /** GET that accepts XML. @deprecated Use `get` with a header. */
  getxml<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.get<T>(uri, data, typed("xml", false, options));
  }

  /** DELETE that accepts JSON. @deprecated Use `delete`. */
  deletejson<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.delete<T>(uri, data, typed("json", false, options));
  }

  /** DELETE that accepts XML. @deprecated Use `delete` with a header. */
  deletexml<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.delete<T>(uri, data, typed("xml", false, options));
  }

  /** OPTIONS that accepts JSON. @deprecated Use `options`. */
  optionsjson<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.options<T>(uri, data, typed("json", false, options));
  }

  /** POST of JSON. @deprecated Use `post`. */
  postjson<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.post<T>(uri, data, typed("json", true, options));
  }

  /** POST of XML text. @deprecated Use `post` with a header. */
  postxml<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.post<T>(uri, data, typed("xml", true, options));
  }

  /** POST of a form. @deprecated Use `post` with a header. */
  postform<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.post<T>(uri, data, typed("form", true, options));
  }

  /** PUT of JSON. @deprecated Use `put`. */
  putjson<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.put<T>(uri, data, typed("json", true, options));
  }

  /** PUT of XML text. @deprecated Use `put` with a header. */
  putxml<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.put<T>(uri, data, typed("xml", true, options));
  }

  /** PUT of a form. @deprecated Use `put` with a header. */
  putform<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.put<T>(uri, data, typed("form", true, options));
  }

  /** PATCH of JSON. @deprecated Use `patch`. */
  patchjson<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.patch<T>(uri, data, typed("json", true, options));
  }

  /** PATCH of XML text. @deprecated Use `patch` with a header. */
  patchxml<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.patch<T>(uri, data, typed("xml", true, options));
  }

  /** PATCH of a form. @deprecated Use `patch` with a header. */
  patchform<T = unknown>(uri: string, data?: RequestData, options?: ReqOptions<T>): Future<T> {
    return this.patch<T>(uri, data, typed("form", true, options));
  }
}

/** The options with the types a name stands for; headers that are given go before them. */
function typed<T>(sent: Sent, hasBody: boolean, options: ReqOptions<T> = {}): ReqOptions<T> {
  const [type, accept] = TYPES[sent];
  const headers = new Headers(options.headers as HeadersInit);
  if (hasBody && !headers.has("content-type")) headers.set("content-type", type);
  if (!headers.has("accept")) headers.set("accept", accept);
  return { ...options, headers };
}
