/**
 * The pages of the documentation, and the code in them.
 *
 * @module
 */

import { join } from "node:path";
import { CHECKOUT } from "./project.ts";

/** A block of code on a page. */
export interface CodeBlock {
  /** Path of the page in the checkout. */
  readonly page: string;
  /** Line of the page it begins at, from 1. */
  readonly line: number;
  /** What stands behind the fence, such as `ts` or `ts ignore`. */
  readonly info: string;
  /** The code. */
  readonly text: string;
}

/** Paths of the pages, relative to the checkout: the README and everything in `docs`. */
export async function pagePaths(): Promise<string[]> {
  const found = ["README.md"];
  for await (const { name } of Deno.readDir(join(CHECKOUT, "docs"))) {
    if (name.endsWith(".md") && name !== "features.md") found.push(`docs/${name}`);
  }
  return found.sort();
}

/** Text of a page. */
export function readPage(page: string): Promise<string> {
  return Deno.readTextFile(join(CHECKOUT, page));
}

/** Blocks of code of a page. */
export async function codeBlocks(page: string): Promise<CodeBlock[]> {
  const blocks: CodeBlock[] = [];
  let open: { line: number; info: string; text: string[]; indent: number } | undefined;
  for (const [i, line] of (await readPage(page)).split("\n").entries()) {
    const fence = /^( *)```(.*)$/.exec(line);
    if (fence === null) {
      open?.text.push(line.slice(open.indent));
    } else if (open === undefined) {
      open = { line: i + 1, info: fence[2]!.trim(), text: [], indent: fence[1]!.length };
    } else {
      blocks.push({ page, line: open.line, info: open.info, text: open.text.join("\n") + "\n" });
      open = undefined;
    }
  }
  return blocks;
}

/** Targets of the links of a page that lead to files of the checkout, without their anchors. */
export function localLinks(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!.replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}
