/**
 * Closes the debugger that the runtime opens on the signal that rotates the logs.
 *
 * Deno answers SIGUSR1 by opening its inspector on 127.0.0.1:9229, whoever listens for the signal
 * besides. Everybody on the machine who reaches that port runs code as the service, so it must not stay
 * open because somebody wanted new log files. Connections made meanwhile are closed with it.
 *
 * @module
 */

/** The runtime opens it within milliseconds; under load it may take longer. */
const WATCH_MS = 3000;
const LOOK_AGAIN_MS = 2;

/**
 * Whether the process was started with a debugger, which then is meant to be there. To be asked before
 * the title of the process is set, which overwrites what is read here. False where it cannot be told.
 */
export function startedWithDebugger(): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    return /\0--inspect(-brk|-wait)?[=\0]/.test(Deno.readTextFileSync("/proc/self/cmdline"));
  } catch (error) {
    // A sandbox without /proc, or a run without permission to read it.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return false;
    }
    throw error;
  }
}

/** To be called when the signal has come: closes the debugger as soon as it is open. True if it was. */
export async function closeDebugger(): Promise<boolean> {
  // Loaded here, since most processes never need it.
  const inspector = await import("node:inspector");
  const deadline = performance.now() + WATCH_MS;
  while (performance.now() < deadline) {
    if (inspector.url() !== undefined) {
      inspector.close();
      return true;
    }
    await new Promise<void>((resolve) => {
      Deno.unrefTimer(setTimeout(resolve, LOOK_AGAIN_MS));
    });
  }
  return false;
}
