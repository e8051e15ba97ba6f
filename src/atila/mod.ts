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
export type {
  BodyLimits,
  FetchInfo,
  LifecyclePhase,
  MountedApp,
  MountInfo,
  Preferences,
} from "../core/app.ts";
export type { Status, StatusLike } from "../core/status.ts";
export type {
  EngineFactory,
  EngineSettings,
  TemplateEngine,
  TemplateFilter,
  TemplateOptions,
} from "./templates/engine.ts";
export { type SourceFile, TemplateSource } from "./templates/source.ts";
export { TemplateError, type TemplatePlace } from "./templates/template_error.ts";
export type { Body, ErrorHandler, RouteHandler } from "./atila.ts";
export { FILE, FILES, REQUIRED } from "./arguments.ts";
export type {
  ArgumentDefaults,
  ArgumentsOf,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
  Values,
  Widened,
} from "./arguments.ts";
export type { BodyContent, Chunk, ProducerBody, ReadableBody } from "./body.ts";
export { AppClient } from "./client.ts";
export type { AppAnswer, AppRequestOptions } from "./client.ts";
export type { AppConfig } from "./config.ts";
export type { FaultOptions } from "./fault.ts";
export { AppDirectory, type NeighbourApp } from "./app_directory.ts";
export type { Authenticate, AuthScheme } from "./auth/scheme.ts";
export type { DigestAlgorithm } from "./auth/digest.ts";
export type { UserCollection, UserRecord } from "./auth/user_records.ts";
export type { OriginRule } from "./cors.ts";
export { type Announcer, DataFeatures, type ModelSignal } from "./data_features.ts";
export type { SqlDialect } from "../clients/sql/conditions.ts";
export type { Hole, MapSource, Slot, SqlMaps } from "../clients/sql/maps.ts";
export type { ModelChange, ModelEvents } from "../was/model_events.ts";
export { type AuthAdapter, FrameworkAuth } from "./foreign_auth.ts";
export { type EventHandler, type EventNames, events } from "./events.ts";
export {
  AppFeatures,
  type AuthorizationHandler,
  type BearerHandler,
  type CheckHandler,
  type JinjaEnvironment,
  type MaintenanceHook,
  type PermissionHandler,
} from "./features.ts";
export type { OpenApiInfo } from "./openapi/document.ts";
export type { OpenApiOptions } from "./openapi/routes.ts";
export { Scope, type ScopeOptions } from "./scope.ts";
export type { ServiceModule, ServiceOptions, ServiceTarget } from "./services.ts";
export { Atilary, type SubAppPlace } from "./sub_app.ts";
export type { GlobalFunction } from "./templates/globals.ts";
export type { JinjaOverlay } from "./templates/overlay.ts";
export type { ChangeHook } from "./watched.ts";
export {
  type Answer,
  type BeforeHook,
  type FailedHook,
  Hooks,
  type RequestHook,
  type TransparentGuard,
  type WacHook,
  type WasHook,
} from "./hooks.ts";
export {
  ANSWERS,
  Answers,
  type AnswersOf,
  type FuturesOptions,
  FuturesResponse,
} from "./futures_response.ts";
export {
  type AnyDatabase,
  type NamedMethod,
  type NamedResult,
  type PromiseData,
  type PromiseHandler,
  ResponsePromise,
} from "./promise_response.ts";
export { AtilaRequest } from "./request.ts";
export type { RequestArguments, UriParts } from "./request.ts";
export { ApiContainer, Reply, ResponseMethods, ResponseState } from "./response.ts";
export type {
  Api,
  ApiMethods,
  AtilaResponse,
  DataObject,
  HeaderPairs,
  ReplyBody,
  ReplyOptions,
  ResponseOwner,
} from "./response.ts";
export type { AnyHandler, Guard, Route, RouteDoc, RouteFacts, RouteOptions } from "./route.ts";
export type { Binder, Given } from "./arguments.ts";
export type { Routable } from "./router.ts";
export type {
  Flat,
  Parameter,
  ParameterType,
  Rule,
  RuleArguments,
  Segment,
  ValueOf,
} from "./rule.ts";
export { AppStore } from "./store.ts";
export type { HandlerReference, NamedValues } from "./url.ts";
export { type SaveOptions, UploadedFile, type UploadInit } from "./uploaded_file.ts";
export type { FormBody } from "./uploads.ts";
export { AtilaWas, type RequestParts } from "./was.ts";
export { type CookieOptions, type CookieOwner, type CookiePlace, Cookies } from "./cookies.ts";
export type { SecureKey } from "./key_ring.ts";
export type { JwtAlgorithm, JwtClaims } from "./jwt.ts";
export { MapLike } from "./map_like.ts";
export { type Message, MessageBox, type MessageOptions, type MessageOwner } from "./messages.ts";
export type { SealedOptions, SealedOwner } from "./sealed_cookie.ts";
export { Session, type SessionApp, type SessionOptions, type SessionOwner } from "./session.ts";
export { type RevocationOptions, Revocations } from "../store/revocations.ts";
export type { ErrorInfo } from "../core/error_page.ts";
