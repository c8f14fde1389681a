// What a log is told, and what it is given.

import type { Clock } from "../base/clock.ts";
import type { Probe } from "./generation-probe.ts";
import type { Durability } from "./log-status.ts";
import type { StorageAccount, StorageKind } from "./storage-account.ts";

/** Bounds are parameters, so that tests can make them tiny. */
export interface LaneLogOptions {
  /** Of this log alone; made when it is missing. */
  readonly directory: string;
  readonly durability: Durability;
  /** A generation with this many bytes, entries, or of this age is sealed. */
  readonly generationBytes: number;
  readonly generationAgeMs: number;
  readonly entriesMax: number;
  /** Environments open at once; at least 2. */
  readonly environmentsMax: number;
  /** Bytes touched through the memory maps, which count as resident memory. */
  readonly mappedBytesMax: number;
  /**
   * Values of a generation younger than this, which this process wrote, are read without a look at
   * their checksum: the page cache has them still, and the checksum is against what happens on
   * disk.
   */
  readonly unverifiedReadMs: number;
  /** Disk space held back, so that a log can be settled on a full disk; 0 for none. */
  readonly reserveBytes: number;
  /** Where the log's bytes are counted. */
  readonly storageKind: StorageKind;
  /** The next id that no generation of the data directory has or had. */
  nextGeneration(): number;
  /** Text at the head of every generation: the policy set, forwarder names by slot. */
  meta(): Uint8Array;
}

/** See MACHINE in machine.ts for all but the account. */
export interface LaneLogDependencies {
  readonly clock: Clock;
  readonly storage: StorageAccount;
  /** Bytes that may still be written where a path is. */
  freeBytes(path: string): number;
  /** Files that may still be made where a path is. */
  freeFiles(path: string): number;
  /** Reads a suspicious generation elsewhere; see generation-probe. */
  readonly probe: Probe;
}
