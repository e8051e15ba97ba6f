/**
 * Tells the kernel which of the sockets that share a port is to get new connections.
 *
 * Linux keeps the sockets of a place in an array, in the order in which they began to listen; a socket
 * that is closed leaves its position to the last one. A filter program can name a position; where there
 * is none, the kernel divides the connections as it does without a program.
 *
 * @module
 */

import { asError } from "../../core/errors.ts";

/** `setsockopt` of the C library. */
type SetSocketOption = (
  fd: number,
  level: number,
  name: number,
  value: BufferSource,
  size: number,
) => number;

const LIBRARY = "libc.so.6";
const SYMBOLS = {
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
} as const;
const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** Instruction of a classic filter: returns its constant. */
const RETURN_CONSTANT = 0x06;
const INSTRUCTION_BYTES = 8;
/** `struct sock_fprog`: number of instructions, and after a gap the address of the first. */
const PROGRAM_BYTES = 16;
/** A position that no group of sockets has. */
const NOWHERE = 0xffff_ffff;

/** Chooses among the sockets of a place. */
export class SocketChoice implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #setsockopt: SetSocketOption;

  private constructor() {
    this.#library = Deno.dlopen(LIBRARY, SYMBOLS);
    this.#setsockopt = this.#library.symbols.setsockopt;
  }

  /** Without permission to call the C library, and where it is another one, the reason instead. */
  static open(): SocketChoice | string {
    const { os, arch } = Deno.build;
    if (os !== "linux") return `${os} has no such choice`;
    if (arch !== "x86_64" && arch !== "aarch64") return `on ${arch} that is not known`;
    // To ask would stop a service that somebody started at a terminal.
    if (Deno.permissions.querySync({ name: "ffi", path: LIBRARY }).state !== "granted") {
      return "the server was started without permission to call the C library, which is part of -A";
    }
    try {
      return new SocketChoice();
    } catch (error) {
      return asError(error).message;
    }
  }

  /**
   * From now on new connections of the place go to the socket at a position, counted from 0. Those whose
   * handshake has begun stay where they are. False when the kernel does not do that.
   */
  prefer(fd: number, position: number): boolean {
    // In one buffer, so that what the address points at lives as long as the call.
    const program = new Uint8Array(new ArrayBuffer(PROGRAM_BYTES + INSTRUCTION_BYTES));
    const view = new DataView(program.buffer);
    const at = Deno.UnsafePointer.value(Deno.UnsafePointer.of(program));
    view.setUint16(0, 1, true);
    view.setBigUint64(8, BigInt(at) + BigInt(PROGRAM_BYTES), true);
    view.setUint16(PROGRAM_BYTES, RETURN_CONSTANT, true);
    view.setUint32(PROGRAM_BYTES + 4, position, true);
    return this.#setsockopt(
      fd,
      SOL_SOCKET,
      SO_ATTACH_REUSEPORT_CBPF,
      program,
      PROGRAM_BYTES,
    ) === 0;
  }

  /** The kernel divides new connections of the place among all its sockets again. */
  divide(fd: number): void {
    this.prefer(fd, NOWHERE);
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}
