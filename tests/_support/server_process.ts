/**
 * A real server of a test: started on a free loopback port in a directory of its own, paused,
 * killed, started again on the same port, and gone at the end with all its children.
 *
 * @module
 */

const READY_MS = 60_000;

/** How to run a server. */
export interface ServerCommand {
  /** Program. */
  readonly program: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Working directory; its output goes to `server.log` there. */
  readonly directory: string;
  /** Port on 127.0.0.1 it opens. */
  readonly port: number;
  /** User to run as, for servers that refuse root. */
  readonly uid?: number;
  /** Group to run as. */
  readonly gid?: number;
  /** Resolves to true once it answers; a connection that opens is enough where this is left out. */
  readonly ready?: () => Promise<boolean>;
}

/** A running server. */
export class ServerProcess implements AsyncDisposable {
  readonly #command: ServerCommand;
  #child: Deno.ChildProcess | undefined;

  private constructor(command: ServerCommand) {
    this.#command = command;
  }

  /** Starts a server and waits until it takes connections. */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const server = new ServerProcess(command);
    await server.start();
    return server;
  }

  /** Starts it, again after a kill. */
  async start(): Promise<void> {
    const { program, args, directory, uid, gid, port } = this.#command;
    const log = `${directory}/server.log`;
    this.#child = new Deno.Command("/bin/sh", {
      args: ["-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", log, program, ...args],
      cwd: directory,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      uid,
      gid,
    }).spawn();
    let ended = false;
    this.#child.status.then(() => ended = true);
    const ready = this.#command.ready ?? (() => accepts(port));
    const end = performance.now() + READY_MS;
    while (!await ready()) {
      if (ended || performance.now() > end) {
        const text = await Deno.readTextFile(log).catch(() => "");
        await this.kill();
        throw new Error(`${program} did not start on port ${port}:\n${text.slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** True between a start and a kill. */
  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Stops it where it stands: connections stay open and nothing is answered. */
  async pause(): Promise<void> {
    const family = await this.#processes();
    for (const pid of family) signal(pid, "SIGSTOP");
    // The signal is on its way: a thread that runs elsewhere may still answer.
    while (!(await Promise.all(family.map(standsStill))).every((stands) => stands)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Lets it go on. */
  async resume(): Promise<void> {
    for (const pid of await this.#processes()) signal(pid, "SIGCONT");
  }

  /** Ends it at once, with its children. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const family = await descendants(child.pid);
    signal(child.pid, "SIGKILL");
    for (const pid of family) signal(pid, "SIGKILL");
    await child.status;
    // their sockets close when they end, which is not at once
    while ((await Promise.all(family.map(runs))).includes(true)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Ends it, and starts it again on the same port. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#command.directory, { recursive: true });
  }

  async #processes(): Promise<number[]> {
    const { pid } = this.#child!;
    return [pid, ...await descendants(pid)];
  }
}

/** True when something takes connections on that port. */
export async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

async function runs(pid: number): Promise<boolean> {
  return !"ZX".includes(await stateIn(`/proc/${pid}/stat`));
}

/** True when every thread of a process is stopped, or gone. */
async function standsStill(pid: number): Promise<boolean> {
  const threads: string[] = [];
  try {
    for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) threads.push(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
  const states = await Promise.all(
    threads.map((thread) => stateIn(`/proc/${pid}/task/${thread}/stat`)),
  );
  return states.every((state) => "TtZX".includes(state));
}

/** State of a process or thread as one letter; empty when it is gone. */
async function stateIn(path: string): Promise<string> {
  const stat = await Deno.readTextFile(path).catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}

async function descendants(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  const children = text.split(" ").filter((word) => word !== "").map(Number);
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    // it has ended by itself
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
  }
}
