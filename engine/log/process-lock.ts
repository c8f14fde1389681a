// One gateway to a data directory. A file names the process that has it; the name of a process that
// is gone, or whose number another process has now, does not count.
//
// File: JSON {pid, startedAt, boot}. `startedAt` is the kernel's start tick of the process and
// `boot` the kernel's boot id, so that a number used again, or a machine started again, is told
// apart.

import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../base/errors.ts";
import { readFileIfAny } from "./durable-file.ts";

const LOCK_FILE = "lock";
/** Field of /proc/<pid>/stat after the command's closing parenthesis: the 22nd of all. */
const START_TICK_FIELD = 19;
/** Races with other starting processes; each round somebody won. */
const ROUNDS_MAX = 10;

interface Owner {
  readonly pid: number;
  readonly startedAt: string;
  readonly boot: string;
}

/** The lock of a data directory, held until release(). */
export class ProcessLock {
  readonly #path: string;
  readonly #content: string;

  /** @throws GatewayError DATA_IN_USE */
  constructor(directory: string) {
    this.#path = join(directory, LOCK_FILE);
    this.#content = JSON.stringify(ownerOf(process.pid));
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#tryTake()) return;
      this.#removeStale();
    }
    throw inUse(this.#path, "several processes start on it at once");
  }

  release(): void {
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

  /** @throws GatewayError DATA_IN_USE when the lock's process lives. */
  #removeStale(): void {
    const seen = readFileIfAny(this.#path);
    if (seen === null) return;
    const owner = parseOwner(seen);
    if (owner !== null && lives(owner)) throw inUse(this.#path, `process ${owner.pid} has it`);
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

function inUse(path: string, who: string): GatewayError {
  return new GatewayError(
    "DATA_IN_USE", `the data directory is in use: ${who}; stop it or give this one its own`,
    { path },
  );
}

function ownerOf(pid: number): Owner {
  return { pid, startedAt: startTick(pid), boot: bootId() };
}

function lives(owner: Owner): boolean {
  if (owner.boot !== bootId()) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (isCode(error, "ESRCH")) return false;
    if (!isCode(error, "EPERM")) throw error; // EPERM: it lives, under another user
  }
  return owner.startedAt === startTick(owner.pid);
}

/** Kernel start tick of a process; empty where there is no /proc. */
function startTick(pid: number): string {
  const stat = readIfAllowed(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TICK_FIELD] ?? "";
}

function bootId(): string {
  return readIfAllowed("/proc/sys/kernel/random/boot_id").trim();
}

function readIfAllowed(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // no /proc: the number of the process alone decides
  }
}

/** Null for a lock that no gateway wrote whole. */
function parseOwner(text: string): Owner | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { pid, startedAt, boot } = value as Record<string, unknown>;
    if (typeof pid !== "number" || typeof startedAt !== "string") return null;
    return typeof boot === "string" ? { pid, startedAt, boot } : null;
  } catch {
    return null; // not JSON
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
