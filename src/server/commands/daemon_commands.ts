/**
 * The words a start script understands on its command line: start, stop, restart, status.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../../core/errors.ts";
import type { DaemonCommand } from "../argopt.ts";
import { daemonPid } from "../instance/pid_file.ts";
import { makeVarDirectory } from "../instance/var_directory.ts";
import { getVarPath, launchDirectory } from "../paths.ts";
import { supervisorEnvironment } from "../role.ts";
import { DEFAULT_GRACE_SECONDS, EXIT_FAILED, EXIT_NORMAL } from "../server.ts";
import { onEnd } from "../supervision/child_end.ts";
import type { SupervisorReport } from "../supervision/messages.ts";
import { childCommand } from "../supervision/respawn.ts";

/** File in the runtime directory that collects what a daemon writes to its standard error. */
export const STDERR_FILE = "stderr.engine";

/** Milliseconds between the two halves of a restart. */
const RESTART_PAUSE_MS = 2000;
/** Milliseconds a daemon may take to stop before it is killed: its own grace and some for the rest. */
const STOP_LIMIT_MS = (DEFAULT_GRACE_SECONDS + 15) * 1000;
const POLL_MS = 50;

/** Runs a command and returns the exit code of the process. */
export async function runCommand(command: DaemonCommand): Promise<number> {
  if (Deno.build.os === "windows") {
    say(`"${command}" is for POSIX systems; run the script without it`);
    return EXIT_FAILED;
  }
  try {
    return await obey(command);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(error.message);
    return EXIT_FAILED;
  }
}

async function obey(command: DaemonCommand): Promise<number> {
  switch (command) {
    case "start":
      return await start();
    case "stop":
      return await stop();
    case "restart": {
      const code = await stop();
      if (code !== EXIT_NORMAL) return code;
      await pause(RESTART_PAUSE_MS);
      return await start();
    }
    case "status": {
      const pid = await daemonPid();
      say(pid === undefined ? "stopped" : `running [${pid}]`);
      return EXIT_NORMAL;
    }
  }
}

/** Starts the daemon and waits until it serves. */
async function start(): Promise<number> {
  const running = await daemonPid();
  if (running !== undefined) {
    say(`already running [${running}]`);
    return EXIT_NORMAL;
  }
  const report = await spawnSupervisor(await makeVarDirectory());
  if (report.type === "failed") {
    say(report.text);
    return EXIT_FAILED;
  }
  say(`started [${report.pid}], serving on ${report.address} port ${report.port}`);
  return EXIT_NORMAL;
}

function spawnSupervisor(varPath: string): Promise<SupervisorReport> {
  const { program, args } = childCommand();
  const stderrPath = join(varPath, STDERR_FILE);
  const stderr = openSync(stderrPath, "a");
  const child = spawn(program, args, {
    cwd: launchDirectory,
    detached: true,
    env: { ...Deno.env.toObject(), ...supervisorEnvironment() },
    stdio: ["ignore", "ignore", stderr, "ipc"],
  });
  closeSync(stderr);
  return new Promise((resolve) => {
    child.on("message", (message) => {
      const report = message as SupervisorReport;
      resolve(report);
      // A failed daemon waits for this before it ends.
      if (report.type === "failed" && child.connected) child.disconnect();
    });
    child.on("error", (error) => resolve({ type: "failed", text: error.message }));
    onEnd(child, (code, signal) =>
      resolve({
        type: "failed",
        text: `the daemon ended before it served (${signal ?? `exit code ${code}`}); ` +
          `see ${stderrPath}`,
      }));
  });
}

/** Stops the daemon and waits until it is gone. Without one there is nothing to do, and no error. */
async function stop(): Promise<number> {
  const pid = await daemonPid();
  if (pid === undefined) {
    say("stopped");
    return EXIT_NORMAL;
  }
  if (!signal(pid, "SIGTERM")) return EXIT_FAILED;
  // A clock that is set forward meanwhile must not have the daemon killed at its requests.
  const deadline = performance.now() + STOP_LIMIT_MS;
  while (await daemonPid() === pid) {
    if (performance.now() > deadline) {
      say(`daemon ${pid} does not stop and is killed`);
      if (!signal(pid, "SIGKILL")) return EXIT_FAILED;
    }
    await pause(POLL_MS);
  }
  say("stopped");
  return EXIT_NORMAL;
}

function signal(pid: number, name: Deno.Signal): boolean {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    // It may have ended in between, which is what was wanted.
    if (error instanceof Deno.errors.NotFound) return true;
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    say(`no permission to stop ${getVarPath()}: process ${pid} belongs to another user`);
    return false;
  }
  return true;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function say(text: string): void {
  // deno-lint-ignore no-console -- the answer to a command belongs on its output
  console.log(text);
}
