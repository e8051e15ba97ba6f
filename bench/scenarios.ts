/**
 * What is measured: each scenario compares ours with its peers and says what is wanted.
 *
 * @module
 */

import { load, median, residentMegabytes, rounds, start, type Subject } from "./harness.ts";
import { NODE_PEERS, type Peers } from "./peers.ts";

/** A line of the table. */
export interface Row {
  /** Who. */
  readonly subject: string;
  /** Median, with its unit. */
  readonly value: string;
  /** Ours divided by it, where it is a peer. */
  readonly ratio?: string;
  /** Processor time of a request. */
  readonly cpu?: string;
  /** That of the peer divided by ours: what the ratio would be if nothing else ran on the machine. */
  readonly cpuRatio?: string;
  /** What the ratio should be. */
  readonly wanted?: string;
}

/** Effort of a run. */
export interface Effort {
  /** Rounds that count. */
  readonly rounds: number;
  /** Seconds of a round. */
  readonly seconds: number;
}

/** One comparison. */
export interface Scenario {
  /** Name, the heading of its table. */
  readonly name: string;
  /** Measures. */
  readonly run: (effort: Effort, peers: Peers) => Promise<Row[]>;
}

export const skitai = (script: string, ...flags: string[]): readonly string[] => [
  "deno",
  "run",
  "-A",
  "--no-check",
  `subjects/${script}`,
  ...flags,
];
export const peer = (script: string): readonly string[] => [
  "deno",
  "run",
  "-A",
  "--no-check",
  `peers/${script}`,
];
export const node = (script: string): readonly string[] => ["node", `${NODE_PEERS}/${script}`];

/** None of the peers sends `Server`; what the header costs is shown beside them. */
export const LIKE_PEERS = "--no-server-header";

/** Compares rates of the first subject with the others. */
export async function compare(
  effort: Effort,
  ours: Subject,
  others: readonly (Subject & { wanted?: string })[],
  figure: "rate" | "megabytes" = "rate",
): Promise<Row[]> {
  const results = await rounds([ours, ...others], effort.rounds, { seconds: effort.seconds });
  const value = (name: string) => median(results.get(name)!.map((one) => one[figure]));
  const cpu = (name: string) => median(results.get(name)!.map((one) => one.cpuMicros));
  const unit = figure === "rate" ? "req/s" : "MB/s";
  const own = value(ours.name);
  const shown = (name: string) => `${Math.round(value(name))} ${unit}`;
  const cpuShown = (name: string) => `${cpu(name).toFixed(1)} µs`;
  return [
    { subject: ours.name, value: shown(ours.name), cpu: cpuShown(ours.name) },
    ...others.map(({ name, wanted }) => ({
      subject: name,
      value: shown(name),
      ratio: (own / value(name)).toFixed(2),
      cpu: cpuShown(name),
      cpuRatio: (cpu(name) / cpu(ours.name)).toFixed(2),
      wanted,
    })),
  ];
}

const bare: Subject = {
  name: "bare Deno.serve",
  command: peer("deno_plain.ts"),
  path: "/hello?x=1",
};
/** Path of the routes that answer JSON. */
export const JSON_PATH = "/episode/12?lang=fr";

/** A nginx with one worker that serves a directory. */
async function nginx(directory: string): Promise<Subject> {
  const conf = await Deno.makeTempFile({ suffix: ".conf" });
  const temp = await Deno.makeTempDir();
  await Deno.chmod(temp, 0o755);
  return {
    name: "nginx, one worker",
    command: [
      "sh",
      "-c",
      `cat >${conf} <<END
worker_processes 1; daemon off; pid ${temp}/pid; error_log stderr; user root;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  open_file_cache max=100;
  client_body_temp_path ${temp}; proxy_temp_path ${temp}; fastcgi_temp_path ${temp};
  uwsgi_temp_path ${temp}; scgi_temp_path ${temp};
  server { listen 127.0.0.1:{port}; root ${directory}; }
}
END
exec nginx -c ${conf}`,
    ],
  };
}

/** Files of known sizes. */
async function files(): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "bench-files-" });
  await Deno.chmod(directory, 0o755);
  const bytes = (size: number) => new Uint8Array(size).map((_, i) => 97 + i % 26);
  await Deno.writeFile(`${directory}/10k.bin`, bytes(10 * 1024));
  await Deno.writeFile(`${directory}/10m.bin`, bytes(10 * 1024 * 1024));
  await Deno.writeTextFile(`${directory}/index.html`, "<!doctype html>\n");
  return directory;
}

/** Everything `deno task bench` measures. */
export const scenarios: readonly Scenario[] = [
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
        ...(peers.node
          ? [{
            name: "Fastify on Node, its logger on",
            command: node("fastify.mjs"),
            path: JSON_PATH,
            wanted: "≥ 2.00",
          }]
          : []),
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
        ...(peers.node
          ? [{
            name: "@hono/node-server + Hono on Node",
            command: node("hono_node.mjs"),
            path: JSON_PATH,
            wanted: "≥ 1.00",
          }]
          : []),
      ]),
  },
  {
    name: "Static file of 10 KB",
    run: async (effort, peers) => {
      const directory = await files();
      const path = "/10k.bin";
      const ours = {
        name: "Skitai",
        command: skitai("static.ts"),
        path,
        env: { DIRECTORY: directory },
      };
      const other = peers.nginx ? [{ ...await nginx(directory), path, wanted: "≥ 1.00" }] : [];
      return await compare(effort, ours, other);
    },
  },
  {
    name: "Static file of 10 MB",
    run: async (effort, peers) => {
      const directory = await files();
      const path = "/10m.bin";
      const ours = {
        name: "Skitai",
        command: skitai("static.ts"),
        path,
        env: { DIRECTORY: directory },
      };
      const other = peers.nginx ? [{ ...await nginx(directory), path, wanted: "≥ 0.70" }] : [];
      return await compare(effort, ours, other, "megabytes");
    },
  },
  {
    name: "Five backends of 50 ms on one page",
    run: async (effort) => {
      await using page = await start({
        name: "Skitai",
        command: skitai("backends.ts"),
        path: "/page",
      });
      const times: number[] = [];
      for (let i = 0; i < effort.rounds * 10; i++) {
        const response = await fetch(`http://127.0.0.1:${page.port}/page`);
        const { took, slowest } = await response.json();
        if (i > 0) times.push(took / slowest);
      }
      const options = { connections: 64, path: "/page", seconds: effort.seconds };
      await load(page, options);
      const before = await residentMegabytes(page.pid);
      const rates: number[] = [];
      for (let i = 0; i < effort.rounds; i++) rates.push((await load(page, options)).rate);
      const after = await residentMegabytes(page.pid);
      return [
        {
          subject: "one page, its time ÷ that of its slowest backend",
          value: median(times).toFixed(3),
          wanted: "≤ 1.15",
        },
        { subject: "64 pages at a time", value: `${Math.round(median(rates))} pages/s` },
        {
          subject: "resident memory before and after that",
          value: `${before.toFixed(0)} → ${after.toFixed(0)} MB`,
          wanted: "no growth",
        },
      ];
    },
  },
  {
    name: "Two workers against one, 2 ms of CPU per request",
    run: async (effort) => {
      const path = "/";
      const rows = await compare(effort, {
        name: "two workers",
        command: skitai("burn.ts", "--workers=2"),
        path,
      }, [{ name: "one worker", command: skitai("burn.ts"), path, wanted: "≥ 1.80" }]);
      return rows;
    },
  },
  {
    name: "First answer after start, and idle memory",
    run: async (effort) => {
      const ours: Subject = { name: "Skitai, one process", command: skitai("plain.ts") };
      const other: Subject = { ...bare, path: "/" };
      const started = { ours: [] as number[], other: [] as number[] };
      const memory = { ours: [] as number[], other: [] as number[] };
      for (let i = 0; i <= effort.rounds; i++) {
        for (const [key, subject] of [["ours", ours], ["other", other]] as const) {
          await using running = await start(subject);
          await new Promise((resolve) => setTimeout(resolve, 500));
          if (i === 0) continue;
          started[key].push(running.startedAfterMs);
          memory[key].push(await residentMegabytes(running.pid));
        }
      }
      const row = (
        subject: string,
        values: { ours: number[]; other: number[] },
        unit: string,
        wanted: string,
      ): Row[] => [
        { subject: `Skitai, ${subject}`, value: `${median(values.ours).toFixed(0)} ${unit}` },
        {
          subject: `bare Deno.serve, ${subject}`,
          value: `${median(values.other).toFixed(0)} ${unit}`,
          ratio: (median(values.ours) / median(values.other)).toFixed(2),
          wanted,
        },
      ];
      return [
        ...row("first answer", started, "ms", "≤ 2.00"),
        ...row("idle memory", memory, "MB", "≤ 1.50"),
      ];
    },
  },
];
