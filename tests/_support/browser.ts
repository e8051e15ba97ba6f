/**
 * A real Chromium without a window.
 *
 * @module
 */

import type { Browser, Page } from "playwright-core";
import { findProgram } from "./services.ts";

/** Where a page may have complained. */
export interface Complaints {
  /** Errors of the console and of scripts, requests that failed, in their order. */
  readonly complaints: readonly string[];
}

/** Starts Chromium; `using` ends it. Tests that call this are ignored where `isMissing("chromium")`. */
export async function openBrowser(): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  return await chromium.launch({
    executablePath: findProgram("chromium")!,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
      ...["--disable-background-networking", "--disable-sync", "--disable-extensions"],
    ],
  });
}

/** Notes whatever a page complains about from now on. */
export function watchPage(page: Page): Complaints {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      complaints.push(`console: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  return { complaints };
}
