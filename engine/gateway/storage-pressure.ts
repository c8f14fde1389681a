// How near the log is to StorageLimit, and what then gives way. Pure: bytes in, what to do out.
//
//   used   0 ……… 85 % ……… 90 % ……… 97 % ……… 100 %
//   begins                  policy              refusing
//   ends           policy             refusing
//
// hash-sample halves the share of new traces that is stored with every STEP beyond 90 %: 1/2, 1/4,
// … 1/256 close to the limit. The share follows the fill and not a clock, so it comes to rest where
// as much comes in as goes.

import type { Settings } from "../../config/settings-types.ts";
import { SHARE_LEVEL_MAX } from "../hash/shard-of.ts";
import {
  PRESSURE_DECIDE, PRESSURE_NEAR, PRESSURE_NONE, PRESSURE_REFUSE,
} from "../lane/control.ts";

/** Storage in use, as a share of its limit, at which the policy begins; and at which it ends. */
export const POLICY_SHARE = 0.9;
export const EASED_SHARE = 0.85;
/** Clients that were refused at the limit are served again from here on. */
export const SERVED_SHARE = 0.97;
/** Each further halving of what is stored begins this much later, and ends as much below. */
const STEP = 0.0125;
const HYSTERESIS = POLICY_SHARE - EASED_SHARE;

/** Written by main. */
export class StoragePressure {
  readonly limitBytes: number;
  readonly #policy: Settings["storagePolicy"];
  /** PRESSURE_ bits. */
  pressure = PRESSURE_NONE;
  /** Of new traces one in 2^level is stored. */
  level = 0;
  /** Bytes above what the policy aims at; 0 when it does not judge early. */
  excessBytes = 0;

  constructor(policy: Settings["storagePolicy"], limitBytes: number) {
    this.#policy = policy;
    this.limitBytes = limitBytes;
  }

  /** Looks at the bytes in use. @returns true when `pressure` changed. */
  look(usedBytes: number): boolean {
    const used = usedBytes / this.limitBytes;
    const before = this.pressure;
    const near = used >= (before === PRESSURE_NONE ? POLICY_SHARE : EASED_SHARE);
    const refusing = used >= ((before & PRESSURE_REFUSE) === 0 ? 1 : SERVED_SHARE);
    const decides = near && this.#policy === "decide-early";
    this.pressure = (near ? PRESSURE_NEAR : PRESSURE_NONE) | (decides ? PRESSURE_DECIDE : 0)
      | (refusing ? PRESSURE_REFUSE : 0);
    this.excessBytes = decides ? Math.max(0, usedBytes - this.limitBytes * EASED_SHARE) : 0;
    if (this.#policy === "hash-sample") this.level = nextLevel(this.level, used);
    return this.pressure !== before;
  }
}

/** One halving more than steps begun; the present level stays until the fill is well below it. */
function nextLevel(level: number, used: number): number {
  const rising = Math.floor((used - POLICY_SHARE) / STEP + 1e-9) + 1;
  const falling = Math.floor((used - POLICY_SHARE + HYSTERESIS) / STEP + 1e-9) + 1;
  const next = Math.min(Math.max(level, rising), Math.max(rising, falling));
  return Math.min(Math.max(next, 0), SHARE_LEVEL_MAX);
}
