// From kept parts to the forwarders: sort by record, read each record once, render the spans that a
// forwarder gets straight into its ring.
//
//   kept part ─► ring ─► forwarder ─► acknowledged ─► settled
//                  └─ not taken, or not answered, for OutboxAfter ─► outbox, committed ─► settled
//
// What goes to the outbox because the ring is full is sent from there later. What the forwarder has
// in memory and has not answered for is copied there as well: the copy ends with the answer, or is
// sent by the next process. So a dead backend pins nothing of the log for longer than OutboxAfter.

import { assert } from "../base/assert.ts";
import { copyBytes } from "../base/copy-bytes.ts";
import { ACK_DELIVERED } from "../forward/message-layout.ts";
import { READ_OK } from "../log/entry-reader.ts";
import { LOG_OK } from "../log/log-status.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_INDEX, DECISION_WORDS,
} from "../part/decision-layout.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import {
  KEPT_LOST_BACKEND_REFUSED, KEPT_LOST_MESSAGE_SIZE, KEPT_LOST_OUTBOX_LIMIT,
  KEPT_LOST_RECORD_CORRUPT, keptLostIndex,
} from "../telemetry/label-values.ts";
import { KEPT_SPANS_LOST, OUTBOX_SPANS, SPANS_ACKNOWLEDGED } from "../telemetry/metric-table.ts";
import type { Delivery, SentMessage, Shipment } from "./delivery.ts";
import { KeptBatch, PARTS_OF_LARGE } from "./kept-batch.ts";
import { RecordMessages, UNREADABLE, type RecordMessagesParts } from "./record-messages.ts";

/** Outbox messages that go back to a ring in a turn, and unanswered shipments that are copied. */
const REPLAYS_PER_TURN = 16;
const COPIES_PER_TURN = 64;
/** Unanswered shipments are looked for this often. */
const COPY_PERIOD_MS = 500;
/** A kept store this full sends what blocked forwarders wait for to their outboxes at once. */
const CROWDED_SHARE = 0.5;
const SCRATCH_BYTES = 1024 * 1024;
/** A record with this many parts is large: its kept parts are gathered for a while. */
const LARGE_PARTS = 16_384;
/** So many are gathered where other lanes or nodes judge too: a record is read once for them. */
const GATHERED_PARTS = 16_384;
const GATHER_MS = 250;

export interface DeliveriesParts extends RecordMessagesParts {
  readonly forwarderWake: WakeWord;
  readonly counters: CounterBlock<"lane">;
  /** Traces of this lane's records are judged by other lanes or nodes as well. */
  readonly hasOtherOwners: boolean;
}

/** Written by its lane only. */
export class Deliveries {
  readonly bySlot: (Delivery | undefined)[] = [];
  readonly list: readonly Delivery[];
  /** False from the begin of a shutdown: what the outboxes have stays there. */
  replays = true;
  readonly #in: DeliveriesParts;
  readonly #messages: RecordMessages;
  readonly #batch: KeptBatch;
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #nextMessage = 1;
  #published = false;
  #copiesAtMs = 0;

  constructor(parts: DeliveriesParts, list: readonly Delivery[]) {
    this.#in = parts;
    this.#messages = new RecordMessages(parts);
    this.#batch = new KeptBatch(parts.kept);
    this.list = list;
    for (const delivery of list) this.bySlot[delivery.slot] = delivery;
  }

  /** Nothing is on its way, and nothing waits outside of the outboxes. */
  get idle(): boolean {
    return this.list.every((delivery) => delivery.idle);
  }

  /** Every ring has all that it takes. */
  get handedOver(): boolean {
    return this.list.every((delivery) => delivery.handedOver);
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
    const copies = nowMs >= this.#copiesAtMs;
    if (copies) this.#copiesAtMs = nowMs + COPY_PERIOD_MS;
    let moved = false;
    for (const delivery of this.list) {
      if (this.#send(delivery, nowMs)) moved = true;
      if (this.replays && this.#replay(delivery)) moved = true;
      if (copies) this.#copyUnanswered(delivery, nowMs);
    }
    if (this.#published) this.#in.forwarderWake.wake();
    this.#published = false;
    return moved;
  }

  #send(delivery: Delivery, nowMs: number): boolean {
    if (delivery.partial === null && delivery.waiting === 0) return false;
    if (!delivery.hasCredit) {
      const { kept } = this.#in;
      const crowded = kept.room < kept.entriesMax * CROWDED_SHARE;
      return (delivery.blocked(nowMs) || crowded) && this.#divert(delivery);
    }
    if (delivery.partial !== null && !this.#sendRest(delivery)) return true;
    const large = this.#isLarge(delivery.firstWaiting);
    if (this.#gathers(delivery, nowMs, large)) return false;
    delivery.gathersSinceMs = -1;
    return this.#sendBatch(delivery, nowMs, large) > 0;
  }

  #isLarge(entry: number): boolean {
    if (entry === 0) return false;
    const { kept, log } = this.#in;
    const at = entry * DECISION_WORDS;
    const states = log.states(kept.words[at + DECISION_GENERATION]!);
    return (states?.partsOf(kept.words[at + DECISION_ENTRY]!) ?? 0) >= LARGE_PARTS
      && !kept.isWholeRecord(entry);
  }

  /** True while more parts are waited for: decisions come a turn's worth, and from several. */
  #gathers(delivery: Delivery, nowMs: number, large: boolean): boolean {
    const { hasOtherOwners, kept } = this.#in;
    const most = large ? PARTS_OF_LARGE : hasOtherOwners ? GATHERED_PARTS : 0;
    if (!this.replays || delivery.waiting === 0 || delivery.waiting >= most) return false;
    if (!large && kept.isWholeRecord(delivery.firstWaiting)) return false;
    if (delivery.gathersSinceMs < 0) delivery.gathersSinceMs = nowMs;
    return nowMs - delivery.gathersSinceMs < GATHER_MS;
  }

  /** Sends waiting parts, record by record. @returns parts that went. */
  #sendBatch(delivery: Delivery, nowMs: number, large: boolean): number {
    const { log } = this.#in;
    const count = this.#batch.take(delivery, large);
    let at = 0;
    let room = true;
    const sendRun = (end: number): void => {
      while (at < end && room) {
        const next = this.#batch.endOfRecord(at);
        room = this.#sendRecord(delivery, at, next, nowMs);
        if (room) at = next;
      }
    };
    while (at < count && room) {
      const end = this.#batch.endOfGeneration(at);
      const generation = this.#batch.generationAt(at);
      // One transaction for all records of a generation; without it each record has its own.
      if (log.reading(generation, () => sendRun(end)) !== READ_OK) sendRun(end);
    }
    delivery.consume(this.#batch.entries, count, count - at);
    return at;
  }

  /** False when the ring has no room for any of it, or when the record before is not all out. */
  #sendRecord(delivery: Delivery, at: number, end: number, nowMs: number): boolean {
    if (delivery.partial !== null) return false;
    const shipment: Shipment = {
      entries: this.#batch.entries.slice(at, end), sentMs: nowMs, messages: 0, complete: false,
      tickets: null, split: false,
    };
    return this.#ship(delivery, shipment, 0);
  }

  /** Goes on with a record whose last messages found no room. True when it is out. */
  #sendRest(delivery: Delivery): boolean {
    const { shipment, nextSpan } = delivery.partial!; // asked by the caller
    delivery.partial = null;
    this.#ship(delivery, shipment, nextSpan);
    return delivery.partial === null;
  }

  /** Renders a record's spans from `firstSpan` on into the ring. False when none found room. */
  #ship(delivery: Delivery, shipment: Shipment, firstSpan: number): boolean {
    const next = this.#messages.put(delivery.slot, shipment.entries, firstSpan, (bytes) => {
      return this.#putRing(delivery, shipment, bytes);
    });
    if (next === UNREADABLE) {
      const spans = this.#clear(delivery, shipment.entries);
      this.#countLost(delivery.slot, KEPT_LOST_RECORD_CORRUPT, spans);
    } else if (next === this.#messages.recordSpans) {
      shipment.complete = true;
      if (shipment.messages === 0) this.#clear(delivery, shipment.entries);
    } else if (next === 0 && shipment.messages === 0) {
      return false;
    } else {
      delivery.partial = { shipment, nextSpan: next };
    }
    return true;
  }

  #putRing(delivery: Delivery, shipment: Shipment, bytes: number): boolean {
    const id = this.#nextMessage;
    const { spans } = this.#messages;
    if (!delivery.fits(bytes)) {
      this.#countLost(delivery.slot, KEPT_LOST_MESSAGE_SIZE, spans);
      return true;
    }
    const at = delivery.reserve(id, spans, bytes);
    if (at < 0) return false;
    const end = this.#messages.write(delivery.ring.bytes, at);
    assert(end === at + bytes, "a message is as long as it was measured");
    delivery.publish(bytes);
    shipment.messages++;
    this.#sent(delivery, { spans, shipment, ticket: 0 });
    return true;
  }

  #sent(delivery: Delivery, message: SentMessage): void {
    delivery.inFlight.set(this.#nextMessage, message);
    this.#nextMessage = (this.#nextMessage + 1) >>> 0;
    this.#published = true;
  }

  /** Moves what waits to the outbox: rendered, committed there, then settled here. */
  #divert(delivery: Delivery): boolean {
    const { outbox, partial } = delivery;
    const count = this.#batch.take(delivery, this.#isLarge(delivery.firstWaiting));
    const unreadable: Uint32Array[] = [];
    const readable: Uint32Array[] = [];
    const status = outbox.transact(() => {
      if (partial !== null) {
        this.#putOutbox(delivery, partial.shipment.entries, partial.nextSpan, null);
      }
      for (let at = 0; at < count;) {
        const end = this.#batch.endOfRecord(at);
        const entries = this.#batch.entries.slice(at, end);
        (this.#putOutbox(delivery, entries, 0, null) ? readable : unreadable).push(entries);
        at = end;
      }
    });
    if (status !== LOG_OK) return false;
    delivery.consume(this.#batch.entries, count, 0);
    delivery.partial = null;
    if (partial !== null) {
      partial.shipment.split = true;
      this.#completed(delivery, partial.shipment);
    }
    for (const entries of readable) this.#clear(delivery, entries);
    for (const entries of unreadable) {
      this.#countLost(delivery.slot, KEPT_LOST_RECORD_CORRUPT, this.#clear(delivery, entries));
    }
    this.#countLost(delivery.slot, KEPT_LOST_OUTBOX_LIMIT, outbox.evict());
    return true;
  }

  /**
   * Inside a transaction of the outbox: renders a record's spans into it.
   * @param tickets null: to be sent from there; else gets the tickets of messages sent already.
   */
  #putOutbox(
    delivery: Delivery, entries: Uint32Array, firstSpan: number, tickets: number[] | null,
  ): boolean {
    const { outbox } = delivery;
    const next = this.#messages.put(delivery.slot, entries, firstSpan, (bytes) => {
      if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(bytes * 2);
      this.#messages.write(this.#scratch, 0);
      const { spans } = this.#messages;
      if (tickets === null) outbox.append(this.#scratch, 0, bytes, spans);
      else tickets.push(outbox.appendTaken(this.#scratch, 0, bytes, spans));
      return true;
    });
    return next !== UNREADABLE;
  }

  /** Copies shipments that were not answered for OutboxAfter, so that the log can let them go. */
  #copyUnanswered(delivery: Delivery, nowMs: number): void {
    const late: Shipment[] = [];
    for (const { shipment } of delivery.inFlight.values()) {
      if (shipment === null || shipment.tickets !== null) continue;
      if (!shipment.complete || shipment.split) continue;
      if (nowMs - shipment.sentMs < delivery.outboxAfterMs) break; // the rest is younger
      if (late.at(-1) !== shipment) late.push(shipment);
      if (late.length === COPIES_PER_TURN) break;
    }
    if (late.length === 0) return;
    const { outbox } = delivery;
    const copies = late.map((shipment) => ({ shipment, tickets: [] as number[], whole: false }));
    const status = outbox.transact(() => {
      for (const copy of copies) {
        copy.whole = this.#putOutbox(delivery, copy.shipment.entries, 0, copy.tickets);
      }
    });
    for (const { shipment, tickets, whole } of copies) {
      if (status === LOG_OK && whole) {
        shipment.tickets = tickets;
        this.#clear(delivery, shipment.entries);
      } else {
        for (const ticket of tickets) outbox.forgetTicket(ticket);
      }
    }
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
    const bytes = message.end - message.at;
    const { spans } = message;
    if (!delivery.fits(bytes)) {
      this.#countLost(delivery.slot, KEPT_LOST_MESSAGE_SIZE, spans);
      outbox.acknowledge(outbox.take());
      return true;
    }
    const at = delivery.reserve(this.#nextMessage, spans, bytes);
    if (at < 0) return false;
    copyBytes(message.bytes, message.at, message.end, delivery.ring.bytes, at);
    delivery.publish(bytes);
    this.#sent(delivery, { spans, shipment: null, ticket: outbox.take() });
    return true;
  }

  /** The forwarder of `slot` answered for one message. */
  acknowledge(slot: number, id: number, outcome: number): void {
    const delivery = this.bySlot[slot];
    const message = delivery?.inFlight.get(id);
    assert(delivery !== undefined && message !== undefined, "a message is acknowledged once");
    delivery.inFlight.delete(id);
    delivery.blockedSinceMs = -1;
    if (outcome === ACK_DELIVERED) {
      this.#in.counters.addAt(OUTBOX_SPANS, slot, -message.spans);
      this.#in.counters.addAt(SPANS_ACKNOWLEDGED, slot, message.spans);
    } else {
      this.#countLost(slot, KEPT_LOST_BACKEND_REFUSED, message.spans);
    }
    const { shipment } = message;
    if (shipment === null) {
      delivery.outbox.acknowledge(message.ticket);
      return;
    }
    shipment.messages--;
    if (shipment.complete) this.#completed(delivery, shipment);
  }

  /** All of a shipment was sent, or lies in the outbox; settles it when all is answered. */
  #completed(delivery: Delivery, shipment: Shipment): void {
    shipment.complete = true;
    if (shipment.messages > 0) return;
    if (shipment.tickets === null) {
      this.#clear(delivery, shipment.entries);
      return;
    }
    for (const ticket of shipment.tickets) delivery.outbox.acknowledge(ticket);
  }

  #countLost(slot: number, reason: number, spans: number): void {
    if (spans === 0) return;
    this.#in.counters.addAt(OUTBOX_SPANS, slot, -spans);
    this.#in.counters.addAt(KEPT_SPANS_LOST, keptLostIndex(slot, reason), spans);
  }

  /** The forwarder owes nothing more for kept parts, or whole records. @returns their spans. */
  #clear(delivery: Delivery, entries: Uint32Array): number {
    let spans = 0;
    for (const number of entries) spans += this.#clearPart(delivery, number);
    return spans;
  }

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
