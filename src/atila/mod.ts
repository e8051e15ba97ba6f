/**
 * Atila, the app container.
 *
 * @example
 * ```ts
 * import { Atila, REQUIRED } from "@skitai/skitai/atila";
 *
 * const app = new Atila(import.meta.url);
 *
 * app.route("/hello/<name>", { args: { name: "World" } }, (_was, { name }) => `Hello, ${name}!`);
 * app.route("/add", { args: { a: REQUIRED, b: 1 } }, (was, { a, b }) => {
 *   return was.response.API({ sum: Number(a) + b });
 * });
 * ```
 *
 * @module
 */

export { Atila } from "./atila.ts";
export type { Body, ErrorHandler, RouteHandler } from "./atila.ts";
export { REQUIRED } from "./arguments.ts";
export type {
  ArgumentDefaults,
  ArgumentsOf,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
  Values,
} from "./arguments.ts";
export type { BodyContent, Chunk, ProducerBody, ReadableBody } from "./body.ts";
export { AppClient } from "./client.ts";
export type { AppAnswer, AppRequestOptions } from "./client.ts";
export type { AppConfig } from "./config.ts";
export type { FailedHook, RequestHook, WacHook, WasHook } from "./hooks.ts";
export { AtilaRequest } from "./request.ts";
export type { RequestArguments, UriParts } from "./request.ts";
export { ApiContainer, Reply, ResponseMethods } from "./response.ts";
export type {
  Api,
  ApiMethods,
  AtilaResponse,
  HeaderPairs,
  ReplyBody,
  ReplyOptions,
} from "./response.ts";
export type { AnyHandler, Guard, RouteFacts, RouteOptions } from "./route.ts";
export type { RuleArguments } from "./rule.ts";
export { AppStore } from "./store.ts";
export type { HandlerReference, NamedValues } from "./url.ts";
export { AtilaWas } from "./was.ts";
export type { ErrorInfo } from "../core/error_page.ts";
