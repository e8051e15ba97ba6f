/**
 * What is measured of the server itself: plain answers, files, workers, its start.
 *
 * @module
 */

import { buildProgram } from "../src/server/commands/build.ts";
import { HERE, median, start, type Subject } from "./harness.ts";
import { residentMegabytes } from "./memory.ts";
import {
  compare,
  JSON_PATH,
  LIKE_PEERS,
  missing,
  onNode,
  peer,
  readyText,
  type Row,
  type Scenario,
  skitai,
} from "./scenario.ts";
import { TemporaryDirectory } from "./temporary_directory.ts";

const bare: Subject = {
  name: "bare Deno.serve",
  command: peer("deno_plain.ts"),
  path: "/hello?x=1",
};
/** A nginx with one worker that serves a directory. */
const nginx = (directory: string): Subject => ({
  name: "nginx, one worker",
  command: [
    "sh",
    "-c",
    `cat >$TMPDIR/nginx.conf <<END
worker_processes 1; daemon off; pid $TMPDIR/pid; error_log stderr; user root;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  open_file_cache max=100;
  client_body_temp_path $TMPDIR; proxy_temp_path $TMPDIR; fastcgi_temp_path $TMPDIR;
  uwsgi_temp_path $TMPDIR; scgi_temp_path $TMPDIR;
  server { listen 127.0.0.1:{port}; root ${directory}; }
}
END
exec nginx -c $TMPDIR/nginx.conf`,
  ],
});

/** Compares with nginx what a file of that size takes. */
function staticFile(
  size: string,
  bytes: number,
  figure: "rate" | "megabytes",
  wanted: string,
): Scenario {
  return {
    name: `Static file of ${size}`,
    run: async (effort, peers) => {
      await using directory = await TemporaryDirectory.make();
      const path = "/file.bin";
      const text = new Uint8Array(bytes).map((_, i) => 97 + i % 26);
      await Deno.writeFile(directory.path + path, text);
      const env = { DIRECTORY: directory.path };
      const ours = { name: "Skitai", command: skitai("static.ts"), path, env };
      const other = nginx(directory.path);
      return await compare(effort, ours, [
        peers.nginx ? { ...other, path, wanted } : missing(other.name, "it is not installed"),
        readyText(bytes),
      ], figure);
    },
  };
}

/** Scenarios of the server. */
export const serverScenarios: readonly Scenario[] = [
  {
    name: "Plain text through a mounted fetch app, request log off",
    run: (effort) =>
      compare(effort, {
        name: "Skitai",
        command: skitai("plain.ts", LIKE_PEERS),
        path: bare.path,
      }, [
        { ...bare, wanted: "≥ 0.90" },
        { name: "Skitai with its Server header", command: skitai("plain.ts"), path: bare.path },
      ]),
  },
  {
    name: "Plain text through a mounted fetch app, request log to a file",
    run: (effort) =>
      compare(effort, {
        name: "Skitai",
        command: skitai("plain.ts", LIKE_PEERS, "--log"),
        path: bare.path,
      }, [{ ...bare, wanted: "≥ 0.70" }]),
  },
  {
    name: "JSON route with a typed path parameter and a query value, request log off",
    run: (effort) =>
      compare(effort, {
        name: "Skitai (Atila)",
        command: skitai("json.ts", LIKE_PEERS),
        path: JSON_PATH,
      }, [
        { name: "Hono on Deno", command: peer("hono_deno.ts"), path: JSON_PATH, wanted: "≥ 1.00" },
        { name: "bare Deno.serve", command: peer("deno_json.ts"), path: JSON_PATH },
        { name: "Skitai with its Server header", command: skitai("json.ts"), path: JSON_PATH },
      ]),
  },
  {
    name: "JSON route with a typed path parameter and a query value, request log to a file",
    run: (effort, peers) =>
      compare(effort, {
        name: "Skitai (Atila)",
        command: skitai("json.ts", LIKE_PEERS, "--log"),
        path: JSON_PATH,
      }, [
        {
          name: "Hono on Deno, no log",
          command: peer("hono_deno.ts"),
          path: JSON_PATH,
          wanted: "≥ 0.85",
        },
        onNode(peers, {
          name: "Fastify on Node, its logger on",
          path: JSON_PATH,
          wanted: "≥ 2.00",
        }, "fastify.mjs"),
      ]),
  },
  {
    name: "The same JSON route on the edge front, request log off",
    run: (effort, peers) =>
      compare(effort, {
        name: "Skitai (Atila), edge",
        command: skitai("json.ts", LIKE_PEERS, "--edge"),
        path: JSON_PATH,
      }, [
        {
          name: "@hono/node-server + Hono on Deno",
          command: peer("hono_node.mjs"),
          path: JSON_PATH,
          wanted: "≥ 1.00",
        },
        onNode(peers, {
          name: "@hono/node-server + Hono on Node",
          path: JSON_PATH,
          wanted: "≥ 1.00",
        }, "hono_node.mjs"),
      ]),
  },
  staticFile("10 KB", 10 * 1024, "rate", "≥ 1.00"),
  staticFile("10 MB", 10 * 1024 * 1024, "megabytes", "≥ 0.70"),
  {
    name: "Two workers against one, 2 ms of CPU per request",
    run: async (effort) => {
      const path = "/";
      return await compare(effort, {
        name: "two workers",
        command: skitai("burn.ts", "--workers=2"),
        path,
      }, [{ name: "one worker", command: skitai("burn.ts"), path, wanted: "≥ 1.80" }]);
    },
  },
  {
    name: "First answer after start, and idle memory",
    run: async (effort) => {
      await using directory = await TemporaryDirectory.make();
      const { main } = await buildProgram(`${HERE}subjects/plain.ts`, {
        outdir: `${directory.path}/program`,
      });
      const subjects: Subject[] = [
        { name: "Skitai", command: skitai("plain.ts") },
        { name: "Skitai, built by skitai build", command: ["deno", "run", "-A", main] },
        { ...bare, path: "/" },
      ];
      const started = subjects.map((): number[] => []);
      const memory = subjects.map((): number[] => []);
      // Each loads from the runtime's caches, which the first start fills.
      for (let i = 0; i <= effort.rounds * 3; i++) {
        for (const [at, subject] of subjects.entries()) {
          await using running = await start(subject);
          await new Promise((resolve) => setTimeout(resolve, 500));
          if (i === 0) continue;
          started[at]!.push(running.startedAfterMs);
          memory[at]!.push(await residentMegabytes(running.pid));
        }
      }
      const rows = (what: string, values: number[][], unit: string, wanted: string): Row[] => {
        const base = median(values.at(-1)!);
        return subjects.map(({ name }, at) => ({
          subject: `${name}: ${what}`,
          value: `${median(values[at]!).toFixed(0)} ${unit}`,
          ...(at === subjects.length - 1
            ? {}
            : { ratio: (median(values[at]!) / base).toFixed(2), wanted }),
        }));
      };
      return [
        ...rows("first answer", started, "ms", "≤ 2.00"),
        ...rows("idle memory", memory, "MB", "≤ 1.50"),
      ];
    },
  },
];
