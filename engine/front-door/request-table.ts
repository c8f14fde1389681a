// Requests begun and not answered, one slot each. Columns; row i of each is slot i.
//
//   FREE ──take──► BODY ──published──► WAITING ──completion──► FREE
//                   │ abort, refusal      │ abort
//                   ▼                     ▼
//                  FREE                  GONE ──completion──► FREE
//
// A slot whose payload is with a lane stays taken until the lane's completion is back, so that the
// completion can never be taken for another request's. The generation is the check of that.
// Request id: generation << 16 | slot. The main thread writes all of it.

import { assert } from "../base/assert.ts";
import { REQUESTS_MAX } from "./door-limits.ts";

export const REQUEST_FREE = 0;
export const REQUEST_BODY = 1;
export const REQUEST_WAITING = 2;
export const REQUEST_GONE = 3;

/** Requests of a door; `Exchange` is what the HTTP engine needs to answer one. */
export class RequestTable<Exchange> {
  /** Slots that are not FREE. */
  taken: number;
  readonly state: Uint8Array;
  readonly format: Uint8Array;
  readonly encoding: Uint8Array;
  /** Bytes of the body so far. */
  readonly receivedBytes: Uint32Array;
  /** Monotonic ms when the headers were read. */
  readonly begunMs: Float64Array;
  /** Memory of the body so far, null for none. */
  readonly blocks: (Uint8Array | null)[];
  readonly exchanges: (Exchange | null)[];
  /** Slots from here on were never taken: sweeps end here. */
  usedSlots: number;
  private readonly generation: Uint16Array;
  private readonly freeSlots: Uint16Array;
  private freeCount: number;
  private readonly slots: number;

  constructor(slots: number) {
    assert(slots > 0, "a door takes requests");
    assert(slots <= REQUESTS_MAX, "a request id has 16 bits for the slot");
    this.taken = 0;
    this.state = new Uint8Array(slots);
    this.format = new Uint8Array(slots);
    this.encoding = new Uint8Array(slots);
    this.receivedBytes = new Uint32Array(slots);
    this.begunMs = new Float64Array(slots);
    this.blocks = Array.from({ length: slots }, () => null);
    this.exchanges = Array.from({ length: slots }, () => null);
    this.usedSlots = 0;
    this.generation = new Uint16Array(slots);
    this.freeSlots = new Uint16Array(slots);
    for (let index = 0; index < slots; index++) this.freeSlots[index] = slots - 1 - index;
    this.freeCount = slots;
    this.slots = slots;
  }

  /** A slot in state BODY, lowest first while none was freed; -1 when all are taken. */
  take(format: number, encoding: number, nowMs: number): number {
    if (this.freeCount === 0) return -1;
    this.freeCount--;
    const slot = this.freeSlots[this.freeCount]!; // below freeCount all places are filled
    assert(this.state[slot] === REQUEST_FREE, "a free slot is free");
    this.state[slot] = REQUEST_BODY;
    this.format[slot] = format;
    this.encoding[slot] = encoding;
    this.receivedBytes[slot] = 0;
    this.begunMs[slot] = nowMs;
    this.taken++;
    if (slot >= this.usedSlots) this.usedSlots = slot + 1;
    return slot;
  }

  /** Makes a slot free; its memory was given back before. */
  free(slot: number): void {
    assert(this.state[slot] !== REQUEST_FREE, "a slot is freed once");
    assert(this.blocks[slot] === null, "a slot gives its memory back before it is free");
    this.state[slot] = REQUEST_FREE;
    this.exchanges[slot] = null;
    this.generation[slot] = (this.generation[slot]! + 1) & 0xffff; // slot is one of ours
    this.freeSlots[this.freeCount] = slot;
    this.freeCount++;
    this.taken--;
  }

  /** What a lane sends back with its verdict. */
  requestId(slot: number): number {
    return ((this.generation[slot]! << 16) | slot) >>> 0; // slot is one of ours
  }

  /** The slot of a completion, or -1 when its request is no longer with a lane. */
  slotOf(requestId: number): number {
    const slot = requestId & 0xffff;
    if (slot >= this.slots) return -1;
    if (this.generation[slot] !== requestId >>> 16) return -1;
    const state = this.state[slot];
    return state === REQUEST_WAITING || state === REQUEST_GONE ? slot : -1;
  }
}
