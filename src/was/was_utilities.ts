/**
 * The members of `was` that are small helpers.
 *
 * @module
 */

import { encodeResponse } from "../wire/xmlrpc.ts";
import { decodeXmlRpc } from "../wire/xmlrpc_decode.ts";
import type { DispatchOptions } from "./future.ts";
import { serverStatus, statusPage, type StatusSection } from "./status_page.ts";
import { type Task, Tasks } from "./tasks.ts";
import {
  fromProto,
  type ProtoType,
  renderError,
  temporaryName,
  toJson,
  toProto,
  uniqueId,
} from "./utilities.ts";
import { wac } from "./wac.ts";

/** Helpers that every service object has. */
export abstract class WasUtilities {
  /**
   * What this worker knows of the server: counters, workers, clusters, caches, sockets, environment. A
   * page, or with `fancy` false an object.
   *
   * @param filter Sections to show, separated by commas. Default all.
   * @throws {TypeError} for a section there is none of.
   */
  status(filter: string | undefined, fancy: false): Partial<Record<StatusSection, unknown>>;
  /** As above, as a page. @throws {TypeError} */
  status(filter?: string, fancy?: true): string;
  status(filter = "", fancy = true): unknown {
    return fancy ? statusPage(filter) : serverStatus(filter);
  }

  /** A path nobody uses, in the directory for temporary files of the engine. No file is made. */
  gentemp(): string {
    return temporaryName();
  }

  /**
   * Starts the engine afresh: the whole one when it has one worker, else this worker only. Requests
   * under way end first.
   *
   * @param timeout Most seconds they may take; 0, the default, for the usual grace.
   * @throws {Error} where no engine runs.
   */
  restart(timeout = 0): void {
    control("restart", timeout);
  }

  /**
   * Stops the whole server when it has one worker, else this worker, which is replaced. Requests under
   * way end first.
   *
   * @param timeout Most seconds they may take; 0, the default, for the usual grace.
   * @throws {Error} where no engine runs.
   */
  shutdown(timeout = 0): void {
    control("shutdown", timeout);
  }

  /** JSON text; dates and big integers become strings. @deprecated Use `JSON.stringify`. */
  tojson(value: unknown): string {
    return toJson(value);
  }

  /** Value of JSON text. @throws {SyntaxError} @deprecated Use `JSON.parse`. */
  // deno-lint-ignore no-explicit-any -- as of JSON.parse
  fromjson(text: string): any {
    return JSON.parse(text);
  }

  /**
   * An answer of XML-RPC with this value. With `useDatetime` dates have the type for dates, otherwise
   * they are text.
   *
   * @deprecated XML-RPC methods encode by themselves.
   */
  toxml(value: unknown, useDatetime = false): string {
    return encodeResponse(value, useDatetime);
  }

  /**
   * Value of an answer of XML-RPC, or its values when there are several. With `useDatetime` dates become
   * `Date` objects.
   *
   * @throws {SyntaxError} for what is not XML-RPC. @deprecated
   */
  fromxml(text: string, useDatetime = false): unknown {
    const { params, fault } = decodeXmlRpc(text, { useDatetime });
    return fault ?? (params.length === 1 ? params[0] : params);
  }

  /** Bytes of a message of protocol buffers, made by any of the usual libraries. @deprecated */
  togrpc(message: object, type?: ProtoType): Uint8Array {
    return toProto(message, type);
  }

  /** A message of protocol buffers. @deprecated */
  fromgrpc<T>(type: ProtoType<T>, bytes: Uint8Array): T {
    return fromProto(type, bytes);
  }

  /** Whole milliseconds since 1970. */
  get timestamp(): number {
    return Date.now();
  }

  /** The time in milliseconds and seven random characters. */
  get uniqid(): string {
    return uniqueId();
  }

  /** An error with its stack and causes: text (0), HTML (1) or a list of lines (2). */
  renderEi(error: unknown, format: 2): string[];
  /** As above. */
  renderEi(error: unknown, format?: 0 | 1): string;
  renderEi(error: unknown, format: 0 | 1 | 2 = 0): string | string[] {
    return renderError(error, format);
  }

  /** Waits for several futures together; see {@link Tasks}. */
  Tasks(futures: Iterable<Task>, timeout?: number, options?: DispatchOptions): Tasks {
    return new Tasks(futures, timeout, options);
  }

  /**
   * What stands for the request also after it has been answered, in streams and futures. The service
   * object of a request is never used for another one, so it is that object itself.
   */
  clone(): this {
    return this;
  }
}

function control(what: "restart" | "shutdown", timeout: number): void {
  if (typeof timeout !== "number" || !(timeout >= 0)) {
    throw new RangeError(`Cannot ${what} within ${String(timeout)} seconds`);
  }
  if (wac.control === undefined) throw new Error(`Cannot ${what}: no engine runs here`);
  wac.control(what, timeout);
}
