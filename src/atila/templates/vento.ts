/**
 * Vento templates: they wait by themselves, with `await`.
 *
 * @module
 */

import { HttpError } from "../../core/errors.ts";
import type { EngineSettings, TemplateEngine, TemplateFilter } from "./engine.ts";
import { boundTo } from "./globals.ts";
import { TemplateError } from "./template_error.ts";

/** What Vento knows of an error. */
interface ErrorContext {
  readonly type: string;
  readonly message: string;
  readonly position?: number;
  readonly source?: string;
  readonly file?: string;
}

/** Loads Vento and makes the engine. */
export async function createVento(settings: EngineSettings): Promise<TemplateEngine> {
  const { default: vento } = await import("ventojs");
  const { source } = settings;
  const env = vento({
    autoescape: true,
    includes: {
      resolve: (from: string, file: string) => source.resolve(file, from || undefined),
      load(name: string) {
        const file = source.read(name);
        if (file === undefined) return Promise.reject(source.missing(name));
        return Promise.resolve({ source: file.text });
      },
    },
  });
  const builtIn = { ...env.filters };
  let taken: Readonly<Record<string, TemplateFilter>> = {};
  /** Templates are made for the filters there are, so others mean that they have to be made again. */
  const takeFilters = (filters: Readonly<Record<string, TemplateFilter>>): void => {
    const names = Object.keys(filters);
    if (
      names.length === Object.keys(taken).length &&
      names.every((name) => taken[name] === filters[name])
    ) return;
    for (const name of Object.keys(taken)) {
      if (Object.hasOwn(builtIn, name)) env.filters[name] = builtIn[name]!;
      else delete env.filters[name];
    }
    taken = { ...filters };
    Object.assign(env.filters, taken);
    env.cache.clear();
  };
  return {
    async render(given, values) {
      const name = source.resolve(given);
      if (settings.autoReload) env.cache.clear();
      takeFilters(settings.filters);
      try {
        const { content } = await env.run(name, {
          ...globalsFor(settings.globals, values.was),
          ...values,
        });
        return content;
      } catch (error) {
        forgetFailures(env.cache);
        throw await explain(error, name);
      }
    },
  };
}

/** The globals as a page with this `was` sees them. */
function globalsFor(
  globals: Readonly<Record<string, unknown>>,
  was: unknown,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(globals).map((name) => [name, boundTo(was, globals[name])]),
  );
}

/**
 * A template that could not be loaded would stay so for ever: the engine keeps the promise of it.
 */
function forgetFailures(cache: Map<string, unknown>): void {
  for (const [name, template] of cache) {
    Promise.resolve(template).catch(() => {
      if (cache.get(name) === template) cache.delete(name);
    });
  }
}

/** The error to reject with: the `HttpError` inside, or one that names template and line. */
async function explain(error: unknown, name: string): Promise<unknown> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof HttpError || cause instanceof TemplateError) return cause;
  }
  const { getContext } = error as { getContext?: () => ErrorContext | Promise<ErrorContext> };
  if (typeof getContext !== "function") {
    const problem = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return new TemplateError(problem, { template: name, line: 0 }, { cause: error });
  }
  const { type, message, position, source, file } = await getContext.call(error);
  const line = position === undefined || source === undefined
    ? 0
    : source.slice(0, position).split(/\r\n|\r|\n/).length;
  const cause = (error as Error).cause ?? error;
  const problem = type === "SourceError" ? message : `${type}: ${message}`;
  return new TemplateError(problem, { template: file ?? name, line }, { cause });
}
