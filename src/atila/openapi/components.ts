/**
 * Schemas that a description refers to by name.
 *
 * @module
 */

import type { JsonSchema } from "./json_schema.ts";

/** Collects schemas; definitions inside of others come out and get names of their own. */
export class Components {
  /** By name. */
  readonly schemas: Record<string, JsonSchema> = {};

  /**
   * Adds what a schema refers to, and gives the schema with its references set right. A schema that
   * refers to itself as a whole becomes a component called like `name`.
   */
  take(schema: JsonSchema, name: string): JsonSchema {
    const { $defs, definitions, ...root } = schema;
    const inner = { ...definitions as object, ...$defs as object } as Record<string, JsonSchema>;
    const names = new Map<string, string>();
    for (const key of Object.keys(inner)) {
      const free = this.#free(/^[A-Za-z]\w*$/.test(key) ? key : `${name}${names.size + 1}`);
      // Taken at once, so that the next one gets another.
      this.schemas[free] = {};
      names.set(`#/$defs/${key}`, free).set(`#/definitions/${key}`, free);
    }
    let own: string | undefined;
    const rename = (reference: string): string => {
      if (reference === "#") {
        if (own === undefined) this.schemas[own = this.#free(name)] = {};
        return `#/components/schemas/${own}`;
      }
      const known = names.get(reference);
      return known === undefined ? reference : `#/components/schemas/${known}`;
    };
    for (const key of Object.keys(inner)) {
      this.schemas[names.get(`#/$defs/${key}`)!] = rewritten(inner[key], rename) as JsonSchema;
    }
    const result = rewritten(root, rename) as JsonSchema;
    if (own === undefined) return result;
    this.schemas[own] = result;
    return { $ref: `#/components/schemas/${own}` };
  }

  /** What a reference to a component stands for; other schemas as they are. */
  resolve(schema: JsonSchema): JsonSchema {
    const name = /^#\/components\/schemas\/(.+)$/.exec(String(schema.$ref ?? ""))?.[1];
    return name === undefined ? schema : this.schemas[name] ?? schema;
  }

  #free(wanted: string): string {
    let name = wanted;
    for (let i = 2; Object.hasOwn(this.schemas, name); i++) name = `${wanted}${i}`;
    return name;
  }
}

/** The same value with all references renamed. Values that are data are left alone. */
function rewritten(value: unknown, rename: (reference: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => rewritten(item, rename));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key === "$ref" && typeof member === "string") return [key, rename(member)];
      const isData = key === "default" || key === "const" || key === "enum" || key === "examples";
      return [key, isData ? member : rewritten(member, rename)];
    }),
  );
}
