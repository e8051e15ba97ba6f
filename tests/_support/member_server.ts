/**
 * Web servers for tests of balancing: real processes that can be killed, paused and started again.
 *
 * @module
 */

import { freePort } from "./free_port.ts";
import { ServerProcess } from "./server_process.ts";

/** Answers with the port, waits `?ms=`, gives the status `?code=`, counts at `/count`. */
const SOURCE = `
import http.server, socketserver, sys, threading, time, urllib.parse
port = int(sys.argv[1]); delay = float(sys.argv[2]); counts = {}
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        u = urllib.parse.urlsplit(self.path); q = dict(urllib.parse.parse_qsl(u.query))
        counts[self.command] = counts.get(self.command, 0) + (u.path != "/count" and u.path != "/health")
        time.sleep(delay if u.path != "/count" else 0)
        time.sleep(float(q.get("ms", 0)) / 1000)
        text = str(counts.get(q.get("method", "GET"), 0)) if u.path == "/count" else str(port)
        data = text.encode()
        self.send_response(int(q.get("code", 200)))
        self.send_header("content-type", "text/plain"); self.send_header("content-length", str(len(data)))
        self.end_headers(); self.wfile.write(data)
    do_GET = do_POST = do_PUT = do_DELETE = do
class S(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True; request_queue_size = 128
S(("127.0.0.1", port), H).serve_forever()
`;

/** A running member. */
export interface MemberServer extends AsyncDisposable {
  /** Host and port. */
  readonly node: string;
  /** Port, which is also what it answers. */
  readonly port: string;
  /** The process. */
  readonly process: ServerProcess;
}

/** Starts a server. @param delay Seconds before each answer. */
export async function startMember(delay = 0): Promise<MemberServer> {
  const directory = await Deno.makeTempDir({ prefix: "skitai-member-" });
  const port = freePort();
  await Deno.writeTextFile(`${directory}/server.py`, SOURCE);
  const args = [`${directory}/server.py`, String(port), String(delay)];
  const process = await ServerProcess.start({ program: "python3", args, directory, port });
  return {
    node: `127.0.0.1:${port}`,
    port: String(port),
    process,
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}
