/**
 * A server that understands the commands of Redis and answers as a test wants: half, twice, too late
 * or not at all.
 *
 * @module
 */

import { RespParser } from "../../src/wire/resp.ts";
import { type RawBackend, rawBackend, type RawConnection } from "./raw_backend.ts";

/** A command as it came in, with the connection it came on. */
export interface ScriptedCommand {
  /** Name and values. */
  readonly parts: readonly string[];
  /** Number of the connection, from 1. */
  readonly connection: number;
  /** Sends bytes or text as they are. */
  send(data: string | Uint8Array): Promise<void>;
  /** Closes the connection. */
  close(): void;
}

/** A running server. */
export interface ScriptedRedis extends RawBackend {
  /** All commands but pings, in order, their parts separated by blanks. */
  readonly commands: readonly string[];
}

/** Starts a server. Pings, by which a client sees whether it is there, are answered without the script. */
export function scriptedRedis(
  answer: (command: ScriptedCommand) => Promise<void> | void,
): ScriptedRedis {
  const commands: string[] = [];
  const serve = async (conn: RawConnection): Promise<void> => {
    const parser = new RespParser();
    for (;;) {
      const bytes = await conn.read(1);
      if (bytes.length === 0) return;
      const parsed: string[][] = [];
      parser.push(bytes, (command) => void parsed.push(command as string[]));
      for (const parts of parsed) {
        if (parts[0] === "ping") {
          await conn.write("+PONG\r\n");
          continue;
        }
        commands.push(parts.join(" "));
        await answer({
          parts,
          connection: conn.number,
          send: (data) => conn.write(data),
          close: () => conn.close(),
        });
      }
    }
  };
  return Object.assign(rawBackend(serve), { commands });
}
