// What a failed write means, and the reserve that lets a log be settled on a full disk.

import { join } from "node:path";
import { EnvironmentFailed } from "./environment.ts";
import type { LaneLogDependencies, LaneLogOptions } from "./log-options.ts";
import { LOG_FAILED, LOG_FULL } from "./log-status.ts";
import type { LogStatus } from "./log-status.ts";
import { ReserveFile } from "./reserve-file.ts";

const RESERVE_FILE = "reserve";
/** A new environment, its META and a first commit need less than this. */
export const GENERATION_BYTES_MIN = 1024 * 1024;
/**
 * Files of a new environment, and as many again for other lanes: LMDB must not be the one to find
 * that there is none.
 */
const GENERATION_FILES = 8;
/** How often a reserve that was given away is tried to be had back. */
const RESERVE_RETRY_MS = 1000;
/** Errors of a full file system and of a full quota, on Linux. */
const NO_SPACE = 28;
const QUOTA_EXCEEDED = 122;

/** Free space as one log sees it. One thread. */
export class DiskPressure {
  readonly #directory: string;
  readonly #dependencies: LaneLogDependencies;
  readonly #reserve: ReserveFile;
  readonly #spareBytes: number;
  #triedMs = 0;
  /** Why the last transaction failed; null before one did. */
  lastError: EnvironmentFailed | null = null;

  constructor(options: LaneLogOptions, dependencies: LaneLogDependencies) {
    this.#directory = options.directory;
    this.#dependencies = dependencies;
    this.#reserve = new ReserveFile(join(options.directory, RESERVE_FILE), options.reserveBytes);
    this.#reserve.restore();
    this.#spareBytes = Math.max(options.reserveBytes, GENERATION_BYTES_MIN);
  }

  get reserveHeld(): boolean {
    return this.#reserve.held;
  }

  /** False when a new generation must not be begun; lastError says why. */
  roomForGeneration(): boolean {
    const { freeBytes, freeFiles } = this.#dependencies;
    const hasBytes = freeBytes(this.#directory) >= GENERATION_BYTES_MIN;
    if (hasBytes && freeFiles(this.#directory) >= GENERATION_FILES) return true;
    const text = hasBytes ? "no free inodes" : "no space left";
    this.lastError = new EnvironmentFailed(
      this.#directory, Object.assign(new Error(text), { code: NO_SPACE }));
    return false;
  }

  /**
   * To be asked before each commit of `bytes`, as LMDB must not be the one to find the disk full:
   * lmdb-js 3.5.6 writes the text of that error past the end of its memory, and the process may die
   * of it. Records leave room for what other lanes commit in the meantime.
   * @throws EnvironmentFailed as a write would that found no space.
   */
  requireRoom(bytes: number, hasRecords: boolean): void {
    const spare = hasRecords ? this.#spareBytes : GENERATION_BYTES_MIN;
    if (this.#dependencies.freeBytes(this.#directory) >= bytes + spare) return;
    throw new EnvironmentFailed(
      this.#directory, Object.assign(new Error("no space left"), { code: NO_SPACE }),
    );
  }

  /**
   * Status of a failed write of `attemptedBytes`; errors that are no failed writes are thrown on.
   */
  statusOf(error: unknown, attemptedBytes: number): LogStatus {
    if (!(error instanceof EnvironmentFailed)) throw error;
    this.lastError = error;
    if (error.errno === NO_SPACE || error.errno === QUOTA_EXCEEDED) return LOG_FULL;
    // A full file system can show up as an input/output error, so it is asked.
    const free = this.#dependencies.freeBytes(this.#directory);
    return free < attemptedBytes + GENERATION_BYTES_MIN ? LOG_FULL : LOG_FAILED;
  }

  /** A full disk stopped even a commit without records: the reserve is given away. */
  starved(status: LogStatus): LogStatus {
    if (status === LOG_FULL) this.#reserve.release();
    return status;
  }

  /** Takes the reserve back when there is room; cheap to call every turn. */
  restore(): void {
    if (this.#reserve.held) return;
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (nowMs - this.#triedMs < RESERVE_RETRY_MS) return;
    this.#triedMs = nowMs;
    const needed = this.#reserve.bytes + 2 * GENERATION_BYTES_MIN;
    const { freeBytes, freeFiles } = this.#dependencies;
    if (freeFiles(this.#directory) <= GENERATION_FILES) return;
    if (freeBytes(this.#directory) >= needed) this.#reserve.restore();
  }
}
