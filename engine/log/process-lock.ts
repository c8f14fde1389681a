// One gateway to a data directory. A file names the process that has it; the name of a process that
// is gone, or whose number another process has now, does not count.
//
// File: JSON of a ProcessIdentity, with the process namespace in which its number means something.
// The process of another namespace (another container with the same volume) cannot be asked for: it
// lives when the file's time moves on, because its owner touches it.

import {
  linkSync, renameSync, rmSync, statSync, unlinkSync, utimesSync, writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { GatewayError } from "../base/errors.ts";
import {
  identityOf, isOfAnotherBoot, lives, parseIdentity, processSpace, type ProcessIdentity,
} from "../base/process-identity.ts";
import { readFileIfAny } from "./durable-file.ts";

const LOCK_FILE = "lock";
/** Races with other starting processes; each round somebody won. */
const ROUNDS_MAX = 10;
/** The owner touches the file this often. */
const TOUCH_MS = 1_000;
/** An owner that cannot be asked for is gone when it has not touched the file for so long. */
const SILENT_MS = 8_000;
const LOOK_MS = 200;
const IDLE = new Int32Array(new SharedArrayBuffer(4));

/** The lock of a data directory, held until release(). */
export class ProcessLock {
  readonly #path: string;
  readonly #content: string;
  readonly #timer: NodeJS.Timeout;

  /** @throws GatewayError DATA_IN_USE */
  constructor(directory: string) {
    this.#path = join(directory, LOCK_FILE);
    this.#content = JSON.stringify({ ...identityOf(process.pid), space: processSpace() });
    this.#take();
    this.#timer = setInterval(() => this.#touch(), TOUCH_MS);
    this.#timer.unref();
  }

  #take(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#tryTake()) return;
      this.#removeStale();
    }
    throw inUse(this.#path, "several processes start on it at once");
  }

  /** For processes that cannot see this one. */
  #touch(): void {
    const now = new Date();
    try {
      utimesSync(this.#path, now, now);
    } catch {
      // A disk that refuses this refuses commits too, and those are told of.
    }
  }

  release(): void {
    clearInterval(this.#timer);
    if (readFileIfAny(this.#path) === this.#content) rmSync(this.#path, { force: true });
  }

  /** The lock appears with its content, in one step. */
  #tryTake(): boolean {
    const own = `${this.#path}.${process.pid}`;
    writeFileSync(own, this.#content);
    try {
      linkSync(own, this.#path);
      return true;
    } catch (error) {
      if (isCode(error, "EEXIST")) return false;
      throw error;
    } finally {
      unlinkSync(own);
    }
  }

  /** Watches the file's time, for as long as a living owner can leave it alone. */
  #isSilent(): boolean {
    const touched = this.#touchedMs();
    while (Date.now() - touched < SILENT_MS) {
      Atomics.wait(IDLE, 0, 0, LOOK_MS);
      if (this.#touchedMs() !== touched) return false;
    }
    return true;
  }

  #touchedMs(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  /** @throws GatewayError DATA_IN_USE when the lock's process lives. */
  #removeStale(): void {
    const seen = readFileIfAny(this.#path);
    if (seen === null) return;
    const owner = parseIdentity(seen);
    if (owner !== null && isElsewhere(seen, owner)) {
      if (!this.#isSilent()) throw inUse(this.#path, "a process of another container has it");
    } else if (owner !== null && lives(owner)) {
      throw inUse(this.#path, `process ${owner.pid} has it`);
    }
    const stale = `${this.#path}.stale.${process.pid}`;
    try {
      renameSync(this.#path, stale);
    } catch (error) {
      if (isCode(error, "ENOENT")) return; // another process was quicker
      throw error;
    }
    const taken = readFileIfAny(stale);
    if (taken !== seen) {
      // Another process took the stale lock away and its own place: it gets its lock back.
      linkSync(stale, this.#path);
      unlinkSync(stale);
      throw inUse(this.#path, "another process was quicker");
    }
    unlinkSync(stale);
  }
}

/** Whether the owner's number is that of another namespace of this same machine. */
function isElsewhere(content: string, owner: ProcessIdentity): boolean {
  const { space } = JSON.parse(content) as { space?: unknown }; // it held an identity
  return typeof space === "string" && space !== "" && space !== processSpace()
    && !isOfAnotherBoot(owner);
}

function inUse(path: string, who: string): GatewayError {
  return new GatewayError(
    "DATA_IN_USE",
    `the data directory ${dirname(path)} is in use: ${who}; stop that gateway, or set `
    + "BackupLocation to a directory of this one's own",
    { path },
  );
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
