import { deepEqual, equal, ok } from "node:assert/strict";
import { HttpClient } from "../../../src/clients/http/client.ts";
import type { Outcome } from "../../../src/clients/contract.ts";
import { freePort } from "../../_support/free_port.ts";
import { makeCertificates } from "../../_support/raw_backend.ts";

function get(client: HttpClient, url: string, caCerts?: string[]): Promise<Outcome> {
  const request = { method: "GET", url, headers: [], body: null, caCerts };
  return client.send(request, AbortSignal.timeout(20_000));
}

async function exists(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["-v"], stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs a server until the body is done; waits until it accepts connections. */
async function withServer(
  command: Deno.Command,
  port: number,
  body: () => Promise<void>,
): Promise<void> {
  const child = command.spawn();
  try {
    for (const end = performance.now() + 15_000;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        break;
      } catch (error) {
        if (performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    await body();
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
}

const required = Deno.env.get("SKITAI_REQUIRE_SERVICES") === "1";
const PAGE = "<p>page</p>\n".repeat(5000);

Deno.test({
  name: "WAS-13 WAS-21 WAS-22 nginx: gzip, chunks, keep-alive limits, TLS",
  ignore: !required && !await exists("nginx"),
  fn: async () => {
    const dir = await Deno.makeTempDir();
    const [port, tlsPort] = [freePort(), freePort()];
    const certificates = await makeCertificates();
    for (
      const [name, text] of Object.entries({ "c.pem": certificates.cert, k: certificates.key })
    ) {
      await Deno.writeTextFile(`${dir}/${name}`, text);
    }
    await Deno.writeTextFile(`${dir}/page.html`, PAGE);
    await Deno.writeTextFile(
      `${dir}/nginx.conf`,
      `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log;
      events {}
      http {
        access_log off; root ${dir}; types { text/html html; }
        client_body_temp_path ${dir}/a; proxy_temp_path ${dir}/b; fastcgi_temp_path ${dir}/c;
        uwsgi_temp_path ${dir}/d; scgi_temp_path ${dir}/e;
        gzip on; gzip_min_length 10; keepalive_requests 3;
        server {
          listen 127.0.0.1:${port};
          listen 127.0.0.1:${tlsPort} ssl;
          ssl_certificate ${dir}/c.pem; ssl_certificate_key ${dir}/k;
        }
      }`,
    );
    const command = new Deno.Command("nginx", {
      args: ["-c", `${dir}/nginx.conf`, "-p", dir],
      stdout: "null",
      stderr: "null",
    });
    await withServer(command, port, async () => {
      await using client = new HttpClient();
      const caCerts = [certificates.ca];
      for (const origin of [`http://127.0.0.1:${port}`, `https://127.0.0.1:${tlsPort}`]) {
        for (let i = 0; i < 7; i++) {
          const outcome = await get(client, `${origin}/page.html`, caCerts);
          equal(outcome.error, undefined);
          deepEqual([outcome.statusCode, outcome.headers.get("content-encoding")], [200, "gzip"]);
          equal(new TextDecoder().decode(outcome.content!), PAGE);
        }
        equal((await get(client, `${origin}/none`, caCerts)).statusCode, 404);
      }
      ok(client.stats().open <= 2);
    });
    await Deno.remove(dir, { recursive: true });
  },
});

Deno.test({
  name: "WAS-13 RES-14 python's http.server: HTTP/1.0, a body until the end of the connection",
  fn: async () => {
    const dir = await Deno.makeTempDir();
    await Deno.writeTextFile(`${dir}/page.html`, PAGE);
    const port = freePort();
    const command = new Deno.Command("python3", {
      args: ["-m", "http.server", String(port), "--bind", "127.0.0.1"],
      cwd: dir,
      stdout: "null",
      stderr: "null",
    });
    await withServer(command, port, async () => {
      await using client = new HttpClient();
      for (const path of ["/page.html", "/"]) {
        const outcome = await get(client, `http://127.0.0.1:${port}${path}`);
        deepEqual([outcome.statusCode, outcome.version], [200, "1.0"]);
        ok(new TextDecoder().decode(outcome.content!).includes(path === "/" ? "page.html" : PAGE));
      }
      equal((await get(client, `http://127.0.0.1:${port}/none`)).statusCode, 404);
    });
    await Deno.remove(dir, { recursive: true });
  },
});
