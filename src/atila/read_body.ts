/**
 * Reads the body of a request before its handler runs.
 *
 * @module
 */

import { HttpError } from "../core/errors.ts";
import { mediaTypeOf, parseBody } from "./request.ts";
import { joinBytes } from "../core/concat_bytes.ts";
import { type FormBody, readForm } from "./uploads.ts";
import type { AtilaWas } from "./was.ts";

/**
 * Reads the body into the service object: a multipart form to its place, everything else into memory.
 *
 * @throws {HttpError} 400 when it is not what its content type says, 413 when it is too large.
 */
export async function readBody(was: AtilaWas, req: Request): Promise<void> {
  const type = mediaTypeOf(req);
  if (type === "multipart/form-data") {
    was.formBody = await readForm(req, was.ctx!, was.app.config);
    was.bodyValues = was.formBody.values;
    return;
  }
  // The limit of multipart bodies is made for what goes to disk; these stay in memory.
  was.bodyBytes = type?.startsWith("multipart/")
    ? await readWithin(req, was.app.config.maxPostBodySize)
    : await req.bytes();
  was.bodyValues = parseBody(type, was.bodyBytes);
  was.isBodyJson = type === "application/json";
}

/**
 * Reads the body as a multipart form.
 *
 * @throws {HttpError} 415 when it is something else; 400 and 413 for what is wrong with it.
 */
export async function readFormOf(was: AtilaWas, req: Request): Promise<FormBody> {
  if (mediaTypeOf(req) !== "multipart/form-data" || req.body === null) {
    throw new HttpError(415, "Expected a body of type multipart/form-data");
  }
  return await readForm(req, was.ctx!, was.app.config);
}

/** Removes the temporary files of a form when its response is out. */
export function releaseLater(was: AtilaWas): void {
  const form = was.formBody;
  const ctx = was.ctx!;
  if (form === undefined || form.files.length === 0) return;
  ctx.waitUntil(
    ctx.completion.then(() => form.release()).catch((error) => was.traceback(error)),
  );
}

async function readWithin(req: Request, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of req.body!) {
    size += chunk.byteLength;
    if (size > limit) {
      throw new HttpError(
        413,
        `A multipart body that is not a form may have ${limit} bytes here`,
        { headers: { connection: "close" } },
      );
    }
    chunks.push(chunk);
  }
  return joinBytes(chunks, size);
}
