// Acknowledgements to lanes: one slot ring a lane, all written by the forwarder thread. What a full
// ring does not take waits here. Bound: a forwarder takes no messages of a lane that has a backlog,
// so the backlog is at most what the batches in memory hold. Policy: `flush` is called again.

import { assert } from "../base/assert.ts";
import { SlotRingProducer } from "../ring/slot-ring.ts";
import { WakeWord } from "../ring/wake-word.ts";
import {
  ACK_FORWARDER, ACK_MESSAGE_ID, ACK_OUTCOME, ACK_WORDS, type AckOutcome,
} from "./message-layout.ts";

const BACKLOG_WORDS = 3;

/** The writing ends of all lanes' acknowledgement rings. Owned by the forwarder thread. */
export class Acknowledgements {
  readonly #lanes: readonly LaneAcknowledgements[];

  /** @param rings and wakes: one of each a lane, in the order of lanes. */
  constructor(rings: readonly SharedArrayBuffer[], wakes: readonly SharedArrayBuffer[]) {
    assert(rings.length === wakes.length, "a lane has a ring and a wake word");
    this.#lanes = rings.map((ring, lane) => new LaneAcknowledgements(ring, wakes[lane]!));
  }

  /** Stages one acknowledgement; lanes see it after `flush`. */
  push(lane: number, forwarder: number, messageId: number, outcome: AckOutcome): void {
    this.#lanes[lane]!.push(forwarder, messageId, outcome);
  }

  /** Makes staged acknowledgements visible and wakes the lanes that got some. */
  flush(): void {
    for (const lane of this.#lanes) lane.flush();
  }

  /** True while the lane is behind with its acknowledgements. */
  blocked(lane: number): boolean {
    return this.#lanes[lane]!.waiting > 0;
  }

  /** Acknowledgements that no ring has taken yet. */
  get waiting(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.waiting, 0);
  }
}

class LaneAcknowledgements {
  readonly #ring: SlotRingProducer;
  readonly #wake: WakeWord;
  #backlog: number[] = [];
  #backlogAt = 0;

  constructor(ring: SharedArrayBuffer, wake: SharedArrayBuffer) {
    this.#ring = new SlotRingProducer(ring);
    assert(this.#ring.slotWords === ACK_WORDS, "an acknowledgement ring has slots of ACK_WORDS");
    this.#wake = new WakeWord(wake);
  }

  get waiting(): number {
    return (this.#backlog.length - this.#backlogAt) / BACKLOG_WORDS;
  }

  push(forwarder: number, messageId: number, outcome: AckOutcome): void {
    if (this.waiting === 0 && this.#write(forwarder, messageId, outcome)) return;
    this.#backlog.push(forwarder, messageId, outcome);
  }

  flush(): void {
    while (this.waiting > 0) {
      const at = this.#backlogAt;
      const backlog = this.#backlog;
      if (!this.#write(backlog[at]!, backlog[at + 1]!, backlog[at + 2]!)) break;
      this.#backlogAt = at + BACKLOG_WORDS;
    }
    if (this.#backlogAt > 0 && this.waiting === 0) {
      this.#backlog = [];
      this.#backlogAt = 0;
    }
    if (this.#ring.flush()) this.#wake.wake();
  }

  #write(forwarder: number, messageId: number, outcome: number): boolean {
    const at = this.#ring.reserve();
    if (at < 0) return false;
    const words = this.#ring.words;
    words[at + ACK_FORWARDER] = forwarder;
    words[at + ACK_MESSAGE_ID] = messageId;
    words[at + ACK_OUTCOME] = outcome;
    words[at + 3] = 0;
    this.#ring.publish();
    return true;
  }
}
