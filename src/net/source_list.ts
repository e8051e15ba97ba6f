/**
 * Lists of networks that may do something, as aliases have them.
 *
 * @module
 */

const NETWORK = /^(\d{1,3})(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?(?:\/(\d{1,2}))?$/;

/** Tells whether an address is in the list. */
export type SourceList = (address: string) => boolean;

/**
 * Reads a list such as `172.30.1.0/24,192.168.1/24,10.0.0.7`: IPv4 addresses and networks; trailing
 * octets of zero may be left out before a mask. The empty list holds every address.
 *
 * @throws {TypeError} naming the part that cannot be used.
 */
export function parseSources(text: string): SourceList {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length === 0) {
    // a list of nothing but commas is a mistake, and must not let everybody in
    if (text.trim() !== "") throw new TypeError(`${JSON.stringify(text)} names no source`);
    return () => true;
  }
  const networks = parts.map(parseNetwork);
  return (address) => {
    const number = toNumber(address);
    return number !== undefined &&
      networks.some(([network, mask]) => ((number & mask) >>> 0) === network);
  };
}

function parseNetwork(part: string): readonly [network: number, mask: number] {
  const match = NETWORK.exec(part);
  const octets = match?.slice(1, 5) ?? [];
  const short = octets.includes(undefined as never);
  const bits = match?.[5] === undefined ? 32 : Number(match[5]);
  if (
    match === null || bits > 32 || (short && match[5] === undefined) ||
    octets.some((octet) => Number(octet ?? 0) > 255)
  ) {
    throw new TypeError(
      `${JSON.stringify(part)} is no source: expected an IPv4 address or network, such as 10.1/16`,
    );
  }
  // a shift by 32 would be none
  const mask = bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
  const number = octets.reduce((sum, octet) => sum * 256 + Number(octet ?? 0), 0);
  return [(number & mask) >>> 0, mask];
}

/** An IPv4 address, also one written as IPv6; `undefined` for anything else. */
function toNumber(address: string): number | undefined {
  const plain = address.toLowerCase().startsWith("::ffff:") ? address.slice(7) : address;
  const octets = plain.split(".");
  if (octets.length !== 4) return undefined;
  let number = 0;
  for (const octet of octets) {
    if (!/^\d{1,3}$/.test(octet) || Number(octet) > 255) return undefined;
    number = number * 256 + Number(octet);
  }
  return number;
}
