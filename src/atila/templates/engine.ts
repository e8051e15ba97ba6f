/**
 * Templates of an app: one interface, two engines, chosen by file name.
 *
 * @module
 */

import type { JinjaOverlay } from "./overlay.ts";
import { TemplateSource } from "./source.ts";
import { TemplateError } from "./template_error.ts";

/** What renders templates. */
export interface TemplateEngine {
  /**
   * Renders a template with the values and resolves to the text.
   *
   * Rejects with a `TemplateError` that names template and line, or with the `HttpError` that was
   * thrown inside.
   */
  render(name: string, values: Record<string, unknown>): Promise<string>;
}

/** Options of {@link createTemplates}. */
export interface TemplateOptions {
  /** Directories to search, in order. The list is read at each search, so it may be added to. */
  readonly directories: readonly string[];
  /** Read changed files again, also those that are included or extended. Default false. */
  readonly autoReload?: boolean;
  /**
   * Names every template sees; values of `render` come first. The record is read at each render.
   */
  readonly globals?: Readonly<Record<string, unknown>>;
  /** Further filters by name. They may return promises. The record is read at each render. */
  readonly filters?: Readonly<Record<string, TemplateFilter>>;
  /** Further tests by name, for Jinja templates. The record is read at each render. */
  // deno-lint-ignore no-explicit-any -- templates pass anything
  readonly tests?: Readonly<Record<string, (value: any, ...args: any[]) => boolean>>;
  /** Other delimiters for Jinja templates. */
  readonly overlay?: Required<JinjaOverlay>;
  /** Further engines by ending; the map is read at each render. */
  readonly engines?: ReadonlyMap<string, EngineFactory>;
  /**
   * Longest wait for one promise in a template, in milliseconds. Futures have their own. Default 30
   * 000.
   */
  readonly waitTimeoutMs?: number;
}

/** A filter: gets the value and what stands in its brackets. */
// deno-lint-ignore no-explicit-any -- templates pass anything
export type TemplateFilter = (value: any, ...args: any[]) => unknown;

/** Options as the engines get them. */
export interface EngineSettings {
  /** Finds templates. */
  readonly source: TemplateSource;
  /** See {@link TemplateOptions.autoReload}. */
  readonly autoReload: boolean;
  /** See {@link TemplateOptions.globals}. */
  readonly globals: Readonly<Record<string, unknown>>;
  /** See {@link TemplateOptions.filters}. */
  readonly filters: Readonly<Record<string, TemplateFilter>>;
  /** See {@link TemplateOptions.tests}. */
  // deno-lint-ignore no-explicit-any -- templates pass anything
  readonly tests: Readonly<Record<string, (value: any, ...args: any[]) => boolean>>;
  /** See {@link TemplateOptions.overlay}. */
  readonly overlay: Required<JinjaOverlay> | undefined;
  /** Translates files of another language to Jinja with private delimiters. @internal */
  readonly translate?: (text: string, name: string) => string;
  /** See {@link TemplateOptions.waitTimeoutMs}. */
  readonly waitTimeoutMs: number;
}

/** Makes an engine of the settings of an app, when its first template is rendered. */
export type EngineFactory = (
  settings: EngineSettings,
) => TemplateEngine | Promise<TemplateEngine>;

// The imports are literal, so that bundlers and the registry see them.
const loadNunjucks: EngineFactory = async (settings) =>
  (await import("./nunjucks.ts")).createNunjucks(settings);
const loadVento: EngineFactory = async (settings) =>
  (await import("./vento.ts")).createVento(settings);

/** Which engine takes which endings. */
const ENGINES: ReadonlyMap<string, EngineFactory> = new Map([
  ...[".html", ".htm", ".j2", ".njk", ".txt", ".xml"].map((ending) =>
    [ending, loadNunjucks] as const
  ),
  [".vto", loadVento],
]);

/**
 * Makes the templates of an app: nunjucks (Jinja syntax) for `.html .htm .j2 .njk .txt .xml`, Vento
 * for `.vto`. An engine is loaded when the first of its templates is rendered.
 *
 * @example
 * ```ts ignore
 * const templates = createTemplates({ directories: ["./templates"] });
 * const page = await templates.render("index.html", { user: "Kim" });
 * ```
 */
export function createTemplates(options: TemplateOptions): TemplateEngine {
  return new Templates(options);
}

class Templates implements TemplateEngine {
  readonly #settings: EngineSettings;
  readonly #known: ReadonlyMap<string, EngineFactory> | undefined;
  readonly #engines = new Map<EngineFactory, Promise<TemplateEngine>>();
  readonly #loaded = new Map<EngineFactory, TemplateEngine>();

  constructor(options: TemplateOptions) {
    this.#known = options.engines;
    this.#settings = {
      source: new TemplateSource(options.directories),
      autoReload: options.autoReload ?? false,
      globals: options.globals ?? {},
      filters: options.filters ?? {},
      tests: options.tests ?? {},
      overlay: options.overlay,
      waitTimeoutMs: options.waitTimeoutMs ?? 30_000,
    };
  }

  render(name: string, values: Record<string, unknown>): Promise<string> {
    const load = engineOf(name, this.#known);
    if (typeof load !== "function") return Promise.reject(load);
    const engine = this.#loaded.get(load);
    return engine ? engine.render(name, values) : this.#renderFirst(load, name, values);
  }

  async #renderFirst(
    load: EngineFactory,
    name: string,
    values: Record<string, unknown>,
  ): Promise<string> {
    let loading = this.#engines.get(load);
    if (loading === undefined) {
      this.#engines.set(load, loading = Promise.resolve(this.#settings).then(load));
    }
    let engine: TemplateEngine;
    try {
      engine = await loading;
    } catch (error) {
      // The next page tries again.
      this.#engines.delete(load);
      throw error;
    }
    this.#loaded.set(load, engine);
    return engine.render(name, values);
  }
}

/** Endings whose engine is not part of this package, and what they are. */
const FOREIGN: ReadonlyMap<string, string> = new Map([[".pt", "TAL"], [".ptal", "TAL"]]);

/** How to load the engine of a name, or why there is none. */
function engineOf(
  name: string,
  registered: ReadonlyMap<string, EngineFactory> | undefined,
): EngineFactory | Error {
  if (typeof name !== "string") {
    return new TypeError(`Cannot render ${String(name)}: expected the name of a template`);
  }
  const dot = name.lastIndexOf(".");
  const ending = dot === -1 ? "" : name.slice(dot).toLowerCase();
  const engine = registered?.get(ending) ?? ENGINES.get(ending);
  if (engine) return engine;
  const language = FOREIGN.get(ending);
  const known = [...new Set([...ENGINES.keys(), ...registered?.keys() ?? []])].join(" ");
  const problem = language === undefined
    ? `no engine takes this ending; known are ${known}`
    : `${language} needs an engine of its own, and none is installed; ` +
      `register it with app.registerEngine([".pt", ".ptal"], tal), tal being from ` +
      `"@skitai/skitai/tal", or one of your own`;
  return new TemplateError(problem, { template: JSON.stringify(name), line: 0 });
}
