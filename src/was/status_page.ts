/**
 * What a worker knows of the server, as an object or as a page.
 *
 * @module
 */

import { VERSION } from "../core/version.ts";
import { resultCache } from "./kept_outcome.ts";
import { sharedState } from "./shared.ts";
import { escapeHtml } from "./utilities.ts";
import { wac } from "./wac.ts";

/** Name of a section. */
export type StatusSection =
  | "server"
  | "workers"
  | "clusters"
  | "caches"
  | "sockets"
  | "environment";

/** Sections of the status, in this order. */
export const STATUS_SECTIONS: readonly StatusSection[] = [
  "server",
  "workers",
  "clusters",
  "caches",
  "sockets",
  "environment",
];

/**
 * Facts of the server, by section. Neither credentials nor environment variables are among them.
 *
 * @throws {TypeError} for a section there is none of.
 */
export function serverStatus(filter = ""): Partial<Record<StatusSection, unknown>> {
  const wanted = filter.split(",").map((one) => one.trim()).filter((one) => one !== "");
  for (const one of wanted) {
    if ((STATUS_SECTIONS as readonly string[]).includes(one)) continue;
    throw new TypeError(
      `Cannot show the status of ${JSON.stringify(one)}; there are ${STATUS_SECTIONS.join(", ")}`,
    );
  }
  const status: Partial<Record<StatusSection, unknown>> = {};
  for (const name of STATUS_SECTIONS) {
    if (wanted.length === 0 || wanted.includes(name)) status[name] = SECTIONS[name]();
  }
  return status;
}

const SECTIONS: Readonly<Record<StatusSection, () => unknown>> = {
  server: () => ({
    version: VERSION,
    startedAt: new Date(sharedState().startedAt).toISOString(),
    uptimeSeconds: Math.floor((Date.now() - sharedState().startedAt) / 1000),
    worker: wac.workerId,
    workers: wac.workers,
    threads: wac.numthreads,
    ...wac.counters?.status().total,
  }),
  workers: () =>
    [...wac.counters?.status().workers ?? []].map(([index, counts]) => ({
      worker: wac.workers === 1 ? wac.workerId : `W${index}`,
      ...counts,
    })),
  clusters: () =>
    wac.clusters.status().flatMap(({ name, type, members, repeats }) =>
      members.map((member) => ({ name, type, ...member, ...repeats }))
    ),
  caches: () => ({ results: resultCache.status, responses: wac.responseCacheStatus?.() ?? "off" }),
  sockets: () => wac.backends.stats(),
  environment: () => ({
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    os: `${Deno.build.os} ${Deno.build.arch}`,
    pid: Deno.pid,
    memory: Deno.memoryUsage(),
  }),
};

/** The status as a page. */
export function statusPage(filter = ""): string {
  const parts = Object.entries(serverStatus(filter)).map(([name, facts]) =>
    `<h2>${escapeHtml(name)}</h2>\n${table(facts)}`
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Status</title><style>
body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}
table{border-collapse:collapse;margin:0 0 1.5em}th,td{border:1px solid #ccc;padding:.2em .6em;
text-align:left;vertical-align:top}th{background:#f3f3f3}td table{margin:0}
</style></head><body><h1>Status</h1>
${parts.join("\n")}
</body></html>
`;
}

function table(facts: unknown): string {
  if (Array.isArray(facts)) {
    const rows = facts as Record<string, unknown>[];
    if (rows.length === 0) return "<p>None.</p>";
    const columns = Object.keys(rows[0]!);
    const head = columns.map((name) => `<th>${escapeHtml(name)}</th>`).join("");
    const body = rows.map((row) =>
      `<tr>${columns.map((name) => `<td>${cell(row[name])}</td>`).join("")}</tr>`
    ).join("\n");
    return `<table><tr>${head}</tr>\n${body}</table>`;
  }
  const rows = Object.entries(facts as Record<string, unknown>).map(([name, value]) =>
    `<tr><th>${escapeHtml(name)}</th><td>${cell(value)}</td></tr>`
  );
  return `<table>${rows.join("\n")}</table>`;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? table(value) : escapeHtml(String(value));
}
