// Looks at storage and memory against their limits, tells the lanes what to do, and says when that
// begins and ends.

import type { Settings } from "../../config/settings-types.ts";
import {
  PRESSURE_DECIDE, PRESSURE_NONE, PRESSURE_REFUSE, type Control,
} from "../lane/control.ts";
import { StoragePressure } from "./storage-pressure.ts";

const LOOK_MS = 100;
/** Memory is looked at, and files that no lane has are added up, less often. */
const MEMORY_EVERY = 5;
const OUTSIDE_EVERY = 300;
/** Resident memory, as a share of its limit, where the tables may grow no more; and may again. */
const HELD_SHARE = 0.9;
const GROWING_SHARE = 0.85;
/** At which clients are refused; and are served again. */
const REFUSED_SHARE = 0.97;
const SERVED_SHARE = 0.94;
const MIB = 1024 * 1024;

type Say = (level: "info" | "warn", message: string, fields: object) => void;

const STORAGE_BEGINS: Readonly<Record<Settings["storagePolicy"], string>> = {
  "decide-early": "storage is near its limit: traces are judged early, the oldest first; raise"
    + " StorageLimit, shorten DecisionWait, or look why a forwarder does not take its spans",
  "hash-sample": "storage is near its limit: only a share of the new traces is stored, the spans of"
    + " the others are counted as evicted; raise StorageLimit, shorten DecisionWait, or look why a"
    + " forwarder does not take its spans",
  "refuse": "storage is near its limit, at which clients are refused with 503; raise StorageLimit,"
    + " shorten DecisionWait, or look why a forwarder does not take its spans",
};
const STORAGE_REFUSES = "storage is at its limit: clients are refused with 503 until there is room;"
  + " nothing that was acknowledged is lost";
const STORAGE_SERVES = "storage is below its limit: clients are served again";
const STORAGE_ENDS = "storage is well below its limit again";
const MEMORY_HOLDS = "resident memory is near its limit: the trace tables grow no more, and the"
  + " heaviest traces are judged early; raise it, or lower MaxTraces, MemoryLimit or Workers";
const MEMORY_REFUSES = "resident memory is at its limit: clients are refused with 503 until it is"
  + " lower; raise it, or lower MaxTraces, MemoryLimit or Workers";
const MEMORY_ENDS = "resident memory is well below its limit again";

export interface LimitWatchOptions {
  readonly storagePolicy: Settings["storagePolicy"];
  readonly storageLimitBytes: number;
  /** Infinity: memory is not looked at. */
  readonly memoryBytesMax: number;
}

export interface LimitWatchParts {
  readonly control: Control;
  readonly say: Say;
  /** Resident bytes of the process. */
  readonly residentBytes: () => number;
  /** Bytes in the data directory that no lane has. */
  readonly outsideBytes: () => number;
}

/** Main thread. */
export class LimitWatch {
  readonly #in: LimitWatchParts;
  readonly #storage: StoragePressure;
  readonly #memoryBytesMax: number;
  readonly #policy: Settings["storagePolicy"];
  #looks = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LimitWatchOptions, parts: LimitWatchParts) {
    this.#in = parts;
    this.#storage = new StoragePressure(options.storagePolicy, options.storageLimitBytes);
    this.#memoryBytesMax = options.memoryBytesMax;
    this.#policy = options.storagePolicy;
    parts.control.storageLimitBytes = options.storageLimitBytes;
    parts.control.outsideBytes = parts.outsideBytes();
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** One look; `start` does it again and again. */
  look(): void {
    this.#looks++;
    const { control, outsideBytes } = this.#in;
    if (this.#looks % OUTSIDE_EVERY === 0) control.outsideBytes = outsideBytes();
    this.#lookAtStorage();
    if (this.#memoryBytesMax < Infinity && this.#looks % MEMORY_EVERY === 1) this.#lookAtMemory();
  }

  #lookAtStorage(): void {
    const { control } = this.#in;
    const storage = this.#storage;
    const before = storage.pressure;
    const usedBytes = control.storageBytes();
    const changed = storage.look(usedBytes);
    control.storageExcessBytes = storage.excessBytes;
    control.samplingLevel = storage.level;
    control.pressure = storage.pressure;
    if (changed) this.#sayStorage(before, usedBytes);
  }

  #sayStorage(before: number, usedBytes: number): void {
    const { pressure, limitBytes } = this.#storage;
    const fields = {
      usedMiB: Math.round(usedBytes / MIB), limitMiB: Math.round(limitBytes / MIB),
      policy: this.#policy,
    };
    const { say } = this.#in;
    const refused = (before & PRESSURE_REFUSE) !== 0;
    const refuses = (pressure & PRESSURE_REFUSE) !== 0;
    if (before === PRESSURE_NONE) say("warn", STORAGE_BEGINS[this.#policy], fields);
    if (refuses && !refused) say("warn", STORAGE_REFUSES, fields);
    if (refused && !refuses) say("info", STORAGE_SERVES, fields);
    if (pressure === PRESSURE_NONE) say("info", STORAGE_ENDS, fields);
  }

  #lookAtMemory(): void {
    const { control, say, residentBytes } = this.#in;
    const bytes = residentBytes();
    const used = bytes / this.#memoryBytesMax;
    const before = control.memoryPressure;
    const holds = used >= (before === PRESSURE_NONE ? HELD_SHARE : GROWING_SHARE);
    const refused = (before & PRESSURE_REFUSE) !== 0;
    const refuses = used >= (refused ? SERVED_SHARE : REFUSED_SHARE);
    const after = (holds ? PRESSURE_DECIDE : PRESSURE_NONE) | (refuses ? PRESSURE_REFUSE : 0);
    if (after === before) return;
    control.memoryPressure = after;
    const fields = {
      residentMiB: Math.round(bytes / MIB), limitMiB: Math.round(this.#memoryBytesMax / MIB),
    };
    if (refuses && !refused) say("warn", MEMORY_REFUSES, fields);
    else if (before === PRESSURE_NONE) say("warn", MEMORY_HOLDS, fields);
    if (after === PRESSURE_NONE) say("info", MEMORY_ENDS, fields);
  }
}
