/**
 * Jinja templates by nunjucks, with waiting: `dispatch()` on a future that has not arrived ends the
 * pass, and the template is rendered again when it has.
 *
 * The engine runs a template in one synchronous pass. Its compiler, runtime and template lookup are
 * extended here, without changing those of the module: calls are remembered from pass to pass,
 * errors know their template and line, Jinja's own names work.
 *
 * @module
 */

// deno-lint-ignore-file no-explicit-any -- values of templates are anything

import { HttpError } from "../../core/errors.ts";
import { isThenable } from "../../core/handler.ts";
import { isPlainObject } from "../../core/plain_object.ts";
import type { EngineSettings, TemplateEngine } from "./engine.ts";
import { boundTo } from "./globals.ts";
import { isTrue } from "./is_true.ts";
import { jinjaFilters, positional } from "./jinja_filters.ts";
import type {
  Binary,
  CompilerFrame,
  Environment,
  For,
  InlineIf,
  Macro,
  Node,
  Not,
  Nunjucks,
  RenderCallback,
  RootFunction,
  Template,
  Transformer,
} from "./nunjucks_internals.ts";
import { INNER_TAGS, rewrite } from "./overlay.ts";
import { pythonMember } from "./python_members.ts";
import { futureMethod, isFutureLike, MAX_PASSES, SUSPENDED, Suspension } from "./suspension.ts";
import { TemplateError } from "./template_error.ts";

/** Loads nunjucks and makes the engine. */
export async function createNunjucks(settings: EngineSettings): Promise<TemplateEngine> {
  const { default: nunjucks } = await import("nunjucks");
  const { default: transformer } = await import("nunjucks/src/transformer.js");
  return makeEngine(nunjucks as unknown as Nunjucks, transformer as Transformer, settings);
}

/** Endings whose text is not HTML or XML; they are looked at below a final `.j2` or `.njk`. */
const PLAIN = /\.(?:txt|text|md|csv|json|js|css|sql|ya?ml|toml|ini|conf|sh)$/i;

/** Whether values are escaped when they are printed. */
export function escapes(name: string): boolean {
  return !PLAIN.test(name.replace(/\.(?:j2|njk)$/i, ""));
}

/** Tags before which the place is noted; calls and filters note it themselves. */
const STATEMENTS = new Set([
  "Output",
  "If",
  "For",
  "Set",
  "Include",
  "Import",
  "FromImport",
  "Extends",
  "Super",
]);

function isInlineIf(node: Node): node is InlineIf {
  return node.typename === "InlineIf";
}

/** Where a method that was bound to its object keeps what it was before. */
const UNBOUND = Symbol("unbound");

/** A method that a template has looked up. */
interface Bound {
  (...args: unknown[]): unknown;
  [UNBOUND]?: Macro;
}

/** What went wrong first in a pass, and where. */
interface Failure {
  readonly error: unknown;
  readonly template: string;
  readonly line: number;
}

/** One render, with what its passes share. */
class Render {
  readonly suspension = new Suspension();
  /**
   * Templates in use: a file that changes meanwhile must not change the course of the next pass.
   */
  readonly templates = new Map<string, Template>();
  failure: Failure | undefined;
  /** Where the pass is. */
  file: string;
  line = 0;

  constructor(readonly name: string, readonly was: unknown) {
    this.file = name;
  }
}

function makeEngine(
  nunjucks: Nunjucks,
  transformer: Transformer,
  settings: EngineSettings,
): TemplateEngine {
  const { Frame } = nunjucks.runtime;
  const slices = addSlices(nunjucks);
  /** The render whose pass is running; passes are synchronous. */
  let current: Render | undefined;

  /** Keeps the first failure of a pass, and gives what to throw on. */
  const fail = (error: unknown, file?: string, line?: number): unknown => {
    if (error === SUSPENDED || current === undefined) return error;
    current.failure ??= {
      error,
      template: file ?? current.file,
      line: line ?? current.line,
    };
    return SUSPENDED;
  };

  const macros = new WeakSet<Macro>();

  /** A call of the template, be it a function or a filter. */
  const call = (
    fn: (...args: any[]) => unknown,
    name: string,
    context: unknown,
    args: unknown[],
    file: string,
    line: number,
  ): unknown => {
    if (current === undefined) return fn.apply(context, args);
    try {
      return current.suspension.call(name, fn, context, args);
    } catch (error) {
      throw fail(error, file, line);
    }
  };

  /** The runtime compiled templates get. */
  const makeRuntime = (escaping: boolean): object => ({
    ...nunjucks.runtime,

    suppressValue(value: unknown): unknown {
      if (typeof value === "string" && !escaping) return value;
      return nunjucks.runtime.suppressValue(value, escaping);
    },

    /** Text of a block, which has been escaped where that was due. */
    captured: (text: string): unknown => escaping ? new nunjucks.runtime.SafeString(text) : text,

    isTrue,

    both: (left: unknown, right: () => unknown): unknown => isTrue(left) ? right() : left,

    either: (left: unknown, right: () => unknown): unknown => isTrue(left) ? left : right(),

    /** What a loop with one name runs through: of a record, its names. */
    members: (list: unknown): unknown =>
      !Array.isArray(list) && isPlainObject(list) ? Object.keys(list) : list,

    inOperator: (value: unknown, list: unknown): boolean =>
      nunjucks.runtime.inOperator(plain(value), list),

    makeMacro(names: string[], keywords: string[], fn: (...args: any[]) => unknown): Macro {
      const macro = nunjucks.runtime.makeMacro(names, keywords, fn);
      macros.add(macro);
      return macro;
    },

    callWrap(
      fn: unknown,
      name: string,
      context: unknown,
      args: unknown[],
      file: string,
      line: number,
    ): unknown {
      if (typeof fn !== "function") {
        const kind = fn === undefined || fn === null ? "undefined" : "not a function";
        throw fail(new TypeError(`Cannot call ${name}: it is ${kind}`), file, line);
      }
      return call(
        fn as Macro,
        name,
        context,
        macros.has(fn as Macro) ? args : allPlain(withoutMark(args)),
        file,
        line,
      );
    },

    callFilter(
      env: Environment,
      name: string,
      context: unknown,
      args: unknown[],
      file: string,
      line: number,
    ): unknown {
      const filter = filterOf(env, name);
      if (filter === undefined) throw fail(new TypeError(`No filter is named ${name}`), file, line);
      let given: unknown[];
      try {
        given = Object.hasOwn(settings.filters, name) ? withoutMark(args) : positional(name, args);
      } catch (error) {
        throw fail(error, file, line);
      }
      return call(filter, name, context, given, file, line);
    },

    memberLookup(target: any, member: any, stop?: unknown, step?: unknown): unknown {
      if (step !== undefined) {
        const part = slices(target, member, stop, step);
        return typeof target === "string" ? (part as string[]).join("") : part;
      }
      if (target === undefined || target === null) return undefined;
      // Some functions have members: `was.response` is called, and `was.response.throw`, too.
      if (typeof target === "function") target = (target as Bound)[UNBOUND] ?? target;
      let value: unknown = target[member];
      if (value === undefined) {
        if (typeof member === "string") {
          value = pythonMember(target, member) ?? camelMember(target, member);
        } else if (member < 0) value = target[target.length + member];
        if (value === undefined) return undefined;
      }
      if (typeof value === "function") {
        if (macros.has(value as Macro)) return value;
        if (isFutureLike(target)) return futureMethod(target, String(member));
        const fn = value as Macro;
        const bound: Bound = (...args) => fn.apply(target, args);
        bound[UNBOUND] = fn;
        return bound;
      }
      return typeof value === "object" && value !== null ? arrived(value, member) : value;
    },

    contextOrFrameLookup(context: any, frame: any, name: string): unknown {
      let value = frame.lookup(name);
      if (value === undefined) value = context.lookup(name);
      // Those of the app come before those of the engine, such as `range`.
      if (value === undefined || value === env.globals[name]) {
        if (Object.hasOwn(settings.globals, name)) {
          value = boundTo(current?.was, settings.globals[name]);
        } else if (value !== undefined) return value;
        // What is imported does not see the values of the page, but `was` is everywhere.
        else if (name === "was") value = current?.was;
        else if (name === "True") return true;
        else if (name === "False") return false;
        else return name === "None" ? null : undefined;
      }
      return typeof value === "object" && value !== null ? arrived(value, name) : value;
    },

    pick(list: any, hasNames: boolean, isWanted: (...item: any[]) => unknown): unknown {
      if (list === undefined || list === null) return list;
      const items: any[] = isPlainObject(list)
        ? hasNames ? Object.entries(list) : Object.keys(list)
        : Array.from(list);
      return items.filter((item) => isTrue(hasNames ? isWanted(...item) : isWanted(item)));
    },

    at(file: string, line: number): void {
      if (current === undefined) return;
      current.file = file;
      current.line = line;
    },

    handleError: (error: unknown): unknown => fail(error),
  });

  const arrived = (value: object, name: unknown): unknown =>
    isThenable(value) && current !== undefined
      ? current.suspension.value(value, String(name))
      : value;

  const filterOf = (env: Environment, name: string): Macro | undefined =>
    Object.hasOwn(settings.filters, name) ? settings.filters[name] : env.filters[name];

  const escapingRuntime = makeRuntime(true);
  const plainRuntime = makeRuntime(false);

  class LocatingCompiler extends nunjucks.compiler.Compiler {
    readonly #file: string;
    /** Expressions whose value goes through a function of the runtime first. */
    readonly #passed = new Map<Node, "isTrue" | "members">();

    constructor(file: string) {
      super(file, false);
      this.#file = JSON.stringify(file);
    }

    override compile(node: Node, frame?: unknown): void {
      if (STATEMENTS.has(node.typename) && node.children?.[0]?.typename !== "TemplateData") {
        this._emitLine(`runtime.at(${this.#file}, ${node.lineno + 1});`);
      }
      const through = this.#passed.get(node);
      if (through === undefined) return super.compile(node, frame);
      this.#passed.delete(node);
      this._emit(`runtime.${through}(`);
      super.compile(node, frame);
      this._emit(")");
    }

    /** An empty list or record is not true in Jinja; in JavaScript it is. */
    override compileIf(node: InlineIf, frame: CompilerFrame, isAsync?: boolean): void {
      this.#passed.set(node.cond, "isTrue");
      super.compileIf(node, frame, isAsync);
    }

    override compileNot(node: Not, frame: CompilerFrame): void {
      this.#passed.set(node.target, "isTrue");
      super.compileNot(node, frame);
    }

    override compileAnd(node: Binary, frame: CompilerFrame): void {
      this.#compileChoice("both", node, frame);
    }

    override compileOr(node: Binary, frame: CompilerFrame): void {
      this.#compileChoice("either", node, frame);
    }

    #compileChoice(choose: "both" | "either", { left, right }: Binary, frame: unknown): void {
      this._emit(`runtime.${choose}(`);
      this.compile(left, frame);
      this._emit(", () => (");
      this.compile(right, frame);
      this._emit("))");
    }

    /** The text between `set` or `filter` and its end. */
    override compileCapture(node: Node, frame: CompilerFrame): void {
      this._emit("runtime.captured(");
      super.compileCapture(node, frame);
      this._emit(")");
    }

    /** Called by the base class for a call in an expression. */
    compileFunCall(node: Node, frame: unknown): void {
      this._emit("runtime.callWrap(");
      this._compileExpression(node.name, frame);
      this._emit(`, ${JSON.stringify(this._getNodeName(node.name))}, context, `);
      this._compileAggregate(node.args, frame, "[", "]");
      this._emit(`, ${this.#file}, ${node.lineno + 1})`);
    }

    /** In Jinja `for x in list if x.ok` picks items; nunjucks takes it for one without an else. */
    override compileFor(node: For, frame: CompilerFrame): void {
      const { arr } = node;
      if (isInlineIf(arr) && !arr.else_) arr.loop = node.name;
      else if (node.name.typename !== "Array") this.#passed.set(arr, "members");
      super.compileFor(node, frame);
    }

    override compileInlineIf(node: InlineIf, frame: CompilerFrame): void {
      const { loop } = node;
      if (loop === undefined) {
        this.#passed.set(node.cond, "isTrue");
        return super.compileInlineIf(node, frame);
      }
      const names: { value: string }[] = loop.typename === "Array" ? loop.children : [loop];
      const inner = frame.push();
      const variables = names.map(({ value }) => {
        const variable = this._tmpid();
        inner.set(value, variable);
        return variable;
      });
      this._emit("runtime.pick(");
      this._compileExpression(node.body, frame);
      this._emit(`, ${names.length > 1}, (${variables.join(", ")}) => `);
      this._compileExpression(node.cond, inner);
      this._emit(")");
    }

    /** Called by the base class for a filter in an expression. */
    compileFilter(node: Node, frame: unknown): void {
      this._emit(`runtime.callFilter(env, ${JSON.stringify(node.name.value)}, context, `);
      this._compileAggregate(node.args, frame, "[", "]");
      this._emit(`, ${this.#file}, ${node.lineno + 1})`);
    }
  }

  class WaitingTemplate extends nunjucks.Template {
    declare env: WaitingEnvironment;
    declare path: string;
    declare tmplStr: string;

    _compile(): void {
      const { env, path: name } = this;
      const source = env.extensionsList.reduce(
        (text, { preprocess }) => preprocess ? preprocess(text) : text,
        this.tmplStr,
      );
      const parsed = nunjucks.parser.parse(source, env.extensionsList, env.opts);
      const compiler = new LocatingCompiler(name);
      compiler.compile(transformer.transform(parsed, env.asyncFilters, name));
      const properties = new Function(compiler.getCode())() as Record<string, RootFunction>;
      const { root } = properties;
      const runtime = escapes(name) ? escapingRuntime : plainRuntime;
      this.blocks = this._getBlocks(properties);
      this.rootRenderFunc = (env, context, frame, _own, done) =>
        root!(env, context, frame, runtime, done);
      this.compiled = true;
    }
  }

  class WaitingEnvironment extends nunjucks.Environment {
    readonly #cache = new Map<string, { readonly text: string; readonly template: Template }>();
    #nothing: Template | undefined;

    /** Called by compiled templates, for `include`, `extends` and `import`. */
    getTemplate(
      given: unknown,
      _eager: boolean,
      from: string,
      ignoreMissing: boolean,
      done: (error: unknown, template: Template) => void,
    ): void {
      done(null, this.#choose(given, from, ignoreMissing));
    }

    /** Called by compiled templates, for `is`. */
    getTest(name: string): Macro {
      const test = Object.hasOwn(settings.tests, name) ? settings.tests[name] : this.tests[name];
      if (test === undefined) throw new TypeError(`No test is named ${name}`);
      return test;
    }

    /** Called by filters that take the name of a filter. */
    getFilter(name: string): Macro {
      const filter = filterOf(this, name);
      if (filter === undefined) throw new TypeError(`No filter is named ${name}`);
      return filter;
    }

    /**
     * The template of a name, compiled. @throws {TemplateError} when it is missing or cannot be
     * parsed.
     */
    load(name: string): Template {
      const template = this.#find(name);
      if (template === undefined) throw settings.source.missing(name);
      return template;
    }

    #choose(given: unknown, from: string, ignoreMissing: boolean): Template {
      // Most names stand in the template as they are, and are asked for again in every loop.
      if (typeof given === "string") {
        const used = current?.templates.get(given);
        if (used !== undefined) return used;
      }
      if (given instanceof nunjucks.Template) return given;
      const names = (Array.isArray(given) ? given : [given]).map((name) => {
        if (name === undefined || name === null) {
          throw new TypeError(`the name of a template is ${name}`);
        }
        return settings.source.resolve(String(name), from);
      });
      for (const name of names) {
        const template = this.#find(name);
        if (template !== undefined) return template;
      }
      if (!ignoreMissing) throw settings.source.missing(names.join(", "));
      return this.#nothing ??= new WaitingTemplate("", this, "(nothing)", true);
    }

    #find(name: string): Template | undefined {
      const used = current?.templates.get(name);
      if (used !== undefined) return used;
      const cached = this.#cache.get(name);
      let template = cached?.template;
      if (template === undefined || settings.autoReload) {
        const file = settings.source.read(name);
        if (file === undefined) return undefined;
        if (template === undefined || cached!.text !== file.text) {
          template = this.#parse(name, file.text);
          this.#cache.set(name, { text: settings.autoReload ? file.text : "", template });
        }
      }
      current?.templates.set(name, template);
      return template;
    }

    #parse(name: string, text: string): Template {
      const { overlay, translate } = settings;
      const source = translate !== undefined
        ? translate(text, name)
        : overlay !== undefined
        ? rewrite(text, name, overlay)
        : text;
      try {
        const template = new WaitingTemplate(source, this, name, false);
        template._compile();
        return template;
      } catch (thrown) {
        const { message, lineno } = thrown as Error & { lineno?: number };
        // The parser knows no line where the text ends too early.
        const line = lineno || text.trimEnd().split("\n").length;
        throw new TemplateError(message, { template: name, line }, { cause: thrown });
      }
    }
  }

  const env = new WaitingEnvironment([], {
    dev: true,
    autoescape: true,
    ...((settings.overlay ?? settings.translate) === undefined ? {} : { tags: INNER_TAGS }),
  });
  Object.assign(
    env.filters,
    jinjaFilters((text) => new nunjucks.runtime.SafeString(text)),
  );

  /** Runs one pass; `undefined` when it was given up to wait. @throws what failed. */
  const pass = (render: Render, values: Record<string, unknown>): string | undefined => {
    const outer = current;
    current = render;
    render.suspension.restart();
    let output: string | undefined;
    const done: RenderCallback = (_error, text) => output ??= text;
    try {
      // With a frame given, the engine calls back at once instead of on a later turn.
      env.load(render.name).render(values, new Frame(), done);
    } catch (error) {
      fail(error);
    } finally {
      current = outer;
    }
    if (render.suspension.suspended) return undefined;
    if (render.failure !== undefined) throw explain(render.failure);
    if (output === undefined) {
      throw new TemplateError("it ended without a result", { template: render.name, line: 0 });
    }
    return output;
  };

  return {
    async render(given, values) {
      const name = settings.source.resolve(given);
      const render = new Render(name, values.was);
      for (let passes = 1;; passes++) {
        const output = pass(render, values);
        if (output !== undefined) return output;
        if (passes === MAX_PASSES) {
          throw new TemplateError(`still waiting after ${MAX_PASSES} passes`, {
            template: name,
            line: 0,
          });
        }
        await render.suspension.wait(name, settings.waitTimeoutMs);
      }
    },
  };
}

/** The error to reject with. */
function explain({ error, template, line }: Failure): Error {
  if (error instanceof HttpError) return error;
  if (error instanceof TemplateError) {
    if (error.template === template || line === 0) return error;
    return new TemplateError(error.message, { template, line }, { cause: error });
  }
  const problem = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new TemplateError(problem, { template, line }, { cause: error });
}

/**
 * Arguments given by name without the mark that macros need, which strict functions would refuse.
 */
function withoutMark(args: unknown[]): unknown[] {
  const last = args.at(-1);
  if (typeof last !== "object" || last === null || !Object.hasOwn(last, "__keywords")) return args;
  const { __keywords: _, ...named } = last as Record<string, unknown>;
  return [...args.slice(0, -1), named];
}

/** The same list unless something in it is text that is not to be escaped. */
function allPlain(args: unknown[]): unknown[] {
  for (const arg of args) if (arg instanceof String) return args.map(plain);
  return args;
}

/** Text that is not to be escaped as plain text, which functions know what to do with. */
function plain(value: unknown): unknown {
  return value instanceof String ? String(value) : value;
}

/** `status_code` for `statusCode`. */
function camelMember(target: any, member: string): unknown {
  if (!member.includes("_", 1)) return undefined;
  return target[member.replace(/(?<=.)_+([a-z0-9])/g, (_, c: string) => c.toUpperCase())];
}

/**
 * Lets the parser read `list[1:3]`. The module does this for the whole process or not at all; what
 * it does to its runtime is taken back, and only the function that cuts is kept.
 */
function addSlices(nunjucks: Nunjucks): (...args: unknown[]) => unknown {
  const { runtime } = nunjucks;
  const { memberLookup, contextOrFrameLookup } = runtime;
  nunjucks.installJinjaCompat();
  const cut = runtime.memberLookup as (...args: unknown[]) => unknown;
  Object.assign(runtime, { memberLookup, contextOrFrameLookup });
  return cut;
}
