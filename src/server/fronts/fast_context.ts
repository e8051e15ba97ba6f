/**
 * The context of a request on the `fast` front.
 *
 * @module
 */

import { type Completion, hostnameOf, type HttpVersion } from "../../core/context.ts";
import { FrontContext, type FrontShare } from "./front_context.ts";
import { peekHeader } from "./header_peek.ts";
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
  #peerAddress: Deno.NetAddr | undefined = undefined;
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
    return plainAddress(this.#peer.hostname);
  }

  override get remotePort(): number {
    return this.#peer.port;
  }

  override get connectionId(): number {
    return this.#connectionId ||= this.share.peers.numberOf(this.#peer);
  }

  override get httpVersion(): HttpVersion {
    // HTTP/2 sends :authority instead, and the front refuses HTTP/1.1 without Host.
    return this.host === null ? "2.0" : "1.1";
  }

  override get authority(): string {
    const { host, address, targetStart } = this;
    const start = authorityStart(address);
    // A target with a host of its own counts instead of the header.
    return host !== null && targetStart === start + host.length && address.startsWith(host, start)
      ? host
      : address.slice(start, targetStart);
  }

  override get hostname(): string {
    return hostnameOf(this.authority);
  }

  /** Value of a request header, without asking for all of them. */
  header(name: string): string | null {
    return peekHeader(this.#req, name);
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

  /** Kept, since the runtime puts it together anew each time it is asked. */
  get #peer(): Deno.NetAddr {
    return this.#peerAddress ??= this.#info.remoteAddr;
  }

  protected override get address(): string {
    return this.#req.url;
  }

  protected override get targetStart(): number {
    const url = this.#req.url;
    const start = url.indexOf("/", authorityStart(url));
    return start === -1 ? url.length : start;
  }
}

/** Where the authority begins. The scheme of an address that the client has sent need not be ours. */
function authorityStart(url: string): number {
  return url.indexOf("//") + 2;
}

/** Connections known at once; beyond that the oldest are forgotten and would get a new number. */
const MAX_PEERS = 16_384;

/**
 * Numbers for connections, told apart by address and port of the peer, since the runtime says nothing
 * else about them. A port that a peer uses again soon may get its old number.
 */
export class PeerNumbers {
  readonly #hosts = new Map<string, Map<number, number>>();
  readonly #next: () => number;
  #size = 0;
  #lastHost = "";
  #lastPorts: Map<number, number> | undefined;

  /** New numbers come from `next`. */
  constructor(next: () => number) {
    this.#next = next;
  }

  /** Number of the connection from that peer. */
  numberOf({ hostname, port }: Deno.NetAddr): number {
    const ports = this.#portsOf(hostname);
    let number = ports.get(port);
    if (number === undefined) {
      if (this.#size >= MAX_PEERS) this.#forgetOldest();
      number = this.#next();
      ports.set(port, number);
      this.#size++;
    }
    return number;
  }

  /** Behind a proxy all connections are of one host: it is looked up once. */
  #portsOf(hostname: string): Map<number, number> {
    if (this.#lastPorts !== undefined && hostname === this.#lastHost) return this.#lastPorts;
    let ports = this.#hosts.get(hostname);
    if (ports === undefined) this.#hosts.set(hostname, ports = new Map());
    this.#lastHost = hostname;
    return this.#lastPorts = ports;
  }

  #forgetOldest(): void {
    for (const [hostname, ports] of this.#hosts) {
      for (const port of ports.keys()) {
        ports.delete(port);
        this.#size--;
        break;
      }
      // The one that is being asked for was looked up before and must stay in the map.
      if (ports.size === 0 && ports !== this.#lastPorts) this.#hosts.delete(hostname);
      return;
    }
  }
}
