/**
 * Decides what this process or thread is to the service, and starts the runner for it.
 *
 * @module
 */

import { join } from "../core/file_path.ts";
import { ConfigError } from "../core/errors.ts";
import { wac } from "../was/wac.ts";
import { commandOf } from "./argopt.ts";
import type { StartEngine } from "./engine.ts";
import { daemonPid } from "./instance/pid_file.ts";
import { getswd, getVarPath, setServiceName } from "./paths.ts";
import { takeRole } from "./role.ts";
import {
  checkService,
  resolveRunOptions,
  type RunSettings,
  TEST_PORT_ENV,
} from "./run_settings.ts";
import { EXIT_FAILED, type Server } from "./server.ts";
import type { RunOptions, Service } from "./service.ts";
import { runSingle } from "./single.ts";
import { describeStartFailure, logStartFailure } from "./start_failure.ts";

/**
 * Runs the service in the role this process or thread has.
 *
 * The start script is the main module of all of them: evaluated again in each, it makes the same mounts
 * and hooks everywhere, and its call of `run` lands here. In the launching process a word on the command
 * line may make it a daemon command, which ends the process.
 *
 * A start that fails writes one `fatal` line and ends the process with exit code 1.
 *
 * @returns when all workers listen.
 * @throws {ConfigError} for unknown options, or without a mount.
 * @throws {TypeError} and {RangeError} for option values that cannot be used.
 */
export async function launch(
  service: Service,
  options: RunOptions,
  startEngine: StartEngine,
): Promise<Server> {
  const role = takeRole();
  checkService(service);
  const settings = resolveRunOptions(options);
  setServiceName(settings.name);
  if (role.kind === "worker") return await launchWorker(service, settings, startEngine);
  Deno.chdir(getswd());
  switch (role.kind) {
    case "engine": {
      const { runEngineProcess } = await import("./supervision/engine_process.ts");
      return await runEngineProcess(
        service,
        inTree(service, settings, role.start.daemon),
        startEngine,
        role.start,
      );
    }
    case "supervisor": {
      const { runDaemon } = await import("./instance/daemon.ts");
      return await runDaemon(service, inTree(service, settings, true));
    }
    case "main": {
      const command = commandOf();
      if (command !== undefined) {
        const { runCommand } = await import("./commands/daemon_commands.ts");
        return Deno.exit(await runCommand(command));
      }
      return await launchForeground(service, settings, startEngine);
    }
  }
}

async function launchWorker(
  service: Service,
  settings: RunSettings,
  startEngine: StartEngine,
): Promise<Server> {
  const { parentPort, workerData } = await import("node:worker_threads");
  if (parentPort === null || workerData?.skitai !== "worker") {
    const { THREAD_NAME } = await import("../clients/offload/thread.ts");
    // In a program bundled into one file, that file is the main module of auxiliary threads as well.
    if ((globalThis as { name?: string }).name === THREAD_NAME) return await new Promise(() => {});
    throw new ConfigError("run", "a worker of your own cannot run a service; use run({ workers })");
  }
  // Threads of this kind lack the name that browsers and libraries made for them know the global by.
  (globalThis as { self?: unknown }).self ??= globalThis;
  const { runWorker } = await import("./supervision/worker.ts");
  const inherited = inTree(service, settings, workerData.daemon);
  return await runWorker(service, inherited, startEngine, workerData, parentPort);
}

/** Settings in a process or thread below a supervisor. A daemon has no console, so its logs are files. */
function inTree(service: Service, settings: RunSettings, daemon: boolean): RunSettings {
  if (daemon) service.logDirectory ??= join(getVarPath(), "log");
  return { ...settings, daemon };
}

/** Thrown to leave an engine that was loaded here and turned out to need a supervisor. */
class NeedsSupervisor extends Error {
  override name = "NeedsSupervisor";
}

async function launchForeground(
  service: Service,
  settings: RunSettings,
  startEngine: StartEngine,
): Promise<Server> {
  try {
    // A test run has a port of its own and does not disturb the daemon.
    const pid = Deno.env.get(TEST_PORT_ENV) ? undefined : await daemonPid();
    if (pid !== undefined) {
      wac.logger.get("server").log(`daemon is running [${pid}]`, "fatal");
      return Deno.exit(EXIT_FAILED);
    }
    if (!needsSupervisor(service, settings)) {
      try {
        return await runSingle(service, settings, startEngine, (watched) => {
          if (watched.length > 0 && SUPERVISION) throw new NeedsSupervisor();
        });
      } catch (error) {
        if (!(error instanceof NeedsSupervisor)) throw error;
      }
    }
    const { runSupervisor } = await import("./supervision/supervisor.ts");
    return await runSupervisor(service, settings);
  } catch (error) {
    const failure = describeStartFailure(error, settings);
    logStartFailure(wac.logger.get("server"), failure);
    return Deno.exit(EXIT_FAILED);
  }
}

/** Ports are not shared on Windows, so there is nothing a supervisor could do better there. */
const SUPERVISION = Deno.build.os !== "windows";

function needsSupervisor(service: Service, settings: RunSettings): boolean {
  return SUPERVISION && (settings.workers > 1 || (service.criticalPoint?.interval ?? 0) > 0);
}
