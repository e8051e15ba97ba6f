/**
 * Templates of an app: one interface, two engines, chosen by file name.
 *
 * @module
 */

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
  /** See {@link TemplateOptions.waitTimeoutMs}. */
  readonly waitTimeoutMs: number;
}

/** Loads an engine. The imports are literal, so that bundlers and the registry see them. */
type LoadEngine = (settings: EngineSettings) => Promise<TemplateEngine>;

const loadNunjucks: LoadEngine = async (settings) =>
  (await import("./nunjucks.ts")).createNunjucks(settings);
const loadVento: LoadEngine = async (settings) =>
  (await import("./vento.ts")).createVento(settings);

/** Which engine takes which endings. */
const ENGINES: ReadonlyMap<string, LoadEngine> = new Map([
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
  readonly #engines = new Map<LoadEngine, Promise<TemplateEngine>>();
  readonly #loaded = new Map<LoadEngine, TemplateEngine>();

  constructor(options: TemplateOptions) {
    this.#settings = {
      source: new TemplateSource(options.directories),
      autoReload: options.autoReload ?? false,
      globals: options.globals ?? {},
      filters: options.filters ?? {},
      waitTimeoutMs: options.waitTimeoutMs ?? 30_000,
    };
  }

  render(name: string, values: Record<string, unknown>): Promise<string> {
    const load = engineOf(name);
    if (typeof load !== "function") return Promise.reject(load);
    const engine = this.#loaded.get(load);
    return engine ? engine.render(name, values) : this.#renderFirst(load, name, values);
  }

  async #renderFirst(
    load: LoadEngine,
    name: string,
    values: Record<string, unknown>,
  ): Promise<string> {
    let loading = this.#engines.get(load);
    if (loading === undefined) this.#engines.set(load, loading = load(this.#settings));
    const engine = await loading;
    this.#loaded.set(load, engine);
    return engine.render(name, values);
  }
}

/** How to load the engine of a name, or why there is none. */
function engineOf(name: string): LoadEngine | Error {
  if (typeof name !== "string") {
    return new TypeError(`Cannot render ${String(name)}: expected the name of a template`);
  }
  const dot = name.lastIndexOf(".");
  const engine = dot === -1 ? undefined : ENGINES.get(name.slice(dot).toLowerCase());
  if (engine) return engine;
  const known = [...ENGINES.keys()].join(" ");
  return new TemplateError(`no engine takes this ending; known are ${known}`, {
    template: JSON.stringify(name),
    line: 0,
  });
}
