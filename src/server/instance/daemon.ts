/**
 * A supervisor in the background.
 *
 * @module
 */

import process from "node:process";
import { wac } from "../../was/wac.ts";
import { getServiceName, getVarPath, scriptPath } from "../paths.ts";
import type { RunSettings } from "../run_settings.ts";
import { EXIT_FAILED, type Server } from "../server.ts";
import type { Service } from "../service.ts";
import { describeStartFailure, logStartFailure } from "../start_failure.ts";
import type { SupervisorReport } from "../supervision/messages.ts";
import { runSupervisor } from "../supervision/supervisor.ts";
import { writeInstance } from "./instance_file.ts";
import { PidFile } from "./pid_file.ts";

/** Milliseconds the starting command may take to read the reason of a failed start. */
const HANG_UP_MS = 2000;

/** Supervises the service as the one daemon of its name, and tells the command that started it how it went. */
export async function runDaemon(service: Service, settings: RunSettings): Promise<Server> {
  const startedAt = Date.now();
  const name = getServiceName();
  const varPath = getVarPath();
  const lock = await PidFile.acquire(varPath);
  if (lock === undefined) return await fail("already running");
  let server: Server;
  try {
    server = await runSupervisor(service, settings, {
      changed: (facts) =>
        writeInstance(varPath, {
          name,
          pid: Deno.pid,
          startedAt,
          script: scriptPath(),
          ...facts,
        }),
      stopped: () => lock.release(),
    });
  } catch (error) {
    const failure = describeStartFailure(error, settings);
    logStartFailure(wac.logger.get("server"), failure);
    lock.release();
    return await fail(failure.text);
  }
  await tell({ type: "ready", pid: Deno.pid, address: server.address, port: server.port });
  if (process.connected) process.disconnect();
  return server;
}

async function fail(text: string): Promise<never> {
  // The end of a process may overtake what it said last: so the one who listens hangs up first.
  const heard = hangUp();
  await tell({ type: "failed", text });
  await heard;
  return Deno.exit(EXIT_FAILED);
}

/** Resolves when the command that started this daemon has closed the channel, or does not in time. */
function hangUp(): Promise<void> {
  if (!process.connected) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, HANG_UP_MS);
    process.once("disconnect", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Nobody may be listening any more; then there is nobody to tell. */
function tell(report: SupervisorReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send!(report, () => resolve());
    else resolve();
  });
}
