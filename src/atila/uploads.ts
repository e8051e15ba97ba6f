/**
 * Uploads of one request: reads its multipart body before the handler runs, and removes what is
 * temporary when the response is out.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import { HttpError } from "../core/errors.ts";
import type { Values } from "./arguments.ts";
import type { AppConfig } from "./config.ts";
import type { FormLimits } from "./multipart.ts";
import { joinBytes } from "../core/concat_bytes.ts";
import type { UploadedFile } from "./uploaded_file.ts";

/** A body that was read as a form. */
export class FormBody {
  /** Text and files by field name. */
  readonly values: Values;
  /** Its files. */
  readonly files: readonly UploadedFile[];
  readonly #size: number;
  readonly #limit: number;
  #raw: readonly Uint8Array[] | undefined;

  /** Made by {@link readForm}. */
  constructor(
    values: Values,
    files: readonly UploadedFile[],
    size: number,
    raw: readonly Uint8Array[] | undefined,
    limit: number,
  ) {
    this.values = values;
    this.files = files;
    this.#size = size;
    this.#raw = raw;
    this.#limit = limit;
  }

  /**
   * The body as it was sent.
   *
   * @throws {Error} when it was larger than `config.maxCacheSize`, and therefore not kept.
   */
  get bytes(): Uint8Array {
    if (this.#raw === undefined) {
      throw new Error(
        `Cannot give the body of the request: a multipart body of ${this.#size} bytes is not kept, ` +
          `config.maxCacheSize is ${this.#limit}`,
      );
    }
    const bytes = joinBytes(this.#raw, this.#size);
    this.#raw = [bytes];
    return bytes;
  }

  /** Removes the files that were not saved. Rejects with the first that cannot be removed. */
  async release(): Promise<void> {
    const ends = await Promise.allSettled(this.files.map((file) => file.remove()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }
}

/**
 * Reads a multipart form within the limits of the app; nothing of it is ever in memory but text fields
 * and small files.
 *
 * @throws {HttpError} 400 or 413 that says what is wrong. An HTTP/1 connection is closed after it: what
 * remains of the body would have to be read for nothing.
 */
export async function readForm(
  req: Request,
  ctx: RequestContext,
  config: AppConfig,
): Promise<FormBody> {
  const limits: FormLimits = {
    maxBytes: config.maxMultipartBodySize,
    maxFileBytes: config.maxUploadFileSize,
    maxTextBytes: config.maxPostBodySize,
    maxParts: config.maxMultipartParts,
    maxRawBytes: config.maxCacheSize,
  };
  try {
    if (Number(req.headers.get("content-length")) > limits.maxBytes) {
      throw new HttpError(413, `A multipart body may have ${limits.maxBytes} bytes here`);
    }
    const { readMultipart } = await import("./multipart.ts");
    const form = await readMultipart(
      req.body!,
      req.headers.get("content-type") ?? "",
      limits,
      config.uploadDir,
    );
    return new FormBody(form.values, form.files, form.size, form.raw, limits.maxRawBytes);
  } catch (error) {
    if (!(error instanceof HttpError) || ctx.httpVersion === "2.0") throw error;
    const headers = new Headers(error.headers);
    headers.set("connection", "close");
    throw new HttpError(error.status, error.detail, { headers, cause: error.cause });
  }
}
