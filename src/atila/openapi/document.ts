/**
 * The OpenAPI 3.1 description of an app.
 *
 * @module
 */

import type { Atila } from "../atila.ts";
import type { ParameterType } from "../rule.ts";
import { Components } from "./components.ts";
import { describeRoutes, isFileSchema, type Operation, QUERY_METHODS } from "./describe.ts";
import type { JsonSchema } from "./json_schema.ts";

/** What a description says besides what follows from the routes. */
export interface OpenApiInfo {
  /** Title. Default: the name of the app. */
  title?: string;
  /** Version of the API. Default `"1.0.0"`. */
  version?: string;
  /** What the API is for, in Markdown. */
  description?: string;
  /** Addresses it is served at. Default: the prefix of the mount, on the host that was asked. */
  servers?: readonly string[];
}

/** A description, ready to be sent as JSON. */
export type OpenApiDocument = Readonly<Record<string, unknown>>;

const PATH_SCHEMAS: Readonly<Record<ParameterType, JsonSchema>> = {
  int: { type: "integer", minimum: 0 },
  float: { type: "number", minimum: 0 },
  string: { type: "string" },
  path: { type: "string", description: "The rest of the path, slashes included" },
};

const BODY_TYPES = ["application/json", "application/x-www-form-urlencoded"];
/** How bodies with files are sent. */
const FILE_TYPES = ["multipart/form-data"];

/** What a client gets that accepts JSON when something is wrong. */
const FAULT: JsonSchema = {
  type: "object",
  description: "What went wrong",
  properties: {
    code: { type: "integer", description: "Status times 100, or a code of the app" },
    message: { type: "string" },
    debug: { type: "string" },
    more_info: {},
    traceback: { type: "array", items: { type: "string" } },
  },
  required: ["code", "message"],
};

/**
 * Describes an app.
 *
 * @param mountPoint Prefix of the mount, with its final slash.
 * @param report Told of what cannot be described.
 */
export async function openApiDocument(
  app: Atila,
  info: OpenApiInfo,
  mountPoint: string,
  report: (problem: string) => void,
): Promise<OpenApiDocument> {
  const components = new Components();
  components.schemas.Fault = FAULT;
  const schemes = new Set<string>();
  const ids = new Set<string>();
  const paths: Record<string, Record<string, unknown>> = {};
  const spelled = new Map<string, string>();

  for (const operation of await describeRoutes(app, report)) {
    const { renamed, path } = spell(operation, spelled);
    const item = paths[path] ??= {};
    const method = operation.method.toLowerCase();
    // The first route that fits answers, so it is the one to describe.
    if (item[method] !== undefined) continue;
    if (operation.scheme !== undefined) schemes.add(operation.scheme);
    item[method] = describe(operation, renamed, components, ids);
  }

  const securitySchemes = Object.fromEntries(
    [...schemes].sort().map((scheme) => [scheme, { type: "http", scheme }]),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: info.title ?? app.name,
      version: info.version ?? "1.0.0",
      ...(info.description === undefined ? {} : { description: info.description }),
    },
    servers: (info.servers ?? [mountPoint.replace(/\/$/, "") || "/"]).map((url) => ({ url })),
    paths,
    components: {
      schemas: components.schemas,
      ...(schemes.size > 0 ? { securitySchemes } : {}),
    },
  };
}

/**
 * Two rules that differ in the names of their parameters only are one path, spelled as it was first.
 */
function spell(
  { path, parameters }: Operation,
  spelled: Map<string, string>,
): { path: string; renamed: ReadonlyMap<string, string> } {
  const shape = path.replace(/\{\w+\}/g, "{}");
  const first = spelled.get(shape);
  if (first === undefined) spelled.set(shape, path);
  const names = [...(first ?? path).matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  return {
    path: first ?? path,
    renamed: new Map(parameters.map(({ name }, i) => [name, names[i] ?? name])),
  };
}

function describe(
  operation: Operation,
  renamed: ReadonlyMap<string, string>,
  components: Components,
  ids: Set<string>,
): Record<string, unknown> {
  const { method, name, parameters, route, contentTypes, scheme } = operation;
  const doc = route.facts.doc === false ? undefined : route.facts.doc;
  const label = name ?? "anonymous";
  const schema = components.take(operation.arguments, `${pascal(label)}Arguments`);
  const known = components.resolve(schema);
  const inQuery = QUERY_METHODS.includes(method);

  const all: Record<string, unknown>[] = parameters.map(({ name, type }) => ({
    name: renamed.get(name),
    in: "path",
    required: true,
    schema: PATH_SCHEMAS[type],
  }));
  const properties = (known.properties ?? {}) as Record<string, JsonSchema>;
  const required = (known.required ?? []) as string[];
  if (inQuery) {
    for (const [name, member] of Object.entries(properties)) {
      const { description } = member;
      all.push({
        name,
        in: "query",
        required: required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema: member,
      });
    }
  }
  const hasBody = !inQuery && (operation.declared || contentTypes !== undefined) &&
    (Object.keys(properties).length > 0 || known.properties === undefined);
  const hasFiles = Object.values(properties).some(isFileSchema);
  const failures: Record<string, unknown> = {};
  for (const [status, description] of Object.entries(doc?.responses ?? {})) {
    failures[status] = { description };
  }
  if (operation.declared) failures["400"] ??= fault("Arguments are missing or wrong");
  if (scheme !== undefined) failures["401"] ??= fault("The request has to authenticate");

  return {
    ...(name === undefined ? {} : { operationId: free(name, method, ids) }),
    summary: doc?.summary ?? name ?? operation.rule,
    ...(doc?.description === undefined ? {} : { description: doc.description }),
    ...(doc?.tags === undefined ? {} : { tags: doc.tags }),
    ...(doc?.deprecated ? { deprecated: true } : {}),
    ...(all.length > 0 ? { parameters: all } : {}),
    ...(hasBody
      ? {
        requestBody: {
          required: required.length > 0,
          content: Object.fromEntries(
            (contentTypes ?? (hasFiles ? FILE_TYPES : BODY_TYPES)).map((
              type,
            ) => [type, { schema }]),
          ),
        },
      }
      : {}),
    responses: {
      "200": operation.returns === undefined ? { description: "OK" } : {
        description: "OK",
        content: {
          "application/json": {
            schema: components.take(operation.returns, `${pascal(label)}Answer`),
          },
        },
      },
      ...failures,
      default: fault("Something went wrong"),
    },
    ...(scheme === undefined ? {} : { security: [{ [scheme]: [] }] }),
  };
}

function fault(description: string): Record<string, unknown> {
  return {
    description,
    content: { "application/json": { schema: { $ref: "#/components/schemas/Fault" } } },
  };
}

/** An id no other operation has. */
function free(name: string, method: string, ids: Set<string>): string {
  const wanted = ids.has(name) ? `${name}.${method.toLowerCase()}` : name;
  let id = wanted;
  for (let i = 2; ids.has(id); i++) id = `${wanted}.${i}`;
  ids.add(id);
  return id;
}

/** `edit_user` as `EditUser`. */
function pascal(name: string): string {
  return name.replace(/(?:^|[^A-Za-z0-9]+)([A-Za-z0-9])/g, (_, c: string) => c.toUpperCase());
}
