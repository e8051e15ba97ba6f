/**
 * The logs of a process or thread of the service.
 *
 * @module
 */

import { wac } from "../was/wac.ts";
import { createLogger, defaultLogDirectory, type LoggerHandle } from "../store/logs.ts";
import { abspath, getServiceName } from "./paths.ts";
import type { RunSettings } from "./run_settings.ts";
import type { Service } from "./service.ts";

/**
 * Opens the logs as the service wants them: on the console; in files too with file logging; in files
 * only in a daemon. A relative directory starts at the start script. Logs that the script has made so far
 * move there.
 *
 * @param owner True in the one process that rotates the files: the supervisor, or a single process.
 * @param serves True where apps are served. Every process evaluates the script; what it logs meanwhile
 *   goes to the files from there only.
 * @throws {ConfigError} naming the directory or file that cannot be written.
 */
export function openLogs(
  service: Service,
  settings: RunSettings,
  owner: boolean,
  serves: boolean,
): LoggerHandle {
  const { logDirectory } = service;
  const before = wac.logger;
  if (logDirectory === undefined) return createLogger({ console: true, before });
  return createLogger({
    directory: logDirectory === "" ? defaultLogDirectory(getServiceName()) : abspath(logDirectory),
    console: !settings.daemon,
    owner,
    before,
    takesEarly: serves,
  });
}
