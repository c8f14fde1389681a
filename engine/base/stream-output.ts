// Standard output and standard error without ever waiting for their reader. A pipe or a terminal
// is opened once more, not to block: that is this process's own matter, where a flag on the
// descriptor it was given would also change it for everybody else who has it. A socket, such as the
// journal's, cannot be opened again; Node's stream makes that one not to block.

import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { LINE_BYTES_MAX } from "./log-line.ts";
import { isSystemError } from "./system-error.ts";

const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
/** Sleep between two attempts of `print`. */
const PRINT_NAP_MS = 10;
const WAIT_WORD = new Int32Array(new SharedArrayBuffer(4));

/** One of the two descriptors, 1 or 2. */
export class StreamOutput {
  readonly #given: 1 | 2;
  #fd: number;

  constructor(fd: 1 | 2) {
    this.#given = fd;
    this.#fd = notToBlock(fd);
  }

  /**
   * Writes at once what fits. At most LINE_BYTES_MAX are taken whole by a pipe, or not at all.
   * @returns bytes written.
   * @throws a system error: EAGAIN when nobody reads, EPIPE when nobody can.
   */
  write(bytes: Buffer): number {
    return writeSync(this.#fd, bytes);
  }

  /** For people: writes what the reader takes in this time, and leaves out the rest. */
  print(text: string, withinMs: number): void {
    const bytes = Buffer.from(text);
    const untilMs = performance.now() + withinMs;
    let at = 0;
    while (at < bytes.length) {
      try {
        at += this.write(bytes.subarray(at, pieceEnd(bytes, at)));
      } catch (error) {
        if (!isSystemError(error)) throw error;
        // A closed reader, a full disk: nothing that people who read here could be told here.
        if (error.code !== "EAGAIN" || performance.now() >= untilMs) return;
        Atomics.wait(WAIT_WORD, 0, 0, PRINT_NAP_MS);
      }
    }
  }

  close(): void {
    if (this.#fd !== this.#given) closeSync(this.#fd);
    this.#fd = this.#given;
  }
}

/** End of the next lines that fit one write; lines of other threads come between whole ones. */
function pieceEnd(bytes: Buffer, from: number): number {
  const end = from + LINE_BYTES_MAX;
  if (end >= bytes.length) return bytes.length;
  const lineEnd = bytes.lastIndexOf("\n", end - 1);
  return lineEnd < from ? end : lineEnd + 1;
}

function notToBlock(fd: 1 | 2): number {
  try {
    const stat = fstatSync(fd);
    if (stat.isFile()) return fd; // it never blocks, and has a place that others share
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error; // closed, another user's, or no /proc
  }
  // Streams of other threads are not the descriptor; the main thread makes its own first.
  if (isMainThread) ignoreErrors(fd === 1 ? process.stdout : process.stderr);
  return fd;
}

/** Making the stream is what matters here; what it cannot write, nobody reads. */
function ignoreErrors(stream: NodeJS.WriteStream): void {
  if (stream.listenerCount("error") === 0) stream.on("error", () => undefined);
}
