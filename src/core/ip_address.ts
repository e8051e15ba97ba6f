/**
 * Tells addresses from names without `node:net`, which takes as long to load as a small service to start.
 *
 * @module
 */

const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const IPV6_CHARACTERS = /^[0-9a-f:.]+$/i;

/** True for an IPv4 address in its usual form, four numbers without leading zeros. */
export function isIPv4(text: string): boolean {
  return IPV4.test(text);
}

/** True for an IPv6 address without brackets and zone. */
export function isIPv6(text: string): boolean {
  return text.includes(":") && IPV6_CHARACTERS.test(text) && URL.canParse(`http://[${text}]/`);
}
