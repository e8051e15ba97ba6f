/**
 * Declarations of the routes of apps for clients in TypeScript: one flat interface, nothing to infer.
 *
 * @module
 */

import type { Atila } from "../atila.ts";
import { Components } from "./components.ts";
import { describeRoutes, isFileSchema, type Operation } from "./describe.ts";
import type { JsonSchema } from "./json_schema.ts";

/** An app and where it is mounted. */
export interface DeclaredApp {
  /** The app. */
  readonly app: Atila;
  /** Prefix of the mount. Default `/`. */
  readonly point?: string;
}

/**
 * Writes the declarations: an interface `Api` with a member for each method of each rule, such as
 * `"GET /pets/<int:id>"`, that holds the arguments and the answer.
 *
 * @param report Told of what cannot be described.
 */
export async function clientDeclarations(
  apps: readonly DeclaredApp[],
  report: (problem: string) => void,
): Promise<string> {
  const components = new Components();
  const members = new Map<string, string>();
  for (const { app, point = "/" } of apps) {
    const prefix = point.replace(/\/$/, "");
    for (const operation of await describeRoutes(app, report)) {
      const key = `${operation.method} ${prefix}${ruleOf(operation)}`;
      // The first route that fits answers, so it is the one to declare.
      if (!members.has(key)) members.set(key, memberOf(key, operation, components));
    }
  }
  const types = Object.entries(components.schemas).map(([name, schema]) =>
    `${commentOf(schema.description, "")}export type ${name} = ${typeOf(schema, "")};\n`
  );
  return `// Made by \`skitai client\` of the routes. Make it again instead of changing it.

${types.join("\n")}${types.length > 0 ? "\n" : ""}/** What can be asked, by method and rule. */
export interface Api {
${[...members.values()].join("")}}
`;
}

/** The rule; without its parameter for the path that stands for the default. */
function ruleOf({ parameters, path, rule }: Operation): string {
  return parameters.length === 0 ? path : rule;
}

function memberOf(key: string, operation: Operation, components: Components): string {
  const { route, parameters } = operation;
  const doc = route.facts.doc === false ? undefined : route.facts.doc;
  const name = (operation.name ?? "route").replace(
    /(?:^|[^A-Za-z0-9]+)([A-Za-z0-9])/g,
    (_, c) => c.toUpperCase(),
  );
  const schema = components.take(operation.arguments, `${name}Arguments`);
  const inPath = parameters.map(({ name, type }) =>
    `${propertyName(name)}: ${type === "int" || type === "float" ? "number" : "string"}`
  );
  const known = components.resolve(schema);
  const args = known.type === "object" || known.properties !== undefined
    ? objectType(known, "    ", inPath)
    : `${objectType({ properties: {} }, "    ", inPath)} & ${typeOf(schema, "    ")}`;
  const returns = operation.returns === undefined
    ? "unknown"
    : typeOf(components.take(operation.returns, `${name}Answer`), "    ");
  const lines = [doc?.summary, doc?.description, doc?.deprecated ? "@deprecated" : undefined];
  return commentOf(lines.filter(Boolean).join("\n") || undefined, "  ") +
    `  ${JSON.stringify(key)}: {\n    args: ${args};\n    returns: ${returns};\n  };\n`;
}

/** The TypeScript type of a schema, written with this indentation. */
export function typeOf(schema: JsonSchema, indent: string): string {
  const reference = /^#\/components\/schemas\/(\w+)$/.exec(String(schema.$ref ?? ""));
  if (reference !== null) return reference[1]!;
  if ("const" in schema) return literal(schema.const);
  if (Array.isArray(schema.enum)) return union(schema.enum.map(literal));
  for (const key of ["anyOf", "oneOf"]) {
    const parts = schema[key];
    if (Array.isArray(parts)) return union(parts.map((part) => typeOf(part, indent)));
  }
  if (Array.isArray(schema.allOf)) {
    return schema.allOf.map((part) => wrapped(typeOf(part, indent))).join(" & ");
  }
  const { type } = schema;
  if (Array.isArray(type)) {
    return union(type.map((one) => typeOf({ ...schema, type: one }, indent)));
  }
  switch (type) {
    case "string":
      return isFileSchema(schema) ? "Blob" : "string";
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return arrayType(schema, indent);
    case "object":
      return objectType(schema, indent);
    default:
      return schema.properties === undefined ? "unknown" : objectType(schema, indent);
  }
}

function arrayType({ items, prefixItems }: JsonSchema, indent: string): string {
  const rest = typeof items === "object" && items !== null
    ? typeOf(items as JsonSchema, indent)
    : "unknown";
  if (!Array.isArray(prefixItems)) return `${wrapped(rest)}[]`;
  const fixed = prefixItems.map((item) => typeOf(item, indent));
  return `[${[...fixed, ...(items === false ? [] : [`...${wrapped(rest)}[]`])].join(", ")}]`;
}

/** An object type; `first` are members that come before those of the schema. */
function objectType(schema: JsonSchema, indent: string, first: readonly string[] = []): string {
  const { properties, additionalProperties } = schema;
  const required = Array.isArray(schema.required) ? schema.required : [];
  const inner = `${indent}  `;
  const members = [...first];
  for (const [name, member] of Object.entries((properties ?? {}) as Record<string, JsonSchema>)) {
    const mark = required.includes(name) ? "" : "?";
    members.push(
      commentOf(member.description, inner).trimStart() +
        (member.description === undefined ? "" : inner) +
        `${propertyName(name)}${mark}: ${typeOf(member, inner)}`,
    );
  }
  if (properties === undefined && additionalProperties !== false) {
    const open = typeof additionalProperties === "object" && additionalProperties !== null &&
        first.length === 0
      ? typeOf(additionalProperties as JsonSchema, inner)
      : "unknown";
    members.push(`[name: string]: ${open}`);
  }
  if (members.length === 0) return "Record<never, never>";
  return `{\n${members.map((member) => `${inner}${member};\n`).join("")}${indent}}`;
}

function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function literal(value: unknown): string {
  return typeof value === "object" && value !== null ? "unknown" : JSON.stringify(value);
}

function union(types: readonly string[]): string {
  const all = [...new Set(types)];
  return all.length === 0 ? "never" : all.includes("unknown") ? "unknown" : all.join(" | ");
}

/** A type in brackets where it would be torn apart otherwise. */
function wrapped(type: string): string {
  return / [|&] /.test(type) ? `(${type})` : type;
}

function commentOf(text: unknown, indent: string): string {
  if (typeof text !== "string" || text === "") return "";
  const lines = text.replaceAll("*/", "*\\/").split(/\r?\n/);
  return lines.length === 1
    ? `${indent}/** ${lines[0]} */\n`
    : `${indent}/**\n${
      lines.map((line) => `${indent} * ${line}`.trimEnd()).join("\n")
    }\n${indent} */\n`;
}
