// Lines of OTLP JSON in files: a line is one batch, an ExportTraceServiceRequest. Written, then
// (when durability is "disk") synced, then acknowledged. What fails is cut off again and retried: a
// full disk costs no line and leaves no half line. Old files are removed by number and bytes.

import { mkdir, open, readdir, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import {
  DELIVERED_OUTCOME, FAILURE_STORAGE, RETRY, failedOutcome, printable, type Destination,
  type DestinationDependencies, type Outcome, type SendBatch,
} from "./destination.ts";
import { FILE_PREFIX, fileName, ownFiles, planRemovals, type FileEntry } from "./file-names.ts";
import type { ForwarderCounters } from "./forwarder-counters.ts";
import type { FileForwarderSettings } from "./forwarder-settings.ts";
import { OtlpJsonWriter } from "./otlp-json.ts";

/** Text collected before it is written: large enough for few calls, small enough to yield often. */
const CHUNK_CHARACTERS = 256 * 1024;
/** Names tried for a new file; another process would have to make as many in this second. */
const NAMES_MAX = 1_000;
/** Directories and files are for the gateway's user, as spans may hold personal data. */
const DIRECTORY_MODE = 0o750;
const FILE_MODE = 0o640;

/** The file being written. */
interface Current {
  readonly handle: FileHandle;
  readonly name: string;
  readonly openedMs: number;
  /** Where the next line goes: everything before is whole lines. */
  bytes: number;
}

/** Writes batches to rotated files. One `send` at a time. */
export class FileDestination implements Destination {
  readonly #settings: FileForwarderSettings;
  readonly #clock: Clock;
  readonly #counters: ForwarderCounters;
  readonly #directory: string;
  readonly #json = new OtlpJsonWriter();
  /** Finished files, oldest first; null until the directory was read. */
  #files: FileEntry[] | null = null;
  #current: Current | null = null;
  #sending = false;

  constructor(settings: FileForwarderSettings, dependencies: DestinationDependencies) {
    assert(settings.requestsMax === 1, "a file takes one batch at a time");
    this.#settings = settings;
    this.#clock = dependencies.clock;
    this.#counters = dependencies.counters;
    this.#directory = settings.path;
  }

  /** Appends one line. Not abortable: a line is written or cut off. */
  async send(batch: SendBatch): Promise<Outcome> {
    assert(!this.#sending, "a file takes one batch at a time");
    this.#sending = true;
    try {
      const current = await this.#writable();
      // Before the line and not after it: a failure here may be retried without writing it twice.
      await this.#removeOld(current.bytes);
      const leftOutBefore = this.#json.leftOut;
      await this.#appendLine(current, batch.bytes);
      this.#counters.valuesLeftOut += this.#json.leftOut - leftOutBefore;
      return DELIVERED_OUTCOME;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return failedOutcome(RETRY, FAILURE_STORAGE, false, printable(error.message), error.code);
    } finally {
      this.#sending = false;
    }
  }

  async close(): Promise<void> {
    await this.#finishCurrent();
  }

  /** The file that takes the next line: the present one, or a new one when that is full or old. */
  async #writable(): Promise<Current> {
    const { maxFileAgeMs } = this.#settings;
    const maxFileBytes = Math.min(this.#settings.maxFileBytes, this.#settings.maxBytes);
    if (this.#current !== null) {
      const { bytes, openedMs } = this.#current;
      const ageMs = this.#clock.monotonicMs() - openedMs;
      if (bytes < maxFileBytes && ageMs < maxFileAgeMs) return this.#current;
      await this.#finishCurrent();
    }
    if (this.#files === null) {
      await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
      this.#files = await this.#readDirectory();
    }
    await this.#removeOld(0);
    this.#current = await this.#openNew();
    return this.#current;
  }

  async #openNew(): Promise<Current> {
    const wallMs = this.#clock.wallMs();
    for (let n = 1; n <= NAMES_MAX; n++) {
      const name = fileName(FILE_PREFIX, wallMs, n);
      try {
        const handle = await open(join(this.#directory, name), "wx", FILE_MODE);
        if (this.#settings.durability === "disk") await this.#makeDurable(handle, name);
        return { handle, name, openedMs: this.#clock.monotonicMs(), bytes: 0 };
      } catch (error) {
        if (!isSystemError(error) || error.code !== "EEXIST") throw error;
      }
    }
    throw storageError("EEXIST", `${NAMES_MAX} files of this second exist`);
  }

  async #appendLine(current: Current, bytes: Buffer): Promise<void> {
    let at = current.bytes;
    try {
      let text = "";
      for (const piece of this.#json.request(bytes)) {
        text += piece;
        if (text.length < CHUNK_CHARACTERS) continue;
        at += await writeAll(current.handle, text, at);
        text = "";
      }
      at += await writeAll(current.handle, `${text}\n`, at);
      if (this.#settings.durability === "disk") await current.handle.datasync();
      current.bytes = at;
    } catch (error) {
      if (isSystemError(error)) await this.#cutOff(current);
      throw error;
    }
  }

  /** Takes a half-written line away; where even that fails the file is left and a new one begun. */
  async #cutOff(current: Current): Promise<void> {
    try {
      await current.handle.truncate(current.bytes);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      await this.#finishCurrent();
    }
  }

  async #finishCurrent(): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    this.#current = null;
    if (this.#files !== null) this.#files.push({ name: current.name, bytes: current.bytes });
    await current.handle.close();
  }

  /** Makes room in the limits for the present file, which holds `bytes`. */
  async #removeOld(bytes: number): Promise<void> {
    const files = this.#files;
    if (files === null) return;
    const { maxFiles, maxBytes } = this.#settings;
    const removals = planRemovals(files, bytes, maxFiles, maxBytes);
    for (let removal = 0; removal < removals; removal++) {
      await rm(join(this.#directory, files[0]!.name), { force: true }); // removals <= files.length
      files.shift();
      this.#counters.filesRemoved++;
    }
  }

  async #readDirectory(): Promise<FileEntry[]> {
    const files: FileEntry[] = [];
    for (const name of await readdir(this.#directory)) {
      if (!name.startsWith(FILE_PREFIX)) continue;
      const entry = await stat(join(this.#directory, name));
      if (entry.isFile()) files.push({ name, bytes: entry.size });
    }
    return ownFiles(FILE_PREFIX, files);
  }

  /** Syncs the directory, so that a power cut cannot take the new file's name; or removes it. */
  async #makeDurable(handle: FileHandle, name: string): Promise<void> {
    try {
      const directory = await open(this.#directory, "r");
      await directory.sync().finally(() => directory.close());
    } catch (error) {
      await handle.close();
      await rm(join(this.#directory, name), { force: true });
      throw error;
    }
  }
}

/**
 * Writes all of `text` at a position; returns its bytes. A write may take less than it was given.
 */
async function writeAll(handle: FileHandle, text: string, at: number): Promise<number> {
  const bytes = Buffer.from(text, "utf8");
  let written = 0;
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, at + written);
    if (result.bytesWritten === 0) throw storageError("ENOSPC", "the file takes no more bytes");
    written += result.bytesWritten;
  }
  return bytes.length;
}

function storageError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code, syscall: "write" });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && "syscall" in error;
}
