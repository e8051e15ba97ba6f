/**
 * The connections of this machine as Linux writes them in its tables, and how it writes addresses there.
 *
 * @module
 */

/** Where the table of each family is; there is no second one on a system without IPv6. */
export const TCP_TABLES = ["/proc/net/tcp", "/proc/net/tcp6"] as const;
/** An IPv4 address on a socket of both families has a prefix. */
const MAPPED = "0000000000000000FFFF0000";

/** The table of each family. Fails where there is no `/proc`, or no permission to read it. */
export function readTcpTables(): Promise<string[]> {
  return Promise.all(TCP_TABLES.map((path) => Deno.readTextFile(path)));
}

/** Address and port in the hexadecimal form of the tables, without what {@link withoutPrefix} removes. */
export function tableAddress(address: string, port: number): string {
  return `${hexAddress(address)}:${hexPort(port)}`;
}

/** The form in which the tables have a port. */
export function hexPort(port: number): string {
  return hex(port, 4);
}

/** An address of the tables as if no IPv4 address stood on a socket of both families. */
export function withoutPrefix(address: string): string {
  return address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
}

/** The tables have addresses as words in the order of the machine, which is little-endian where Deno runs. */
function hexAddress(address: string): string {
  if (!address.includes(":")) {
    return address.split(".").reverse().map((part) => hex(Number(part), 2)).join("");
  }
  const [head, tail] = address.split("%", 1)[0]!.split("::", 2) as [string, string?];
  const groups = (text: string | undefined) => text ? text.split(":") : [];
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const bytes = [...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join("");
  return bytes.replace(/(..)(..)(..)(..)/g, "$4$3$2$1").toUpperCase();
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
