/**
 * Signals from outside, turned into what the service should do.
 *
 * @module
 */

import { wac } from "../was/wac.ts";
import { closeDebugger, startedWithDebugger } from "./debugger_guard.ts";

/** What signals ask for. */
export interface SignalActions {
  /** TERM, INT, QUIT: stop gracefully. Called again for each further one. */
  stop(signal: Deno.Signal): void;
  /** HUP: start afresh without closing the port. A HUP that means the terminal is gone calls `stop`. */
  restart(): void;
  /** USR1: start new log files. */
  rotate(): void;
}

const STOPPING: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGTERM", "SIGINT", "SIGQUIT"];

/** Numbers of the signals, for exit codes of a process ended by a second one. */
const NUMBERS: Partial<Record<Deno.Signal, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGTERM: 15,
};

/** Exit code of a process that a signal ended at once: 128 and its number, as shells count. */
export function exitCodeOf(signal: Deno.Signal): number {
  return 128 + (NUMBERS[signal] ?? 15);
}

/** Listens until the returned function is called. */
export function onSignals(actions: SignalActions): () => void {
  const listeners = new Map<Deno.Signal, () => void>();
  for (const signal of STOPPING) listeners.set(signal, () => actions.stop(signal));
  if (Deno.build.os !== "windows") {
    const hadTerminal = Deno.stdin.isTerminal();
    listeners.set("SIGHUP", () => {
      if (hadTerminal && !hasTerminal()) actions.stop("SIGHUP");
      else actions.restart();
    });
    listeners.set("SIGUSR1", rotation(actions));
  }
  return listen(listeners);
}

/** Starts new log files, and takes back what the runtime does on the same signal. */
function rotation(actions: Pick<SignalActions, "rotate">): () => void {
  const wanted = startedWithDebugger();
  return () => {
    if (!wanted) {
      closeDebugger().then((closed) => {
        if (!closed) return;
        wac.logger.get("server").log(
          "the debugger that SIGUSR1 opens in this runtime is closed again",
        );
      }).catch((error) => wac.logger.get("server").trace(error));
    }
    actions.rotate();
  };
}

/** A terminal that was closed sends the same signal as somebody who wants a restart. */
function hasTerminal(): boolean {
  try {
    Deno.openSync("/dev/tty").close();
    return true;
  } catch {
    // Whatever the reason, there is no terminal to be had.
    return false;
  }
}

/**
 * Signals of an engine process. Those a terminal sends to the whole process group are the supervisor's
 * to answer; a TERM sent to this very process stops it.
 */
export function onEngineSignals(actions: Omit<SignalActions, "restart">): () => void {
  return listen(
    new Map<Deno.Signal, () => void>([
      ["SIGTERM", () => actions.stop("SIGTERM")],
      ["SIGUSR1", rotation(actions)],
      ["SIGINT", () => {}],
      ["SIGQUIT", () => {}],
      ["SIGHUP", () => {}],
    ]),
  );
}

function listen(listeners: ReadonlyMap<Deno.Signal, () => void>): () => void {
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  };
}
