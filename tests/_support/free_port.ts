/**
 * Ports for servers that cannot choose one themselves.
 *
 * @module
 */

/**
 * Beside the ports that the system gives to connections and to listeners without a port of their own:
 * one of those could have it between the moment it is chosen and the one it is opened.
 */
const [FIRST, END] = bounds();
/** Tests of the same user ask for ports, too; the one that makes the file has it. */
const DIRECTORY = `/tmp/skitai-test-ports-${Deno.uid()}`;
/** No test needs a port for longer; the files of those that ended are used again. */
const RESERVED_MS = 15 * 60_000;

/** A port of the loopback nobody listens on, and that no other test gets. */
export function freePort(): number {
  Deno.mkdirSync(DIRECTORY, { recursive: true });
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (END - FIRST));
    if (reserve(`${DIRECTORY}/${port}`) && isFree(port)) return port;
  }
}

function bounds(): [first: number, end: number] {
  const usual: [number, number] = [12_000, 32_000];
  let text: string;
  try {
    text = Deno.readTextFileSync("/proc/sys/net/ipv4/ip_local_port_range");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return usual;
    throw error;
  }
  const [low = 0, high = 0] = text.trim().split(/\s+/).map(Number);
  if (low >= 16_000) return [usual[0], Math.min(usual[1], low)];
  // where there is no room on either side, it has to be one of those
  return high <= 61_000 ? [high + 1, 65_536] : usual;
}

function reserve(file: string): boolean {
  try {
    Deno.openSync(file, { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  try {
    const { mtime } = Deno.statSync(file);
    // whoever finds it next makes it
    if (mtime!.getTime() < Date.now() - RESERVED_MS) Deno.removeSync(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return false;
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
