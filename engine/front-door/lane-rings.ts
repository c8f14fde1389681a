// The door's ends of the rings to the lanes: chooses a lane for each payload and copies it there.

import { LANES_MAX } from "../../config/limits.ts";
import { assert } from "../base/assert.ts";
import { copyBytes } from "../base/copy-bytes.ts";
import type { ByteRingProducer } from "../ring/byte-ring.ts";
import {
  COMPLETION_WORDS, PAYLOAD_ARRIVAL_HIGH, PAYLOAD_ARRIVAL_LOW, PAYLOAD_BODY_BYTES,
  PAYLOAD_ENCODING, PAYLOAD_FLAGS, PAYLOAD_FORMAT, PAYLOAD_HEADER_BYTES, PAYLOAD_HEADER_WORDS,
  PAYLOAD_REQUEST,
} from "../ring/payload-layout.ts";
import type { SlotRingConsumer } from "../ring/slot-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";

/** The main thread's ends of one lane's rings. */
export interface LaneEnds {
  /** Payloads, door to lane. */
  readonly payloads: ByteRingProducer;
  /** Completions, lane to door: slots of COMPLETION_WORDS. */
  readonly completions: SlotRingConsumer;
  /** Wakes the lane. */
  readonly wake: WakeWord;
}

/** All lanes as the door sees them. */
export class LaneRings {
  readonly lanes: readonly LaneEnds[];
  private readonly creditBytes: number;
  /** Where the next search begins: equally full lanes take turns. */
  private nextLane: number;

  constructor(lanes: readonly LaneEnds[], creditBytes: number, maxBodyBytes: number) {
    assert(lanes.length > 0, "a door has lanes");
    assert(lanes.length <= LANES_MAX, "a process has at most LANES_MAX lanes");
    for (const lane of lanes) {
      const largest = PAYLOAD_HEADER_BYTES + maxBodyBytes;
      assert(largest <= lane.payloads.messageBytesMax, "the largest body fits every lane ring");
      assert(lane.completions.slotWords === COMPLETION_WORDS, "completions have their layout");
    }
    this.lanes = lanes;
    this.creditBytes = creditBytes;
    this.nextLane = 0;
  }

  /** True when no lane takes anything now: refuse before a body is read. */
  isFull(): boolean {
    for (const lane of this.lanes) if (lane.payloads.usedBytes() < this.creditBytes) return false;
    return true;
  }

  /**
   * Copies one complete body into the lane with the fewest bytes waiting, and wakes it. The body is
   * the first `headBytes` of `head` and all of `tail`.
   * @param tail borrowed until return.
   * @returns false when every lane is at its credit or has no room.
   */
  offer(
    requestId: number, format: number, encoding: number, arrivalMs: number,
    head: Uint8Array | null, headBytes: number, tail: Uint8Array,
  ): boolean {
    const bodyBytes = headBytes + tail.length;
    const lane = this.reserve(PAYLOAD_HEADER_BYTES + bodyBytes);
    if (lane < 0) return false;
    const { payloads, wake } = this.lanes[lane]!; // reserve returns a lane
    const { words, bytes } = payloads;
    const at = this.reservedAt;
    const wordAt = at >>> 2;
    words[wordAt + PAYLOAD_REQUEST] = requestId;
    words[wordAt + PAYLOAD_FORMAT] = format;
    words[wordAt + PAYLOAD_ENCODING] = encoding;
    words[wordAt + PAYLOAD_BODY_BYTES] = bodyBytes;
    words[wordAt + PAYLOAD_ARRIVAL_LOW] = arrivalMs % 2 ** 32;
    words[wordAt + PAYLOAD_ARRIVAL_HIGH] = Math.floor(arrivalMs / 2 ** 32);
    words[wordAt + PAYLOAD_FLAGS] = 0;
    words[wordAt + PAYLOAD_HEADER_WORDS - 1] = 0;
    const bodyAt = at + PAYLOAD_HEADER_BYTES;
    if (head !== null) copyBytes(head, 0, headBytes, bytes, bodyAt);
    copyBytes(tail, 0, tail.length, bytes, bodyAt + headBytes);
    payloads.publish(PAYLOAD_HEADER_BYTES + bodyBytes);
    wake.wake();
    return true;
  }

  /** Offset of the last successful reservation. */
  private reservedAt = -1;

  /** The chosen lane, or -1. Looks at each lane at most twice. */
  private reserve(messageBytes: number): number {
    const chosen = this.leastUsed();
    if (chosen < 0) return -1;
    const count = this.lanes.length;
    for (let step = 0; step < count; step++) {
      const lane = (chosen + step) % count;
      const { payloads } = this.lanes[lane]!; // lane < count
      if (payloads.usedBytes() >= this.creditBytes) continue;
      this.reservedAt = payloads.reserve(messageBytes);
      if (this.reservedAt >= 0) {
        this.nextLane = (lane + 1) % count;
        return lane;
      }
    }
    return -1;
  }

  /** Fewest bytes waiting under the credit; the first from `nextLane` on among equals; or -1. */
  private leastUsed(): number {
    const count = this.lanes.length;
    let best = -1;
    let bestBytes = this.creditBytes;
    for (let step = 0; step < count; step++) {
      const lane = (this.nextLane + step) % count;
      const usedBytes = this.lanes[lane]!.payloads.usedBytes(); // lane < count
      if (usedBytes >= bestBytes) continue;
      best = lane;
      bestBytes = usedBytes;
    }
    return best;
  }
}
