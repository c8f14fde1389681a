// From kept parts to the forwarders: sort by record, read each record once, render the spans that a
// forwarder gets straight into its ring. A forwarder that does not take them for a while gets them through
// its outbox; then their parts are settled and a dead backend pins nothing of the log.

import { assert } from "../base/assert.ts";
import { copyBytes } from "../base/copy-bytes.ts";
import { ACK_DELIVERED, ACK_REFUSED } from "../forward/message-layout.ts";
import { READ_OK } from "../log/entry-reader.ts";
import type { LaneLog } from "../log/lane-log.ts";
import { LOG_OK } from "../log/log-status.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_INDEX, DECISION_WORDS,
} from "../part/decision-layout.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import {
  KEPT_LOST_BACKEND_REFUSED, KEPT_LOST_OUTBOX_LIMIT, KEPT_LOST_RECORD_CORRUPT, keptLostIndex,
} from "../telemetry/label-values.ts";
import {
  KEPT_SPANS_LOST, OUTBOX_SPANS, SPANS_ACKNOWLEDGED,
} from "../telemetry/metric-table.ts";
import { OtlpRenderer } from "../wire/otlp-proto/render.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import type { Delivery, Shipment } from "./delivery.ts";
import type { KeptStore } from "./kept-store.ts";
import type { SuffixTable } from "./suffix-table.ts";

/** Kept parts of one forwarder that are sorted and rendered in a turn. */
const PARTS_PER_TURN = 2048;
/** Size of one message, except that a span is never cut. */
const MESSAGE_BYTES = 1024 * 1024;
/** Outbox messages that go back to a ring in a turn. */
const REPLAYS_PER_TURN = 16;

// A sort key: generation, entry, place in the batch; exact in a float64.
const PLACE_RANGE = PARTS_PER_TURN;
const ENTRY_RANGE = 2 ** 22;

/** What became of a record. */
const SENT = 0;
const NO_ROOM = 1;

export interface DeliveriesParts {
  readonly log: LaneLog;
  readonly kept: KeptStore;
  readonly suffixes: SuffixTable;
  readonly index: RecordIndex;
  readonly forwarderWake: WakeWord;
  readonly counters: CounterBlock<"lane">;
}

/** Written by its lane only. */
export class Deliveries {
  readonly bySlot: (Delivery | undefined)[] = [];
  readonly list: readonly Delivery[];
  readonly #in: DeliveriesParts;
  readonly #renderer = new OtlpRenderer();
  readonly #batch = new Uint32Array(PARTS_PER_TURN);
  readonly #sorted = new Uint32Array(PARTS_PER_TURN);
  readonly #keys = new Float64Array(PARTS_PER_TURN);
  #wanted = new Uint32Array(1024);
  #scratch: Buffer = Buffer.allocUnsafeSlow(MESSAGE_BYTES);
  #nextMessage = 1;
  #published = false;

  constructor(parts: DeliveriesParts, list: readonly Delivery[]) {
    this.#in = parts;
    this.list = list;
    for (const delivery of list) this.bySlot[delivery.slot] = delivery;
  }

  /** Nothing waits for a forwarder, nothing is on its way. */
  get idle(): boolean {
    return this.list.every((delivery) => delivery.idle);
  }

  /** A kept part whose decision is committed. */
  queue(entry: number): void {
    const pending = this.#in.kept.pending(entry);
    for (const delivery of this.list) {
      if ((pending & (1 << delivery.slot)) !== 0) delivery.add(entry);
    }
  }

  /** One turn of all forwarders. @returns true when anything moved. */
  run(nowMs: number): boolean {
    let moved = false;
    for (const delivery of this.list) {
      if (this.#send(delivery, nowMs)) moved = true;
      if (this.#replay(delivery)) moved = true;
    }
    if (this.#published) this.#in.forwarderWake.wake();
    this.#published = false;
    return moved;
  }

  #send(delivery: Delivery, nowMs: number): boolean {
    if (delivery.partial === null && delivery.waiting === 0) return false;
    if (!delivery.hasCredit) {
      return delivery.blocked(nowMs) && this.#divert(delivery);
    }
    if (delivery.partial !== null && !this.#sendRest(delivery)) return true;
    return this.#sendBatch(delivery, false) > 0;
  }

  /** Renders waiting parts, record by record. @returns parts that went. */
  #sendBatch(delivery: Delivery, toOutbox: boolean): number {
    const count = Math.min(delivery.waiting, PARTS_PER_TURN);
    if (count === 0) return 0;
    delivery.first(this.#batch, count);
    this.#sort(count);
    let at = 0;
    while (at < count) {
      const end = this.#endOfRecord(at, count);
      if (this.#sendRecord(delivery, at, end, toOutbox) === NO_ROOM) break;
      at = end;
      if (delivery.partial !== null) break;
    }
    delivery.consume(this.#sorted, count, count - at);
    return at;
  }

  /** Parts of one record to neighbours, records in the order they lie in. */
  #sort(count: number): void {
    const { words } = this.#in.kept;
    const keys = this.#keys.subarray(0, count);
    let oldest = Infinity;
    for (let place = 0; place < count; place++) {
      oldest = Math.min(oldest, words[this.#batch[place]! * DECISION_WORDS + DECISION_GENERATION]!);
    }
    for (let place = 0; place < count; place++) {
      const at = this.#batch[place]! * DECISION_WORDS;
      const generation = words[at + DECISION_GENERATION]! - oldest;
      const entry = words[at + DECISION_ENTRY]!;
      assert(entry < ENTRY_RANGE, "entries of a generation fit their sort key");
      keys[place] = (generation * ENTRY_RANGE + entry) * PLACE_RANGE + place;
    }
    keys.sort();
    for (let place = 0; place < count; place++) {
      this.#sorted[place] = this.#batch[keys[place]! % PLACE_RANGE]!;
    }
  }

  #endOfRecord(at: number, count: number): number {
    const { words } = this.#in.kept;
    const first = this.#sorted[at]! * DECISION_WORDS;
    let end = at + 1;
    for (; end < count; end++) {
      const next = this.#sorted[end]! * DECISION_WORDS;
      if (words[next + DECISION_ENTRY] !== words[first + DECISION_ENTRY]
        || words[next + DECISION_GENERATION] !== words[first + DECISION_GENERATION]) break;
    }
    return end;
  }

  #sendRecord(delivery: Delivery, at: number, end: number, toOutbox: boolean): number {
    const shipment: Shipment = {
      entries: this.#sorted.slice(at, end), messages: 0, complete: false, refused: false,
    };
    return this.#render(delivery, shipment, 0, toOutbox);
  }

  /** Goes on with a record whose last messages found no room. True when it is out. */
  #sendRest(delivery: Delivery): boolean {
    const partial = delivery.partial!; // asked by the caller
    delivery.partial = null;
    this.#render(delivery, partial.shipment, partial.nextSpan, false);
    return delivery.partial === null;
  }

  /** Renders a record's spans from `firstSpan` on into messages. */
  #render(delivery: Delivery, shipment: Shipment, firstSpan: number, toOutbox: boolean): number {
    const { log, kept } = this.#in;
    const first = shipment.entries[0]! * DECISION_WORDS;
    const generation = kept.words[first + DECISION_GENERATION]!;
    const entry = kept.words[first + DECISION_ENTRY]!;
    let nextSpan = -1;
    const status = log.reading(generation, () => {
      if (!this.#prepare(delivery.slot, shipment, generation, entry)) return;
      nextSpan = this.#putMessages(delivery, shipment, firstSpan, toOutbox);
      this.#renderer.release();
    });
    if (status !== READ_OK || nextSpan < 0) {
      this.#lose(delivery, shipment, KEPT_LOST_RECORD_CORRUPT);
      return SENT;
    }
    if (nextSpan === this.#in.index.spanCount) {
      shipment.complete = true;
      if (shipment.messages === 0 && !toOutbox) this.#settle(delivery, shipment);
      return SENT;
    }
    if (nextSpan === 0 && shipment.messages === 0) return NO_ROOM;
    delivery.partial = { shipment, nextSpan };
    return SENT;
  }

  /** Reads the record and marks the wanted parts; false when it is gone or corrupt. */
  #prepare(slot: number, shipment: Shipment, generation: number, entry: number): boolean {
    const { log, kept, index, suffixes } = this.#in;
    const found = log.readIndex(generation, entry);
    if (found === null || !index.decodeFrom(found.bytes, found.at, found.end)) return false;
    const body = log.readRecord(generation, entry);
    if (body === null || index.payloadBytesMin() > body.end - body.at) return false;
    if (this.#wanted.length < index.partCount) this.#wanted = new Uint32Array(index.partCount * 2);
    if (kept.isWholeRecord(shipment.entries[0]!)) {
      this.#wanted.fill(1, 0, index.partCount);
    } else {
      this.#wanted.fill(0, 0, index.partCount);
      for (const number of shipment.entries) {
        const at = number * DECISION_WORDS;
        const part = kept.words[at + DECISION_INDEX]!;
        if (part < index.partCount) this.#wanted[part] = suffixes.numberFor(kept.words, at, slot) + 1;
      }
    }
    this.#renderer.prepare(body.bytes, body.at, body.end, index, this.#wanted, suffixes.suffixes);
    return true;
  }

  /** @returns the first span that found no room; the record's span count when all did. */
  #putMessages(
    delivery: Delivery, shipment: Shipment, firstSpan: number, toOutbox: boolean,
  ): number {
    const { spanCount } = this.#in.index;
    for (let span = firstSpan; span < spanCount;) {
      const end = this.#renderer.planEnd(span, MESSAGE_BYTES);
      const bytes = this.#renderer.measure(span, end);
      if (bytes > 0) {
        const put = toOutbox ? this.#putOutbox(delivery, bytes)
          : this.#putRing(delivery, shipment, bytes);
        if (!put) return span;
      }
      span = end;
    }
    return spanCount;
  }

  #putRing(delivery: Delivery, shipment: Shipment, bytes: number): boolean {
    const id = this.#nextMessage;
    const at = delivery.reserve(id, this.#renderer.spanCount, bytes);
    if (at < 0) return false;
    const end = this.#renderer.write(delivery.ring.bytes, at);
    assert(end === at + bytes, "a message is as long as it was measured");
    delivery.publish(bytes);
    delivery.inFlight.set(id, shipment);
    shipment.messages++;
    this.#nextMessage = (id + 1) >>> 0;
    this.#published = true;
    return true;
  }

  #putOutbox(delivery: Delivery, bytes: number): boolean {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(bytes * 2);
    this.#renderer.write(this.#scratch, 0);
    delivery.outbox.append(this.#scratch, 0, bytes, this.#renderer.spanCount);
    return true;
  }

  /** Moves what waits to the outbox: rendered, committed there, then settled here. */
  #divert(delivery: Delivery): boolean {
    if (delivery.partial !== null || delivery.waiting === 0) return false; // its messages must end
    const { outbox } = delivery;
    let went = 0;
    const status = outbox.transact(() => { went = this.#sendBatch(delivery, true); });
    const entries = this.#sorted.slice(0, went);
    if (status !== LOG_OK) {
      delivery.restore(entries);
      return false;
    }
    for (const entry of entries) this.#clearPart(delivery, entry);
    this.#countLost(delivery.slot, KEPT_LOST_OUTBOX_LIMIT, outbox.evict());
    return went > 0;
  }

  /** Messages of the outbox go back to the ring when it has room. */
  #replay(delivery: Delivery): boolean {
    if (delivery.outbox.isEmpty) return false;
    let count = 0;
    while (count < REPLAYS_PER_TURN && delivery.hasCredit && this.#replayOne(delivery)) count++;
    this.#countLost(delivery.slot, KEPT_LOST_RECORD_CORRUPT, delivery.takeCorruptSpans());
    return count > 0;
  }

  #replayOne(delivery: Delivery): boolean {
    const { outbox } = delivery;
    const message = outbox.peek();
    if (message === null) return false;
    const id = this.#nextMessage;
    const bytes = message.end - message.at;
    const at = delivery.reserve(id, message.spans, bytes);
    if (at < 0) return false;
    copyBytes(message.bytes, message.at, message.end, delivery.ring.bytes, at);
    delivery.publish(bytes);
    delivery.inFlight.set(id, outbox.take());
    this.#nextMessage = (id + 1) >>> 0;
    this.#published = true;
    return true;
  }

  /** The forwarder of `slot` answered for one message. */
  acknowledge(slot: number, id: number, outcome: number): void {
    const delivery = this.bySlot[slot];
    const sent = delivery?.inFlight.get(id);
    assert(delivery !== undefined && sent !== undefined, "a message is acknowledged once");
    delivery.inFlight.delete(id);
    delivery.blockedSinceMs = -1;
    if (typeof sent === "number") {
      this.#countEnd(slot, outcome, delivery.outbox.acknowledge(sent));
      return;
    }
    sent.messages--;
    if (outcome !== ACK_DELIVERED) sent.refused = true;
    if (sent.complete && sent.messages === 0) this.#settle(delivery, sent);
  }

  #settle(delivery: Delivery, shipment: Shipment): void {
    let spans = 0;
    for (const entry of shipment.entries) spans += this.#clearPart(delivery, entry);
    this.#countEnd(delivery.slot, shipment.refused ? ACK_REFUSED : ACK_DELIVERED, spans);
  }

  #lose(delivery: Delivery, shipment: Shipment, reason: number): void {
    let spans = 0;
    for (const entry of shipment.entries) spans += this.#clearPart(delivery, entry);
    this.#countLost(delivery.slot, reason, spans);
  }

  #countEnd(slot: number, outcome: number, spans: number): void {
    if (outcome !== ACK_DELIVERED) {
      this.#countLost(slot, KEPT_LOST_BACKEND_REFUSED, spans);
      return;
    }
    this.#in.counters.addAt(OUTBOX_SPANS, slot, -spans);
    this.#in.counters.addAt(SPANS_ACKNOWLEDGED, slot, spans);
  }

  #countLost(slot: number, reason: number, spans: number): void {
    if (spans === 0) return;
    this.#in.counters.addAt(OUTBOX_SPANS, slot, -spans);
    this.#in.counters.addAt(KEPT_SPANS_LOST, keptLostIndex(slot, reason), spans);
  }

  /** The forwarder owes nothing more for a kept part, or for a whole record. @returns its spans. */
  #clearPart(delivery: Delivery, number: number): number {
    const { log, kept } = this.#in;
    const at = number * DECISION_WORDS;
    const states = log.states(kept.words[at + DECISION_GENERATION]!);
    assert(states !== undefined, "a part that owes keeps its generation");
    const entry = kept.words[at + DECISION_ENTRY]!;
    const bit = (1 << (delivery.slot + 16)) >>> 0;
    let spans = 0;
    if (kept.isWholeRecord(number)) {
      for (let part = states.nextPart(entry, 0, bit); part >= 0;
        part = states.nextPart(entry, part + 1, bit)) {
        spans += states.spans(entry, part);
        states.clear(entry, part, bit);
      }
    } else {
      const part = kept.words[at + DECISION_INDEX]!;
      spans = states.spans(entry, part);
      states.clear(entry, part, bit);
    }
    kept.settle(number, delivery.slot);
    return spans;
  }
}
