/**
 * What can be said of the routes of an app from the outside: methods, paths, arguments, answers. The
 * OpenAPI description and the declarations for clients are made of it.
 *
 * @module
 */

import { FILE, FILES, REQUIRED } from "../arguments.ts";
import type { Atila } from "../atila.ts";
import type { AuthScheme } from "../auth/scheme.ts";
import { type Route, shortPathOf } from "../route.ts";
import type { Parameter } from "../rule.ts";
import { type JsonSchema, jsonSchemaOf, schemaLike } from "./json_schema.ts";

/** One method of one path. */
export interface Operation {
  /** Method in upper case. */
  readonly method: string;
  /** Rule below the mount, with `{name}` for parameters. */
  readonly path: string;
  /** The rule as it was written. */
  readonly rule: string;
  /** Name of the handler, if it has one. */
  readonly name: string | undefined;
  /** Parameters of the path. */
  readonly parameters: readonly Parameter[];
  /** The other arguments, as one object. Without `properties` when nothing is known of them. */
  readonly arguments: JsonSchema;
  /** Whether arguments are declared at all. */
  readonly declared: boolean;
  /** Media types of the body, if the route names them. */
  readonly contentTypes: readonly string[] | undefined;
  /** What it answers with status 200, if the route says so. */
  readonly returns: JsonSchema | undefined;
  /** How it authenticates. */
  readonly scheme: AuthScheme | undefined;
  /** The route. */
  readonly route: Route;
}

/** Methods with which arguments stand in the query. */
export const QUERY_METHODS: readonly string[] = ["GET", "HEAD", "DELETE"];

const FILE_SCHEMA: JsonSchema = { type: "string", format: "binary" };

/** Whether a schema is that of an uploaded file, or of several. */
export function isFileSchema({ type, format, items }: JsonSchema): boolean {
  if (type !== "array") return type === "string" && format === "binary";
  return typeof items === "object" && items !== null && isFileSchema(items as JsonSchema);
}

/**
 * Describes the routes of an app, in the order they were registered. A route that names no method counts
 * as GET; HEAD and OPTIONS go without saying.
 *
 * @param report Told of validators whose library gives no JSON Schema.
 */
export async function describeRoutes(
  app: Atila,
  report: (problem: string) => void,
): Promise<Operation[]> {
  const operations: Operation[] = [];
  for (const route of app.routes) {
    const { facts, rule } = route;
    if (facts.doc === false) continue;
    const returns = facts.doc?.returns === undefined
      ? undefined
      : await schemaOf(facts.doc.returns, "output", facts.rule, report);
    const args = await argumentsOf(route, report);
    const methods = (facts.methods ?? ["GET"]).filter((method) =>
      method !== "OPTIONS" && (method !== "HEAD" || facts.methods?.length === 1)
    );
    const full = {
      rule: facts.rule,
      name: facts.name,
      arguments: args,
      declared: facts.schema !== undefined || facts.defaults !== undefined,
      contentTypes: facts.contentTypes,
      returns,
      scheme: app.schemeOf(facts),
      route,
    };
    const short = shortPathOf(route);
    for (const method of methods) {
      if (short !== undefined) {
        operations.push({ ...full, method, path: short, parameters: [], name: undefined });
      }
      operations.push({
        ...full,
        method,
        path: `/${
          rule.segments.map((segment) =>
            typeof segment === "string" ? segment : `{${segment.name}}`
          )
            .join("/")
        }`,
        parameters: rule.parameters,
      });
    }
  }
  return operations;
}

/** The arguments of a route, without those of its path. */
async function argumentsOf(route: Route, report: (problem: string) => void): Promise<JsonSchema> {
  const { facts, rule } = route;
  const inPath = new Set(rule.parameters.map(({ name }) => name));
  if (facts.schema !== undefined) {
    const schema = await schemaOf(facts.schema, "input", facts.rule, report);
    if (schema === undefined) return { type: "object" };
    return without(schema, inPath);
  }
  const { defaults } = facts;
  if (defaults === undefined) return { type: "object" };
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [name, value] of Object.entries(defaults)) {
    if (inPath.has(name)) continue;
    if (value === REQUIRED || value === FILE) {
      required.push(name);
      properties[name] = value === FILE ? FILE_SCHEMA : { type: "string" };
    } else if (value === FILES) {
      properties[name] = { type: "array", items: FILE_SCHEMA };
    } else {
      const like = schemaLike(value);
      properties[name] = value === null || value === undefined ? like : { ...like, default: value };
    }
  }
  return {
    type: "object",
    properties,
    ...(required.length > 0 ? { required } : {}),
    ...(facts.rest ? {} : { additionalProperties: false }),
  };
}

async function schemaOf(
  schema: Parameters<typeof jsonSchemaOf>[0],
  side: "input" | "output",
  rule: string,
  report: (problem: string) => void,
): Promise<JsonSchema | undefined> {
  try {
    const made = await jsonSchemaOf(schema, side);
    if (made === undefined) {
      report(`route ${rule}: ${schema["~standard"].vendor} gives no JSON Schema of its validators`);
    }
    return made;
  } catch (error) {
    report(`route ${rule}: no JSON Schema of its validator: ${(error as Error).message}`);
    return undefined;
  }
}

/** An object schema without some of its members. */
function without(schema: JsonSchema, names: ReadonlySet<string>): JsonSchema {
  const { properties, required, ...rest } = schema;
  if (typeof properties !== "object" || properties === null) return schema;
  const left = Object.entries(properties).filter(([name]) => !names.has(name));
  const needed = Array.isArray(required) ? required.filter((name) => !names.has(name)) : [];
  return {
    ...rest,
    properties: Object.fromEntries(left),
    ...(needed.length > 0 ? { required: needed } : {}),
  };
}
