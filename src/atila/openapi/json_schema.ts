/**
 * JSON Schema of validators: asked of the library they come from, as far as it can tell.
 *
 * @module
 */

import type { StandardSchema } from "../arguments.ts";

/** A JSON Schema of the 2020-12 dialect. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Which side of a validator: what it accepts, or what it makes of it. */
export type SchemaSide = "input" | "output";

/** Ways in which libraries give a JSON Schema. */
interface Exporting {
  readonly "~standard": {
    readonly vendor: string;
    /** Of the Standard JSON Schema interface. */
    readonly jsonSchema?: Readonly<
      Record<SchemaSide, (options: { target: string }) => Record<string, unknown>>
    >;
  };
  /** Zod. */
  toJSONSchema?(options: object): Record<string, unknown>;
  /** ArkType. */
  toJsonSchema?(options: object): Record<string, unknown>;
}

/**
 * The JSON Schema of a validator; `undefined` when its library has no way to give one. What cannot be
 * said in JSON Schema, such as dates, becomes a schema that accepts everything in that place.
 *
 * Rejects with what the library throws.
 */
export async function jsonSchemaOf(
  schema: StandardSchema,
  side: SchemaSide,
): Promise<JsonSchema | undefined> {
  const exporting = schema as unknown as Exporting;
  const { vendor, jsonSchema } = exporting["~standard"];
  const made = typeof exporting.toJSONSchema === "function"
    ? exporting.toJSONSchema({ io: side, unrepresentable: "any" })
    : vendor === "arktype" && typeof exporting.toJsonSchema === "function"
    ? exporting.toJsonSchema({ fallback: ({ base }: { base: unknown }) => base })
    : vendor === "valibot"
    ? await ofValibot(schema, side)
    : jsonSchema?.[side]({ target: "draft-2020-12" });
  if (made === undefined) return undefined;
  const { $schema: _, "~standard": __, ...rest } = made;
  return rest;
}

async function ofValibot(
  schema: StandardSchema,
  side: SchemaSide,
): Promise<Record<string, unknown>> {
  const { toJsonSchema } = await import("@valibot/to-json-schema");
  return toJsonSchema(schema as never, {
    typeMode: side,
    errorMode: "ignore",
    target: "draft-2020-12",
  }) as Record<string, unknown>;
}

/** The JSON Schema of a value like this one: of the default of an argument. */
export function schemaLike(value: unknown): JsonSchema {
  switch (typeof value) {
    case "string":
      return { type: "string" };
    case "number":
      return { type: "number" };
    case "boolean":
      return { type: "boolean" };
    case "object":
      if (Array.isArray(value)) return { type: "array", items: { type: "string" } };
      return value === null ? {} : { type: "object" };
    default:
      return {};
  }
}
