/**
 * Hands the connections of a shared port over from sockets that are about to be closed.
 *
 * A socket that is closed takes along every connection that waits in its queue, and those whose handshake
 * is under way; and a server that stops ends connections on which it has read nothing yet. While its port
 * is shared the kernel goes on giving it such connections until the very end. So before a socket is
 * closed, new connections are led to others, and it stays open for another moment.
 *
 * @module
 */

import { asError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { type ListeningSocket, listeningSockets, ownDescriptors } from "./listening_sockets.ts";
import { SocketChoice } from "./socket_choice.ts";

/**
 * How long one that is replaced goes on accepting, in milliseconds. Connections that were opened before
 * the handover have this time for the first bytes of their first request.
 */
export const HANDOVER_MS = 1000;

/** How often to look whether the sockets of the other engine are closed. */
const LOOK_MS = 50;
/** An engine that has not closed its sockets by then hangs. */
const MAX_LOOKS = 20 * 60;
const REFUSED = "the kernel does not let the server choose which socket gets them";

/** The handovers of a process. */
export class Handover {
  readonly #ports: readonly number[];
  readonly #log: Log;
  #isToldWhyNot = false;

  /** For the ports that this process listens on. */
  constructor(ports: readonly number[], log: Log) {
    this.#ports = ports;
    this.#log = log;
  }

  /**
   * To be called when this process listens: where others do, too, they are about to be replaced, and new
   * connections come here from now on. When theirs are closed all own sockets get their share, and the
   * promise resolves; at once where there is nothing to hand over, or no means to.
   */
  async fromOthers(): Promise<void> {
    let others: readonly ListeningSocket[] = [];
    this.#attempt((choice, sockets, own) => {
      others = sockets.filter(({ inode }) => !own.has(inode));
      for (const { fd, foreign } of places(sockets, own).values()) {
        // Those of others have begun before. The first own one keeps its position longest.
        if (foreign > 0 && !choice.prefer(fd, foreign)) this.#tellWhyNot(REFUSED);
      }
    });
    if (others.length === 0) return;
    await this.#closed(others);
    this.#divide();
  }

  /**
   * To be called when one more socket of this process listens, the last one so far, which takes the place
   * of another: new connections go to it, until the returned function is called.
   */
  toNewest(): () => void {
    this.#attempt((choice, sockets, own) => {
      for (const { fd, total } of places(sockets, own).values()) {
        if (total > 1 && !choice.prefer(fd, total - 1)) this.#tellWhyNot(REFUSED);
      }
    });
    return () => this.#divide();
  }

  /** Resolves when none of the sockets is open any more. */
  async #closed(others: readonly ListeningSocket[]): Promise<void> {
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      await new Promise<void>((resolve) => Deno.unrefTimer(setTimeout(resolve, LOOK_MS)));
      const open = new Set(listeningSockets(this.#ports).map(({ inode }) => inode));
      if (!others.some(({ inode }) => open.has(inode))) return;
    }
  }

  #divide(): void {
    this.#attempt((choice, sockets, own) => {
      for (const { fd, foreign } of places(sockets, own).values()) {
        // With others again there, a next engine is about to take over, and it has chosen.
        if (foreign === 0) choice.divide(fd);
      }
    });
  }

  #attempt(
    act: (
      choice: SocketChoice,
      sockets: readonly ListeningSocket[],
      own: ReadonlyMap<string, number>,
    ) => void,
  ): void {
    try {
      const opened = SocketChoice.open();
      if (typeof opened === "string") return this.#tellWhyNot(opened);
      using choice = opened;
      const sockets = listeningSockets(this.#ports);
      act(choice, sockets, ownDescriptors(sockets));
    } catch (error) {
      this.#tellWhyNot(asError(error).message);
    }
  }

  #tellWhyNot(why: string): void {
    if (this.#isToldWhyNot) return;
    this.#isToldWhyNot = true;
    this.#log.log(
      `connections that are opened in the moment of a replacement may be dropped: ${why}`,
      "warn",
    );
  }
}

/** What is known of the sockets of one place. */
interface Place {
  /** An own one. */
  readonly fd: number;
  /** How many belong to other processes. */
  readonly foreign: number;
  /** How many there are. */
  readonly total: number;
}

/** By place, those where this process has a socket. */
function places(
  sockets: readonly ListeningSocket[],
  own: ReadonlyMap<string, number>,
): Map<string, Place> {
  const found = new Map<string, Place>();
  for (const { place, inode } of sockets) {
    const fd = own.get(inode);
    if (fd === undefined || found.has(place)) continue;
    const here = sockets.filter((socket) => socket.place === place);
    const foreign = here.filter((socket) => !own.has(socket.inode)).length;
    found.set(place, { fd, foreign, total: here.length });
  }
  return found;
}
