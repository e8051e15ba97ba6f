import { HttpClient } from "../../src/clients/http/client.ts";
import { rawBackend } from "../_support/raw_backend.ts";
import { clientSuite } from "./client_suite.ts";

clientSuite("HTTP client", "WAS-22 RES-08 RES-17", () => {
  let taken!: () => void;
  const underWay = new Promise<void>((resolve) => taken = resolve);
  const backend = rawBackend(async (conn) => {
    for (;;) {
      const request = await conn.request();
      if (request === undefined) return;
      if (request.head.startsWith("GET /fail")) return;
      if (request.head.startsWith("GET /hang")) {
        taken();
        return await conn.drained();
      }
      await conn.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    }
  });
  const client = new HttpClient();
  const to = (path: string) =>
    client.request({ method: "GET", url: `${backend.origin}${path}`, headers: [], body: null });
  return {
    client,
    succeed: () => to("/succeed"),
    fail: () => to("/fail"),
    hang: () => ({ send: to("/hang"), taken: underWay }),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
});
