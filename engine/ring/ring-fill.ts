// How full a byte ring is, for whoever is neither its producer nor its consumer.

import { RING_CAPACITY, RING_PUBLISHED, RING_RELEASED } from "./ring-layout.ts";

/** Bytes that wait in a ring, message headers and skipped ends included, and its capacity. */
export interface RingFill {
  readonly bytes: number;
  readonly capacityBytes: number;
}

/** Reads the fill at one moment; both ends go on meanwhile. */
export function ringFill(memory: SharedArrayBuffer): RingFill {
  const words = new Int32Array(memory);
  const capacityBytes = words[RING_CAPACITY]!; // every ring has a head
  const released = Atomics.load(words, RING_RELEASED);
  const waiting = (Atomics.load(words, RING_PUBLISHED) - released) >>> 0; // sequences wrap
  return { bytes: Math.min(waiting, capacityBytes), capacityBytes };
}
