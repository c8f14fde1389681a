// gateway.log in its directory. Each thread has the file open for itself and appends whole lines,
// under one lock. Before each line it looks whether the name still means the file that it has:
// another thread's rotation, logrotate, or a hand that removed the file or the directory, are all
// the same case. Rotation is lumberjack's: gateway.log becomes gateway-<UTC time>.log.

import {
  closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, readSync,
  renameSync, rmSync, statSync, unlinkSync, writeSync, type Stats,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "./clock.ts";
import type { LogMemory } from "./log-memory.ts";
import { isSystemError } from "./system-error.ts";

/** Readable for the group, as log collectors run under other users; for nobody else. */
const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;
/** Not to block matters when the name is a named pipe. */
const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
/**
 * Longest wait for the other threads. Who holds the lock longer hangs on the disk, where this
 * thread's line would hang as well; it is appended then without looking for rotation.
 */
const LOCK_MS_MAX = 2_000;
/** A file that cannot be renamed grows to this many times its size; then lines are lost. */
const OVERSIZE = 2;
/** Names tried for a renamed file: other processes would have to have taken each. */
const NAMES_MAX = 100;
const NEWLINE = Buffer.of(0x0a);
const BACKUP = /^gateway-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})\.log$/;

/** When and how the file is rotated. */
export interface LogFileOptions {
  readonly path: string;
  /** A line that would make the file larger goes to a new one. */
  readonly bytesMax: number;
  /** Renamed files that are kept. */
  readonly backupsMax: number;
}

/** `gateway-2026-11-20T21-47-09.123.log` */
export function backupName(wallMs: number): string {
  return `gateway-${new Date(wallMs).toISOString().slice(0, -1).replaceAll(":", "-")}.log`;
}

/** Renamed files among the names of a directory, oldest first; nothing else is ever removed. */
export function backupsAmong(names: readonly string[]): string[] {
  return names.filter((name) => BACKUP.test(name)).toSorted();
}

/** One thread's end of the file. */
export class LogFile {
  readonly #options: LogFileOptions;
  readonly #memory: LogMemory;
  readonly #clock: Clock;
  readonly #onTrouble: (what: string, error: Error) => void;
  #fd = -1;
  #stat: Stats | null = null;
  /** Of the file, when this thread last looked. */
  #size = 0;

  /** @param onTrouble is told of what keeps the file from being renamed or an old one removed. */
  constructor(
    options: LogFileOptions, memory: LogMemory,
    dependencies: {
      readonly clock: Clock; readonly onTrouble: (what: string, error: Error) => void;
    },
  ) {
    this.#options = options;
    this.#memory = memory;
    this.#clock = dependencies.clock;
    this.#onTrouble = dependencies.onTrouble;
  }

  /** Appends one line; it is with the kernel then. @throws a system error when it is not. */
  write(line: Buffer): void {
    const alone = this.#memory.take(LOCK_MS_MAX);
    try {
      if (alone) this.#follow(line.length);
      else if (this.#fd < 0) this.#open();
      this.#append(line, alone);
    } finally {
      if (alone) this.#memory.release();
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }

  /** Sees to it that the descriptor is that of the name, and that the line has room. */
  #follow(lineBytes: number): void {
    const { path, bytesMax } = this.#options;
    const named = statSync(path, { throwIfNoEntry: false });
    const same = named !== undefined && this.#fd >= 0
      && named.ino === this.#stat?.ino && named.dev === this.#stat.dev;
    if (same) this.#size = named.size;
    else this.#open();
    const bytes = this.#size + lineBytes;
    if (!this.#stat?.isFile() || this.#size === 0 || bytes <= bytesMax) return;
    try {
      this.#rotate();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#onTrouble(`${path} cannot be renamed`, error);
      if (bytes > bytesMax * OVERSIZE) throw error;
    }
  }

  #open(): void {
    const { path } = this.#options;
    const first = this.#fd < 0;
    this.close();
    mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    this.#fd = openSync(path, FLAGS, FILE_MODE);
    this.#stat = fstatSync(this.#fd);
    this.#size = this.#stat.size;
    if (!this.#stat.isFile()) return;
    // A former run can have been stopped by a full disk in the middle of a line.
    if (this.#size > 0 && !this.#endsLine()) this.#memory.torn = true;
    if (first) this.#removeOld();
  }

  #endsLine(): boolean {
    const last = Buffer.alloc(1);
    return readSync(this.#fd, last, 0, 1, this.#size - 1) === 0 || last.equals(NEWLINE);
  }

  #append(line: Buffer, alone: boolean): void {
    const bytes = this.#memory.torn ? Buffer.concat([NEWLINE, line]) : line;
    const written = writeSync(this.#fd, bytes);
    if (written === bytes.length) {
      if (bytes !== line) this.#memory.torn = false;
      return;
    }
    if (written > 0 && !(alone && this.#cutOff(written))) this.#memory.torn = true;
    throw Object.assign(new Error("ENOSPC: the disk took a part of a line"), {
      code: "ENOSPC", syscall: "write",
    });
  }

  /** Takes a piece of a line away, when nobody else has written meanwhile. */
  #cutOff(bytes: number): boolean {
    try {
      if (fstatSync(this.#fd).size !== this.#size + bytes) return false;
      ftruncateSync(this.#fd, this.#size);
      return true;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return false;
    }
  }

  /**
   * The new name is taken by making an empty file, which fails when there is one, and the rename
   * replaces that: no process can overwrite a file of another. Names ascend even when the clock was
   * set back, so the oldest name is the oldest file.
   */
  #rotate(): void {
    const { path } = this.#options;
    const directory = dirname(path);
    const newest = backupsAmong(readdirSync(directory)).at(-1) ?? "";
    let wallMs = Math.max(this.#clock.wallMs(), timeOf(newest) + 1);
    let backup = "";
    for (let attempt = 0; backup === ""; attempt++, wallMs++) {
      backup = reserve(join(directory, backupName(wallMs)), attempt + 1 < NAMES_MAX);
    }
    try {
      renameSync(path, backup);
    } catch (error) {
      unlinkSync(backup);
      // Something else renamed it a moment ago: there is room now.
      if (!isSystemError(error) || error.code !== "ENOENT") throw error;
    }
    this.#open();
    this.#removeOld();
  }

  #removeOld(): void {
    const directory = dirname(this.#options.path);
    try {
      const backups = backupsAmong(readdirSync(directory));
      const surplus = Math.max(0, backups.length - this.#options.backupsMax);
      for (const name of backups.slice(0, surplus)) rmSync(join(directory, name), { force: true });
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#onTrouble(`old log files in ${directory} cannot be removed`, error);
    }
  }
}

/** Makes an empty file. @returns its path, or "" when the name is taken and may be another one. */
function reserve(path: string, mayBeTaken: boolean): string {
  try {
    closeSync(openSync(path, "wx", FILE_MODE));
    return path;
  } catch (error) {
    if (mayBeTaken && isSystemError(error) && error.code === "EEXIST") return "";
    throw error;
  }
}

/** Wall clock of a renamed file, ms; 0 for none. */
function timeOf(name: string): number {
  const written = BACKUP.exec(name)?.[1];
  if (written === undefined) return 0;
  const [day = "", time = ""] = written.split("T");
  const wallMs = Date.parse(`${day}T${time.replaceAll("-", ":")}Z`);
  return Number.isNaN(wallMs) ? 0 : wallMs;
}
