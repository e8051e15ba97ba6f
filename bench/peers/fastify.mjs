import { pino } from "pino";
import Fastify from "fastify";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";

const file = `${mkdtempSync(`${tmpdir()}/fastify-`)}/request.log`;
const app = Fastify({ loggerInstance: pino(pino.destination({ dest: file, sync: false })) });
app.get("/episode/:id", (req) => ({
  id: Number(req.params.id),
  lang: req.query.lang ?? "en",
  title: "The one",
}));
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
