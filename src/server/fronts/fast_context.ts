/**
 * The context of a request on the `fast` front.
 *
 * @module
 */

import { type Completion, hostnameOf, type HttpVersion } from "../../core/context.ts";
import { FrontContext, type FrontShare } from "./front_context.ts";
import { plainAddress } from "./request_rules.ts";

/** What the `fast` front lends to its contexts. */
export interface FastShare extends FrontShare {
  /** Numbers connections by their peers. */
  readonly peers: PeerNumbers;
}

/** Facts of a request that `Deno.serve` handed over. */
export class FastContext extends FrontContext {
  declare protected readonly share: FastShare;
  readonly #req: Request;
  readonly #info: Deno.ServeHandlerInfo<Deno.NetAddr>;
  #broken = false;
  #connectionId = 0;
  #completion: Promise<Completion> | undefined;

  /** `host` is the Host header, `null` where there is none. */
  constructor(
    share: FastShare,
    req: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
    readonly host: string | null,
  ) {
    super(share);
    this.#req = req;
    this.#info = info;
  }

  override get remoteAddr(): string {
    return plainAddress(this.#info.remoteAddr.hostname);
  }

  override get remotePort(): number {
    return this.#info.remoteAddr.port;
  }

  override get connectionId(): number {
    return this.#connectionId ||= this.share.peers.numberOf(this.#info.remoteAddr);
  }

  override get httpVersion(): HttpVersion {
    // HTTP/2 sends :authority instead, and the front refuses HTTP/1.1 without Host.
    return this.host === null ? "2.0" : "1.1";
  }

  override get hostname(): string {
    return hostnameOf(this.address.slice(this.share.scheme.length + 3, this.targetStart));
  }

  override get completion(): Promise<Completion> {
    return this.#completion ??= this.#info.completed.then(
      () => ({ delivered: !this.#broken }),
      () => ({ delivered: false }),
    );
  }

  /** The client left before the end of a stream, which the runtime takes for completed. */
  breakOff(): void {
    this.#broken = true;
  }

  protected override get address(): string {
    return this.#req.url;
  }

  protected override get targetStart(): number {
    const url = this.#req.url;
    const start = url.indexOf("/", this.share.scheme.length + 3);
    return start === -1 ? url.length : start;
  }
}

/** Connections known at once; beyond that the oldest are forgotten and would get a new number. */
const MAX_PEERS = 16_384;

/**
 * Numbers for connections, told apart by address and port of the peer, since the runtime says nothing
 * else about them. A port that a peer uses again soon may get its old number.
 */
export class PeerNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #next: () => number;

  /** New numbers come from `next`. */
  constructor(next: () => number) {
    this.#next = next;
  }

  /** Number of the connection from that peer. */
  numberOf(peer: Deno.NetAddr): number {
    const key = `${peer.hostname} ${peer.port}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#next();
      this.#numbers.set(key, number);
      if (this.#numbers.size > MAX_PEERS) {
        for (const oldest of this.#numbers.keys()) {
          this.#numbers.delete(oldest);
          break;
        }
      }
    }
    return number;
  }
}
