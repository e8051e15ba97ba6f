/**
 * Apps of one host as they find each other.
 *
 * @module
 */

import type { Atila } from "./atila.ts";
import type { AppConfig } from "./config.ts";
import type { AppStore } from "./store.ts";
import type { HandlerReference } from "./url.ts";

/** What an app shows to the others. */
export interface NeighbourApp {
  /** Its settings. */
  readonly config: AppConfig;
  /** Its values. */
  readonly store: AppStore;
  /** URL of one of its handlers. */
  buildUrl(handler: HandlerReference, ...args: unknown[]): string;
}

/** Apps of one host by name, which is their file name without extension. */
export class AppDirectory {
  readonly #app: Atila;

  /** The apps around one of them. */
  constructor(app: Atila) {
    this.#app = app;
  }

  /** An app of this host. @throws {ReferenceError} when there is none of that name. */
  get(name: string): NeighbourApp {
    const { others } = this.#app;
    const found = name === this.#app.name ? this.#app : others.get(name);
    if (found === undefined) {
      const known = this.names().join(", ");
      throw new ReferenceError(`No app of this host is called "${name}"; there are ${known}`);
    }
    const app = found as Partial<NeighbourApp>;
    if (typeof app.buildUrl !== "function") {
      throw new ReferenceError(`"${name}" is an app of another framework: it has no settings here`);
    }
    return found as unknown as NeighbourApp;
  }

  /** Whether there is an app of that name. */
  has(name: string): boolean {
    return name === this.#app.name || this.#app.others.has(name);
  }

  /** Names of the apps of this host. */
  names(): string[] {
    return [...new Set([this.#app.name, ...this.#app.others.keys()])];
  }
}

const directories = new WeakMap<Atila, AppDirectory>();

/** The directory around an app. */
export function directoryOf(app: Atila): AppDirectory {
  let directory = directories.get(app);
  if (directory === undefined) directories.set(app, directory = new AppDirectory(app));
  return directory;
}
