/**
 * Logs of processes that serve nothing themselves.
 *
 * @module
 */

import type { Logger } from "../core/log.ts";
import { consoleLogger } from "../store/logs.ts";
import type { RunSettings } from "./run_settings.ts";
import type { Service } from "./service.ts";

/** The logs of a supervisor or of an engine process that hosts workers: the same files as the workers'. */
export function masterLogger(_service: Service, _settings: RunSettings): Logger {
  return consoleLogger();
}
