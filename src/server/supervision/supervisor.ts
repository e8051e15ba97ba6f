/**
 * The supervisor: starts engine processes, replaces them, and passes signals on. It runs no app code.
 *
 * @module
 */

import { isDevel } from "../../core/environment.ts";
import type { Log } from "../../core/log.ts";
import { wac } from "../../was/wac.ts";
import { setProcessTitle } from "../process_title.ts";
import { openLogs } from "../open_logs.ts";
import type { RunSettings } from "../run_settings.ts";
import {
  DEFAULT_GRACE_SECONDS,
  EXIT_NORMAL,
  EXIT_RESTART,
  graceMs,
  type Server,
  type WorkerInfo,
} from "../server.ts";
import type { Service } from "../service.ts";
import { exitCodeOf, onSignals } from "../signals.ts";
import type { StartError } from "../start_failure.ts";
import { onUncaught } from "../uncaught.ts";
import { Backoff } from "./backoff.ts";
import { type EngineEvents, EngineHandle, type EngineReady } from "./engine_handle.ts";
import { HANDOVER_MS } from "./handover.ts";
import { ReloadWatch } from "./reload_watch.ts";

const DEFAULT_GRACE_MS = DEFAULT_GRACE_SECONDS * 1000;
/** Milliseconds the hooks before a reload may take. */
const BEFORE_RELOAD_MS = 10_000;

/** Milliseconds after which a next replacement does not wait for a handover any longer. */
const TAKEOVER_MS = 5000;

/** Facts about a running supervisor, for the instance file. */
export interface SupervisorFacts {
  /** Process id of the engine. */
  readonly enginePid: number;
  /** Address in use. */
  readonly address: string;
  /** Port in use. */
  readonly port: number;
  /** The workers. */
  readonly workers: readonly WorkerInfo[];
}

/** What the launcher adds to a supervisor. */
export interface SupervisorHooks {
  /** The facts have changed. */
  changed?(facts: SupervisorFacts): void;
  /** Everything has stopped; the process ends after this. */
  stopped?(): void;
}

/** Starts a supervised service. @throws {StartError} when the first engine cannot start. */
export async function runSupervisor(
  service: Service,
  settings: RunSettings,
  hooks: SupervisorHooks = {},
): Promise<Server> {
  wac.logger = openLogs(service, settings, true, false);
  wac.workerId = "M";
  const port = claimPort(settings.address, settings.port);
  const supervisor = new Supervisor(settings, port, hooks);
  await supervisor.start();
  return supervisor;
}

/**
 * Finds out that nobody listens on the port, and chooses one where none is given. Engines share their
 * port, so without this look two services on one port would divide its connections between them.
 */
function claimPort(hostname: string, port: number): number {
  using listener = Deno.listen({ hostname, port });
  return listener.addr.port;
}

/** What is done about the engine at a time; the next waits. */
interface Replacement {
  readonly reason: string;
  readonly drainMs: number;
  /** The engine that asks for it itself, because it cannot go on as it is. */
  readonly unasked?: EngineHandle;
  /** What a successor has read that starts already is out of date. */
  readonly outdates?: boolean;
}

class Supervisor implements Server {
  readonly port: number;
  #settings: RunSettings;
  #hooks: SupervisorHooks;
  #log: Log = wac.logger.get("server");
  #current: EngineHandle | undefined;
  #engines = new Set<EngineHandle>();
  #backoff = new Backoff();
  #wait: ReturnType<typeof setTimeout> | undefined;
  #replacing: Promise<void> | undefined;
  /** Ends the pause before a replacement. */
  #unpause: () => void = () => {};
  /** What somebody has asked for last. */
  #next: Replacement | undefined;
  /** What an engine has asked for itself. */
  #needed: Replacement | undefined;
  /** The one that starts in order to take the place of the current one. */
  #successor: EngineHandle | undefined;
  /** A successor that was not waited for. */
  #abandoned: EngineHandle | undefined;
  #takeover: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #finished = Promise.withResolvers<number>();
  #release: () => void = () => {};
  #watch: ReloadWatch;

  constructor(settings: RunSettings, port: number, hooks: SupervisorHooks) {
    this.#settings = settings;
    this.port = port;
    this.#hooks = hooks;
    this.#watch = new ReloadWatch({
      changed: (paths) =>
        this.#replace({
          reason: `${paths[0]} has changed`,
          drainMs: DEFAULT_GRACE_MS,
          outdates: true,
        }),
      failed: (error) => this.#log.trace(error),
    });
  }

  get address(): string {
    return this.#settings.address;
  }

  get workers(): readonly WorkerInfo[] {
    return this.#current?.workers ?? [];
  }

  get exitCode(): number {
    return EXIT_NORMAL;
  }

  get finished(): Promise<number> {
    return this.#finished.promise;
  }

  async start(): Promise<void> {
    // What the script has left running in this process must not end it.
    const unguard = onUncaught((error) => this.#log.trace(error));
    const unsignal = onSignals({
      stop: (signal) => this.#onStopSignal(signal),
      restart: () => void this.#replace({ reason: "SIGHUP", drainMs: DEFAULT_GRACE_MS }),
      rotate: () => {
        wac.logger.rotate();
        for (const engine of this.#engines) engine.rotate();
      },
    });
    this.#release = () => {
      unsignal();
      unguard();
    };
    const engine = this.#spawn(false, false, true);
    this.#current = engine;
    setProcessTitle("master");
    try {
      this.#onReady(engine, await engine.ready);
    } catch (error) {
      // A signal has ended the start; the process follows when everything is down.
      if (this.#stopping) return await new Promise(() => {});
      this.#release();
      throw error;
    }
  }

  async shutdown(timeoutSeconds: number = DEFAULT_GRACE_SECONDS): Promise<void> {
    await this.#stop(graceMs(timeoutSeconds));
    this.#release();
  }

  #spawn(reloaded: boolean, takesOver = false, isFirst = false): EngineHandle {
    const { daemon } = this.#settings;
    // Whoever asks for another one keeps what there is; one that is needed starts with what it can.
    const mayMiss = reloaded ? this.#current?.missing : undefined;
    const start = { port: this.port, reloaded, mayMiss, takesOver, daemon, isFirst };
    const engine = new EngineHandle(start, this.#events);
    this.#engines.add(engine);
    return engine;
  }

  #events: EngineEvents = {
    changed: (engine) => {
      if (engine === this.#current) this.#tell();
    },
    hung: (engine, seconds) => {
      this.#log.log(`engine process ${engine.pid} has not responded for ${seconds} s`, "error");
    },
    replace: (engine, reason, drainMs = DEFAULT_GRACE_MS) => {
      if (engine === this.#current) void this.#replace({ reason, drainMs, unasked: engine });
    },
    ended: (engine, reason, asked) => {
      this.#engines.delete(engine);
      const served = engine.servedMs;
      // A first start that fails is for `start`, a replacement that fails for `#replace`.
      if (engine !== this.#current || asked || this.#stopping || served === 0) return;
      const restart = engine.exitCode === EXIT_RESTART;
      const what = restart ? "asked to be started again" : `ended: ${reason}`;
      // Two that start would both go on serving.
      if (this.#successor !== undefined) {
        this.#log.log(
          `engine process ${engine.pid} ${what}; its successor starts already`,
          "error",
        );
      } else {
        this.#respawn(what, this.#backoff.next(served), engine.pid);
      }
    },
  };

  /** Starts an engine where none is left, again and again until one serves. */
  #respawn(what: string, waitMs: number, pid: number): void {
    const when = waitMs === 0 ? "at once" : `in ${waitMs / 1000} s`;
    this.#log.log(`engine process ${pid} ${what}; another one starts ${when}`, "error");
    this.#current = undefined;
    this.#wait = setTimeout(async () => {
      const engine = this.#spawn(false);
      this.#current = engine;
      try {
        this.#onReady(engine, await engine.ready);
      } catch (error) {
        if (this.#stopping) return;
        const { text, stack } = (error as StartError).failure;
        if (stack !== "") this.#log.log(stack, "expt");
        this.#respawn(`did not start: ${text}`, this.#backoff.next(0), engine.pid);
      }
    }, waitMs);
  }

  /** Puts a new engine in the place of the running one, which goes on until the new one serves. */
  #replace(replacement: Replacement): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    if (replacement.unasked !== undefined) {
      this.#needed = replacement;
    } else {
      // Whatever it was that made it necessary, the last word counts: files may have changed again.
      this.#next = replacement;
      this.#unpause();
      const successor = this.#successor;
      // It may even be the change without which that one would start for ever.
      if (successor !== undefined && (replacement.outdates || successor.isSlowToStart)) {
        this.#abandoned = successor;
        void successor.stop(0);
        successor.kill();
      }
    }
    return this.#replacing ??= this.#replaceAll().finally(() => this.#replacing = undefined);
  }

  async #replaceAll(): Promise<void> {
    let started = true;
    for (;;) {
      const job = this.#next ?? this.#stillNeeded();
      if (job === undefined || this.#stopping) return;
      this.#next = undefined;
      started = await this.#replaceOnce(job, started);
    }
  }

  /** An engine that cannot go on as it is asks once, whatever becomes of its successors. */
  #stillNeeded(): Replacement | undefined {
    const engine = this.#needed?.unasked;
    if (engine === undefined || engine !== this.#current || !engine.serving) {
      this.#needed = undefined;
    }
    return this.#needed;
  }

  /** False when the successor did not start, as the one before may have. */
  async #replaceOnce(
    { reason, drainMs, unasked }: Replacement,
    started: boolean,
  ): Promise<boolean> {
    const old = this.#current;
    // Without an engine there is one on its way already, and it will be a fresh one.
    if (old === undefined) return true;
    // One that starts may have read what has changed since. What becomes of its failure is settled elsewhere.
    await old.ready.catch(() => {});
    if (this.#stopping || !old.serving) return true;
    this.#log.log(`engine process ${old.pid} is replaced: ${reason}`, unasked ? "error" : "info");
    if (unasked) await this.#pause(this.#backoff.next(started ? old.servedMs : 0));
    else await old.beforeReload(BEFORE_RELOAD_MS);
    // Connections are handed over from one engine at a time.
    await this.#takeover;
    if (this.#stopping || old !== this.#current) return true;
    // Somebody has asked for it in the meantime, and is not to wait.
    if (unasked && this.#next) return started;
    const engine = this.#spawn(unasked === undefined, true);
    this.#successor = engine;
    try {
      const ready = await engine.ready;
      if (this.#stopping || !engine.serving) return true;
      this.#current = engine;
      this.#onReady(engine, ready);
      // Not waited for: the next replacement may start while this one drains.
      void old.stop(drainMs, HANDOVER_MS);
      this.#takeover = engine.tookOver(TAKEOVER_MS);
      return true;
    } catch (error) {
      if (this.#stopping) return true;
      if (engine === this.#abandoned && old.serving) return true;
      const { text, stack } = (error as StartError).failure;
      if (stack !== "") this.#log.log(stack, "expt");
      if (old.serving) {
        this.#log.log(
          `engine process ${old.pid} stays, its successor did not start: ${text}`,
          "error",
        );
        return false;
      }
      this.#respawn(`did not start: ${text}`, this.#backoff.next(0), engine.pid);
      return true;
    } finally {
      this.#successor = undefined;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#unpause = resolve;
      this.#wait = setTimeout(resolve, ms);
    });
  }

  #onReady(engine: EngineHandle, ready: EngineReady): void {
    if (isDevel()) {
      this.#watch.watch(ready.watched).catch((error) => this.#log.trace(error));
    }
    this.#log.log(
      `serving on ${ready.address} port ${ready.port}, ` +
        `${ready.workers.length} worker(s) in engine process ${engine.pid}`,
    );
    this.#tell();
  }

  #tell(): void {
    const engine = this.#current;
    if (engine === undefined) return;
    try {
      this.#hooks.changed?.({
        enginePid: engine.pid,
        address: this.address,
        port: this.port,
        workers: engine.workers,
      });
    } catch (error) {
      // On a full disk, say. What serves does so whether or not the status can tell.
      this.#log.trace(error, "status");
    }
  }

  #onStopSignal(signal: Deno.Signal): void {
    if (this.#stopping !== undefined) {
      for (const engine of this.#engines) engine.kill();
      this.#tellStopped();
      Deno.exit(exitCodeOf(signal));
    }
    this.#log.log(`${signal}: stopping`);
    void this.#stop(DEFAULT_GRACE_MS).finally(() => {
      this.#tellStopped();
      setTimeout(() => Deno.exit(EXIT_NORMAL), 0);
    });
  }

  #tellStopped(): void {
    try {
      this.#hooks.stopped?.();
    } catch (error) {
      // Files that cannot be removed, on a disk that has become read-only, must not keep the process.
      this.#log.trace(error);
    }
  }

  #stop(grace: number): Promise<void> {
    return this.#stopping ??= (async () => {
      clearTimeout(this.#wait);
      this.#watch.stop();
      await Promise.all([...this.#engines].map((engine) => engine.stop(grace)));
      this.#finished.resolve(EXIT_NORMAL);
    })();
  }
}
