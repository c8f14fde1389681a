// One forwarder: takes messages from its rings (one a lane), batches them, sends batches, repeats
// what failed, acknowledges what was delivered.
//
//   rings ──pull──► open batch ──full, old or flushing──► in flight ──delivered──► acknowledged
//                                                            │  ▲
//                                                            ▼  │ backoff with jitter, for ever
//                                                          failed ──halved, or refused──► lost
//
// At most requestsMax batches exist, the open one counted; then the rings fill and the lanes
// notice. A message is acknowledged once the request that holds it has ended, never before. A batch
// that the backend refuses for its content is halved, so that one bad span does not cost its
// neighbours.

import { setMaxListeners } from "node:events";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { ByteRingConsumer } from "../ring/byte-ring.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import { Batch } from "./batch.ts";
import {
  DELIVERED, FAILURE_ABORTED, REFUSED, REFUSED_CONTENT, RETRY_SUSPECT,
  type Destination, type Outcome,
} from "./destination.ts";
import { FailureLog, type ForwardEvent } from "./failure-log.ts";
import { LOST_REFUSED, type ForwarderCounters } from "./forwarder-counters.ts";
import type { ForwarderCommonSettings } from "./forwarder-settings.ts";
import {
  ACK_DELIVERED, ACK_REFUSED, MESSAGE_ID, MESSAGE_PAYLOAD_AT, MESSAGE_PAYLOAD_BYTES, MESSAGE_SPANS,
  type AckOutcome,
} from "./message-layout.ts";
import { pause } from "./pause.ts";
import { retryDelayMs } from "./retry-delay.ts";

/** Messages taken from one lane before the next lane has its turn. */
const LANE_MESSAGES_MAX = 64;
/**
 * Cuts of a batch refused for its content while no part of it is taken: a backend that refuses all
 * is not asked for ever. Every part that is taken renews them, so that good messages are found.
 */
const SPLITS_MAX = 32;
/** Attempts of a suspect batch before it is halved, or given up where others have passed since. */
const SUSPECT_ATTEMPTS_MAX = 5;
/** Attempts of one suspect message where nothing else passes, or it could wedge the forwarder. */
const SUSPECT_ALONE_ATTEMPTS_MAX = 20;
/** While flushing, time is short: no retry waits longer than this, ms. */
const FLUSH_RETRY_MS_MAX = 1_000;

const NEXT_DONE = 0;
const NEXT_RETRY = 1;
const NEXT_HALVE = 2;
const NEXT_GIVE_UP = 3;
type Next = typeof NEXT_DONE | typeof NEXT_RETRY | typeof NEXT_HALVE | typeof NEXT_GIVE_UP;

/** What the parts of one batch share while it is being delivered. */
interface Delivery {
  splitsLeft: number;
  /** Deliveries of the forwarder when this one began: more now means that others pass. */
  readonly deliveriesBefore: number;
}

/** Everything a forwarder needs from outside; tests pass their own. */
export interface ForwarderDependencies {
  readonly destination: Destination;
  readonly acknowledgements: Acknowledgements;
  readonly counters: ForwarderCounters;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly report: (event: ForwardEvent) => void;
  /** Called with the number of messages just acknowledged. */
  readonly progressed: (messages: number) => void;
}

/** What a forwarder holds that is not acknowledged. */
export interface Unsent {
  readonly messages: number;
  readonly spans: number;
  /** Waiting in rings, headers included. */
  readonly ringBytes: number;
}

/** The state machine of one forwarder. Owned by the forwarder thread; never blocks it. */
export class Forwarder {
  readonly name: string;
  readonly slot: number;
  readonly #settings: ForwarderCommonSettings;
  readonly #rings: readonly ByteRingConsumer[];
  readonly #dependencies: ForwarderDependencies;
  readonly #log: FailureLog;
  readonly #idle: Batch[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  /** Ends the pauses of retries: flush begins, or abort. */
  readonly #hurry = new AbortController();
  readonly #onAge: () => void;
  #batches = 0;
  #open: Batch | null = null;
  #ageTimer: NodeJS.Timeout | null = null;
  #nextLane = 0;
  #flushing = false;
  /** The destination asked for patience until then, monotonic ms. */
  #resumeMs = 0;
  #deliveries = 0;
  #heldMessages = 0;
  #heldSpans = 0;

  /** @param rings one a lane, in the order of lanes; read by this forwarder only. */
  constructor(
    settings: ForwarderCommonSettings, rings: readonly ByteRingConsumer[],
    dependencies: ForwarderDependencies,
  ) {
    assert(settings.requestsMax > 0, "a forwarder may send");
    this.name = settings.name;
    this.slot = settings.slot;
    this.#settings = settings;
    this.#rings = rings;
    this.#dependencies = dependencies;
    this.#log = new FailureLog(settings.name, dependencies.clock, dependencies.report);
    this.#onAge = () => this.#sendOpen();
    // A pause and an attempt of every batch listen at once.
    setMaxListeners(2 * settings.requestsMax + 1, this.#abort.signal);
    setMaxListeners(settings.requestsMax + 1, this.#hurry.signal);
  }

  /**
   * Takes what the rings hold and the batches have room for, lanes in turn, and sends full batches.
   * @returns messages taken.
   */
  pull(): number {
    if (this.#abort.signal.aborted) return 0;
    let taken = 0;
    let idleLanes = 0;
    while (idleLanes < this.#rings.length) {
      const fromLane = this.#takeFrom(this.#nextLane);
      this.#nextLane = (this.#nextLane + 1) % this.#rings.length;
      idleLanes = fromLane === 0 ? idleLanes + 1 : 0;
      taken += fromLane;
    }
    if (this.#flushing && this.#open !== null) this.#sendOpen();
    return taken;
  }

  /** From now on batches do not wait for company, and waiting retries are made at once. */
  beginFlush(): void {
    this.#flushing = true;
    this.#resumeMs = 0;
    this.#hurry.abort();
    this.pull();
  }

  /** True when the rings are empty and everything taken from them is acknowledged. */
  get drained(): boolean {
    return this.#heldMessages === 0 && this.#inFlight.size === 0
      && this.#rings.every((ring) => ring.peek() < 0);
  }

  /** Aborts requests and retries and takes nothing more; resolves when all have ended. */
  async abort(): Promise<void> {
    this.#abort.abort();
    this.#hurry.abort();
    this.#clearAgeTimer();
    await Promise.all(this.#inFlight);
  }

  unsent(): Unsent {
    const ringBytes = this.#rings.reduce((sum, ring) => sum + ring.usedBytes(), 0);
    return { messages: this.#heldMessages, spans: this.#heldSpans, ringBytes };
  }

  #takeFrom(lane: number): number {
    const ring = this.#rings[lane]!;
    if (this.#dependencies.acknowledgements.blocked(lane)) return 0;
    let taken = 0;
    while (taken < LANE_MESSAGES_MAX) {
      const at = ring.peek();
      if (at < 0) break;
      const wordAt = at >>> 2;
      const payloadBytes = ring.words[wordAt + MESSAGE_PAYLOAD_BYTES]!;
      assert(MESSAGE_PAYLOAD_AT + payloadBytes <= ring.messageBytes, "a payload is in its message");
      const batch = this.#batchFor(payloadBytes);
      if (batch === null) break;
      const spans = ring.words[wordAt + MESSAGE_SPANS]!;
      const id = ring.words[wordAt + MESSAGE_ID]!;
      batch.add(ring.bytes, at + MESSAGE_PAYLOAD_AT, payloadBytes, id, spans, lane);
      ring.advance();
      this.#heldMessages++;
      this.#heldSpans += spans;
      taken++;
      if (this.#isFull(batch)) this.#sendOpen();
    }
    ring.releaseAll();
    return taken;
  }

  /** The open batch when the payload fits it, else a new one; null when there are too many. */
  #batchFor(payloadBytes: number): Batch | null {
    if (this.#open !== null && !this.#open.fits(payloadBytes)) this.#sendOpen();
    if (this.#open !== null) return this.#open;
    let batch = this.#idle.pop();
    if (batch === undefined) {
      if (this.#batches === this.#settings.requestsMax) return null;
      this.#batches++;
      batch = new Batch(this.#settings.batchBytes, this.#settings.batchSpans);
    }
    this.#open = batch;
    if (!this.#flushing) this.#ageTimer = setTimeout(this.#onAge, this.#settings.batchMs);
    return batch;
  }

  #isFull(batch: Batch): boolean {
    return batch.usedBytes >= this.#settings.batchBytes
      || batch.spans >= this.#settings.batchSpans || batch.messages === batch.messagesMax;
  }

  #sendOpen(): void {
    const batch = this.#open;
    assert(batch !== null, "there is a batch to send");
    this.#open = null;
    this.#clearAgeTimer();
    const { counters } = this.#dependencies;
    counters.inFlightBatches++;
    counters.inFlightSpans += batch.spans;
    const delivery = this.#deliverAll(batch).finally(() => this.#inFlight.delete(delivery));
    this.#inFlight.add(delivery);
  }

  async #deliverAll(batch: Batch): Promise<void> {
    const delivery = { splitsLeft: SPLITS_MAX, deliveriesBefore: this.#deliveries };
    await this.#deliver(batch, 0, batch.messages, delivery);
    const { counters } = this.#dependencies;
    counters.inFlightBatches--;
    counters.inFlightSpans -= batch.spans;
    if (this.#abort.signal.aborted) return; // an aborted request may still read the buffer
    batch.clear();
    this.#idle.push(batch);
    this.pull();
  }

  /** Sends messages [first, end) of a batch until they are acknowledged, refused or aborted. */
  async #deliver(batch: Batch, first: number, end: number, delivery: Delivery): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.#untilAllowed();
      if (this.#abort.signal.aborted) return;
      const outcome = await this.#attempt(batch, first, end, attempt);
      if (outcome.failure === FAILURE_ABORTED) return;
      const next = this.#planNext(outcome, attempt, end - first, delivery);
      if (next === NEXT_DONE) return this.#delivered(batch, first, end, outcome);
      if (next === NEXT_GIVE_UP) return this.#lost(batch, first, end, outcome);
      if (next === NEXT_HALVE) return this.#deliverHalves(batch, first, end, delivery);
      await this.#pauseAfter(outcome, attempt);
    }
  }

  #planNext(outcome: Outcome, attempt: number, messages: number, delivery: Delivery): Next {
    const { verdict } = outcome;
    if (verdict === DELIVERED) {
      delivery.splitsLeft = SPLITS_MAX;
      return NEXT_DONE;
    }
    if (verdict === REFUSED) return NEXT_GIVE_UP;
    if (verdict === REFUSED_CONTENT) {
      if (messages === 1 || delivery.splitsLeft === 0) return NEXT_GIVE_UP;
      delivery.splitsLeft--;
      return NEXT_HALVE;
    }
    if (verdict !== RETRY_SUSPECT || attempt < SUSPECT_ATTEMPTS_MAX) return NEXT_RETRY;
    if (messages > 1) return NEXT_HALVE;
    const othersPass = this.#deliveries > delivery.deliveriesBefore;
    return othersPass || attempt >= SUSPECT_ALONE_ATTEMPTS_MAX ? NEXT_GIVE_UP : NEXT_RETRY;
  }

  async #deliverHalves(
    batch: Batch, first: number, end: number, delivery: Delivery,
  ): Promise<void> {
    this.#dependencies.counters.splits++;
    const middle = (first + end) >>> 1;
    await this.#deliver(batch, first, middle, delivery);
    await this.#deliver(batch, middle, end, delivery);
  }

  async #attempt(batch: Batch, first: number, end: number, attempt: number): Promise<Outcome> {
    const { destination, counters, clock } = this.#dependencies;
    const spans = batch.spansOf(first, end);
    if (attempt > 1) counters.retries++;
    const startedMs = clock.monotonicMs();
    const sendBatch = { bytes: batch.bytesOf(first, end), spans };
    const outcome = await destination.send(sendBatch, this.#abort.signal);
    counters.observeSendMs(clock.monotonicMs() - startedMs);
    if (outcome.verdict !== DELIVERED) counters.failures[outcome.failure]!++;
    if (outcome.unknown) {
      counters.unknownOutcomes++;
      counters.unknownSpans += spans;
    }
    return outcome;
  }

  #delivered(batch: Batch, first: number, end: number, outcome: Outcome): void {
    const { counters } = this.#dependencies;
    const spans = batch.spansOf(first, end);
    counters.sentBatches++;
    counters.sentSpans += spans;
    counters.sentBytes += batch.offsets[end]! - batch.offsets[first]!;
    counters.rejectedSpans += Math.min(outcome.rejectedSpans, spans);
    this.#deliveries++;
    this.#log.delivered();
    if (outcome.text !== "" || outcome.rejectedSpans > 0) this.#log.rejected(outcome, spans);
    this.#acknowledge(batch, first, end, ACK_DELIVERED);
  }

  #lost(batch: Batch, first: number, end: number, outcome: Outcome): void {
    const spans = batch.spansOf(first, end);
    this.#dependencies.counters.lostSpans[LOST_REFUSED]! += spans;
    this.#log.lost(outcome, spans);
    this.#acknowledge(batch, first, end, ACK_REFUSED);
  }

  #acknowledge(batch: Batch, first: number, end: number, outcome: AckOutcome): void {
    const { acknowledgements, counters, progressed } = this.#dependencies;
    for (let index = first; index < end; index++) {
      acknowledgements.push(batch.lanes[index]!, this.slot, batch.ids[index]!, outcome);
    }
    acknowledgements.flush();
    const messages = end - first;
    this.#heldMessages -= messages;
    this.#heldSpans -= batch.spansOf(first, end);
    assert(this.#heldMessages >= 0, "a message is acknowledged once");
    counters.ackedMessages += messages;
    progressed(messages);
  }

  /** Waits out the time that the destination asked for; it holds for all batches. */
  async #untilAllowed(): Promise<void> {
    for (;;) {
      const leftMs = this.#resumeMs - this.#dependencies.clock.monotonicMs();
      if (leftMs <= 0 || this.#abort.signal.aborted) return;
      await this.#pause(leftMs);
    }
  }

  async #pauseAfter(outcome: Outcome, attempt: number): Promise<void> {
    const { retryInitialMs, retryMaxMs } = this.#settings;
    const { clock, counters, random } = this.#dependencies;
    const hintMs = outcome.retryAfterMs;
    let delayMs = retryDelayMs(attempt, retryInitialMs, retryMaxMs, hintMs, random());
    if (this.#flushing) delayMs = Math.min(delayMs, FLUSH_RETRY_MS_MAX);
    else if (hintMs >= 0) {
      this.#resumeMs = Math.max(this.#resumeMs, clock.monotonicMs() + delayMs);
    }
    this.#log.failed(outcome, attempt, delayMs);
    counters.retryingBatches++;
    await this.#pause(delayMs);
    counters.retryingBatches--;
  }

  #pause(milliseconds: number): Promise<void> {
    return pause(milliseconds, this.#flushing ? this.#abort.signal : this.#hurry.signal);
  }

  #clearAgeTimer(): void {
    if (this.#ageTimer !== null) clearTimeout(this.#ageTimer);
    this.#ageTimer = null;
  }
}
