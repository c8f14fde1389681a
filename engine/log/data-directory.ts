// The directory under which a gateway keeps everything:
//
//   lock               which process has it
//   log.json           identity of the log, its seed
//   forwarders.json    names of forwarders by slot
//   generations.json   ids given out so far
//   largest-body.json  MaxBodyBytes of the largest body that may be stored
//   log/lane-<k>/      generations of lane k
//   outbox/<forwarder>/lane-<k>/
//
// Opened by the main thread before any lane starts, and held until the process ends.

import { randomInt, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { BODY_BYTES_MAX } from "../../config/limits.ts";
import { assert } from "../base/assert.ts";
import { GatewayError } from "../base/errors.ts";
import { freeBytes, readFileIfAny, writeFileDurably } from "./durable-file.ts";
import { LOG_FORMAT_VERSION } from "./entry-layout.ts";
import { ForwarderSlots } from "./forwarder-slots.ts";
import { generationOf } from "./generation.ts";
import { adoptLanes, laneDirectory, lanesIn } from "./lane-adoption.ts";
import { ProcessLock } from "./process-lock.ts";
import { SET_ASIDE } from "./recovery.ts";

const IDENTITY_FILE = "log.json";
const SLOTS_FILE = "forwarders.json";
const GENERATIONS_FILE = "generations.json";
const BODIES_FILE = "largest-body.json";
const LOG_DIRECTORY = "log";
const OUTBOX_DIRECTORY = "outbox";
/**
 * Ids skipped at every start, in case the last run removed all of its generations and left no
 * trace of their ids. Large enough for a run that leaves nothing, small enough for four million
 * starts.
 */
const GENERATIONS_SKIPPED = 1024;
const U32 = 0x1_0000_0000;
const RESTORE = "restore it, or set BackupLocation to an empty directory";
/** What an operator can do about a system error under the data directory. */
const NO_RIGHT = "give the user of the gateway the right to write it";
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: NO_RIGHT, EPERM: NO_RIGHT, EROFS: "its disk is mounted read-only: mount it to be written",
  ENOSPC: "its disk is full: free space", EDQUOT: "this user's quota is used up: free space",
  ENOTDIR: "a part of the path is a file: move it away",
  EEXIST: "a file has its name: move it away",
};
/** Characters of a forwarder's name that its directory shows; a checksum tells long names apart. */
const NAME_CHARACTERS_MAX = 40;

interface Identity {
  readonly format: number;
  /** UUID of the log: with a generation, an entry and an index it names a part for good. */
  readonly id: string;
  /** Seed of what is hashed and kept on disk; any u32. */
  readonly fingerprintSeed: number;
}

/** An open data directory. Main thread only. */
export class DataDirectory {
  readonly path: string;
  readonly logId: string;
  readonly fingerprintSeed: number;
  /** Every id that generations of this directory have or had is at most this. */
  readonly highestGeneration: number;
  /** Lanes of former runs whose logs went to lanes of this one. */
  readonly adoptedLanes: number;
  readonly slots: ForwarderSlots;
  readonly #lock: ProcessLock;
  /** No generation is here. */
  #isEmpty = true;

  /**
   * @param lanes of this run: directories of others are adopted.
   * @throws GatewayError DATA_IN_USE, LOG_VERSION, DATA_DIRECTORY
   */
  constructor(path: string, lanes: number) {
    assert(lanes >= 1, "a gateway has a lane");
    this.path = path;
    makeDirectory(path);
    this.#lock = lockOf(path);
    try {
      makeDirectory(join(path, LOG_DIRECTORY));
      makeDirectory(join(path, OUTBOX_DIRECTORY));
      const identity = readIdentity(join(path, IDENTITY_FILE));
      this.logId = identity.id;
      this.fingerprintSeed = identity.fingerprintSeed;
      this.slots = new ForwarderSlots(join(path, SLOTS_FILE));
      this.adoptedLanes = this.#adopt(lanes);
      this.highestGeneration = this.#skipGenerations();
    } catch (error) {
      this.#lock.release();
      throw explained(path, error);
    }
  }

  /** Bytes on disk under this directory; a walk, not for a lane. */
  usedBytes(): number {
    return bytesUnder(this.path);
  }

  freeBytes(): number {
    return freeBytes(this.path);
  }

  /**
   * Bytes in it that no lane accounts for: outboxes of forwarders that are not among `names`, and
   * generations that were set aside. A walk, not for a lane.
   */
  outsideBytes(names: readonly string[]): number {
    const own = new Set(names.map(directoryName));
    const outboxes = join(this.path, OUTBOX_DIRECTORY);
    let bytes = setAsideBytes(join(this.path, LOG_DIRECTORY));
    for (const name of readdirSync(outboxes)) {
      const directory = join(outboxes, name);
      bytes += own.has(name) ? setAsideBytes(directory) : bytesUnder(directory);
    }
    return bytes;
  }

  /**
   * The largest body that may be stored here, as former runs allowed, and from now on this one.
   * It falls to this run's when nothing is stored.
   */
  largestBody(bodyBytesMax: number): number {
    const file = join(this.path, BODIES_FILE);
    const content = readFileIfAny(file);
    const former = content === null || this.#isEmpty
      ? 0 : Number(parseObject(file, content)["max"]);
    if (!Number.isInteger(former) || former > BODY_BYTES_MAX) throw notOurs(file);
    const largest = Math.max(former, bodyBytesMax);
    if (largest !== former) writeFileDurably(file, `${JSON.stringify({ max: largest })}\n`);
    return largest;
  }

  /** Lets another process have it. */
  close(): void {
    this.#lock.release();
  }

  #adopt(lanes: number): number {
    let adopted = adoptLanes(join(this.path, LOG_DIRECTORY), lanes);
    const outboxes = join(this.path, OUTBOX_DIRECTORY);
    for (const name of readdirSync(outboxes)) adopted += adoptLanes(join(outboxes, name), lanes);
    return adopted;
  }

  #skipGenerations(): number {
    const file = join(this.path, GENERATIONS_FILE);
    const saved = parseNext(file, readFileIfAny(file));
    let highest = Math.max(0, saved - 1);
    const outboxes = join(this.path, OUTBOX_DIRECTORY);
    const bases = [join(this.path, LOG_DIRECTORY)];
    for (const name of readdirSync(outboxes)) bases.push(join(outboxes, name));
    for (const base of bases) {
      const found = highestIn(base);
      if (found > 0) this.#isEmpty = false;
      highest = Math.max(highest, found);
    }
    assert(highest + GENERATIONS_SKIPPED < U32, "generation ids fit 32 bits");
    writeFileDurably(file, `${JSON.stringify({ next: highest + 1 + GENERATIONS_SKIPPED })}\n`);
    return highest;
  }
}

/** Directory of a lane's log in the data directory `path`. */
export function logDirectory(path: string, lane: number): string {
  return laneDirectory(join(path, LOG_DIRECTORY), lane);
}

/** Directory of a lane's outbox for a forwarder in the data directory `path`. */
export function outboxDirectory(path: string, forwarder: string, lane: number): string {
  return laneDirectory(join(path, OUTBOX_DIRECTORY, directoryName(forwarder)), lane);
}

/** A file name for any forwarder name: readable, and another one for another name. */
export function directoryName(name: string): string {
  const shown = name.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, NAME_CHARACTERS_MAX);
  return `${shown}-${crc32(name).toString(16).padStart(8, "0")}`;
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw explained(path, error);
  }
}

function lockOf(path: string): ProcessLock {
  try {
    return new ProcessLock(path);
  } catch (error) {
    throw explained(path, error);
  }
}

/** What the operating system refused, such as space or permission, as a reason not to start. */
function explained(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  const advice = ADVICE[(error as NodeJS.ErrnoException).code ?? ""] ?? "look at its disk";
  return new GatewayError(
    "DATA_DIRECTORY", `cannot use the data directory ${path} (${error.message}): ${advice}, or set `
    + "BackupLocation to another directory", { path }, error,
  );
}

function readIdentity(path: string): Identity {
  const content = readFileIfAny(path);
  if (content === null) {
    const identity: Identity = {
      format: LOG_FORMAT_VERSION, id: randomUUID(), fingerprintSeed: randomInt(U32),
    };
    writeFileDurably(path, `${JSON.stringify(identity)}\n`);
    return identity;
  }
  const identity = parseIdentity(path, content);
  if (identity.format > LOG_FORMAT_VERSION) {
    throw new GatewayError(
      "LOG_VERSION",
      `${path} has format ${identity.format}, written by a newer release; this one reads up to `
      + `${LOG_FORMAT_VERSION}: run the newer release, or set BackupLocation to another directory`,
      { path, format: identity.format },
    );
  }
  return identity;
}

function parseIdentity(path: string, content: string): Identity {
  const value = parseObject(path, content);
  const { format, id, fingerprintSeed } = value;
  if (typeof format === "number" && typeof id === "string" && typeof fingerprintSeed === "number") {
    return { format, id, fingerprintSeed };
  }
  throw notOurs(path);
}

function parseNext(path: string, content: string | null): number {
  if (content === null) return 0;
  const { next } = parseObject(path, content);
  if (typeof next !== "number") throw notOurs(path);
  return next;
}

function parseObject(path: string, content: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new GatewayError("DATA_DIRECTORY", `${path} is not JSON: ${RESTORE}`, { path }, error);
  }
  if (typeof value !== "object" || value === null) throw notOurs(path);
  return value as Record<string, unknown>;
}

function notOurs(path: string): GatewayError {
  return new GatewayError(
    "DATA_DIRECTORY", `${path} was not written by a gateway: ${RESTORE}`, { path },
  );
}

function highestIn(base: string): number {
  let highest = 0;
  for (const lane of lanesIn(base)) {
    for (const name of readdirSync(laneDirectory(base, lane))) {
      // Of generations set aside or renamed for removal as well.
      const [generation = ""] = name.split(".");
      highest = Math.max(highest, generationOf(generation));
    }
  }
  return highest;
}

/** Of what was set aside in the lanes of `base`. */
function setAsideBytes(base: string): number {
  let bytes = 0;
  for (const lane of lanesIn(base)) {
    const directory = laneDirectory(base, lane);
    for (const name of readdirSync(directory)) {
      if (name.endsWith(SET_ASIDE)) bytes += bytesUnder(join(directory, name));
    }
  }
  return bytes;
}

function bytesUnder(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0; // removed since it was listed
  if (!stat.isDirectory()) return stat.blocks * 512;
  let bytes = 0;
  for (const name of readdirSync(path)) bytes += bytesUnder(join(path, name));
  return bytes;
}
