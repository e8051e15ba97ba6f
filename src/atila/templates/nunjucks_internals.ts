/**
 * The parts of nunjucks that its types do not tell: what compiled templates call, and the compiler.
 *
 * @module
 */

// deno-lint-ignore-file no-explicit-any -- values of templates are anything

/** Ends a render or a part of it. */
export type RenderCallback = (error: unknown, output?: string) => void;

/** The function a template is compiled to. */
export type RootFunction = (
  env: unknown,
  context: unknown,
  frame: unknown,
  runtime: unknown,
  done: RenderCallback,
) => void;

/** What compiled templates get as `runtime`. */
export interface Runtime {
  Frame: new () => object;
  SafeString: new (text: string) => object;
  makeMacro(names: string[], keywords: string[], fn: (...args: any[]) => unknown): Macro;
  memberLookup(target: any, member: any, ...rest: any[]): unknown;
  contextOrFrameLookup(context: any, frame: any, name: string): unknown;
  suppressValue(value: unknown, autoescape: boolean): unknown;
  inOperator(value: unknown, list: unknown): boolean;
  markSafe(value: unknown): unknown;
}

/** A macro of a template. */
export type Macro = (...args: any[]) => unknown;

/** A node of a parsed template. */
export interface Node {
  /** Name of its class. */
  typename: string;
  /** From 0. */
  lineno: number;
  name: any;
  args: any;
  template: any;
  children: Node[];
}

/** `a if b else c`. */
export interface InlineIf extends Node {
  cond: Node;
  body: Node;
  else_: Node | null;
  /** Name or names of the loop whose items it picks. Set here. */
  loop?: any;
}

/** `not a`. */
export interface Not extends Node {
  target: Node;
}

/** `a and b`, `a or b`. */
export interface Binary extends Node {
  left: Node;
  right: Node;
}

/** A loop. */
export interface For extends Node {
  arr: Node;
}

/** What the compiler knows of the variables in reach. */
export interface CompilerFrame {
  push(): CompilerFrame;
  /** Lets a name of the template stand for a variable of the compiled code. */
  set(name: string, variable: string): void;
}

/** The compiler, as far as it is extended here. */
export interface Compiler {
  compileFor(node: For, frame: CompilerFrame): void;
  compileIf(node: InlineIf, frame: CompilerFrame, isAsync?: boolean): void;
  compileInlineIf(node: InlineIf, frame: CompilerFrame): void;
  compileNot(node: Not, frame: CompilerFrame): void;
  compileAnd(node: Binary, frame: CompilerFrame): void;
  compileOr(node: Binary, frame: CompilerFrame): void;
  compileCapture(node: Node, frame: CompilerFrame): void;
  _tmpid(): string;
  inBlock: boolean;
  buffer: string | null;
  compile(node: Node, frame?: unknown): void;
  getCode(): string;
  _emit(code: string): void;
  _emitLine(code: string): void;
  _emitFuncBegin(node: Node, name: string): void;
  _compileExpression(node: Node, frame: unknown): void;
  _compileAggregate(node: Node, frame: unknown, start: string, end: string): void;
  _getNodeName(node: Node): string;
}

/** A compiled template. */
export interface Template {
  rootRenderFunc: RootFunction;
  blocks: Record<string, RootFunction>;
  compiled: boolean;
  render(values: object, frame: object, done: RenderCallback): void;
  _getBlocks(properties: Record<string, RootFunction>): Record<string, RootFunction>;
}

/** An environment. */
export interface Environment {
  opts: Record<string, unknown>;
  asyncFilters: string[];
  extensionsList: { preprocess?: (source: string) => string }[];
  globals: Record<string, unknown>;
  filters: Record<string, (...args: any[]) => unknown>;
  tests: Record<string, (...args: any[]) => unknown>;
}

/** The module. */
export interface Nunjucks {
  Environment: new (loaders: unknown[], options: Record<string, unknown>) => Environment;
  Template: new (source: string, env: unknown, path: string, eager: boolean) => Template;
  compiler: { Compiler: new (name: string, throwOnUndefined: boolean) => Compiler };
  parser: { parse(source: string, extensions: unknown[], options: unknown): Node };
  runtime: Runtime;
  installJinjaCompat(): () => void;
}

/** Rewrites what was parsed, for `super()` among others. */
export interface Transformer {
  transform(node: Node, asyncFilters: string[], name: string): Node;
}
