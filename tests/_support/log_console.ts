/**
 * A program that logs to the console. Arguments: the number of lines of the request log, and `exit`,
 * `throw` or `end` for the way it ends right after the last one.
 *
 * @module
 */

import { createLogger } from "../../src/store/logs.ts";

const [lines = "1", end = "end", directory] = Deno.args;
const logger = createLogger({ console: true, directory });
logger.get("app").log("an entry", "warn", "id");
const request = logger.lines("request");
for (let n = 0; n < Number(lines); n++) request.write(`line ${n} ${"x".repeat(n % 97)}.`);
if (end === "exit") Deno.exit(7);
if (end === "throw") throw new Error("uncaught");
