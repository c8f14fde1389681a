// How many connections there are at once, over all listeners and engines of a door. Beyond the
// limit a connection ends at once: descriptors are what the log needs to work.

import { assert } from "../base/assert.ts";
import { REQUEST_CONNECTIONS } from "../telemetry/label-values.ts";
import type { DoorCounters } from "./door-counters.ts";

/** Counts connections; main thread. */
export class ConnectionGate {
  open: number;
  private readonly openMax: number;
  private readonly counters: DoorCounters;

  constructor(openMax: number, counters: DoorCounters) {
    this.open = 0;
    this.openMax = openMax;
    this.counters = counters;
  }

  /** A connection is there. @returns false when it must end at once; it leaves all the same. */
  enter(): boolean {
    this.open++;
    if (this.open <= this.openMax) return true;
    const { refused } = this.counters;
    refused[REQUEST_CONNECTIONS] = refused[REQUEST_CONNECTIONS]! + 1; // an index of the table
    return false;
  }

  /** A connection that entered has ended. */
  leave(): void {
    this.open--;
    assert(this.open >= 0, "a connection leaves once");
  }
}
