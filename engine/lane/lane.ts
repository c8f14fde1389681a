// One lane: holder of what arrives in its ring, owner of some shards. One thread runs its turns.
//
// A turn: acknowledgements → decisions for its parts → parts of its shards → a quota of its own
// decisions → payloads → one commit → effects: completions, parts, decisions, rendered spans.
// Decisions come before payloads, so ingest can never starve them; everything that leaves waits for
// the commit.

import { assert } from "../base/assert.ts";
import { KIND_DECISIONS } from "../log/entry-layout.ts";
import { LOG_FULL, LOG_OK, type LogStatus } from "../log/log-status.ts";
import { TRIGGER_MEMORY, TRIGGER_SHUTDOWN, TRIGGER_STORAGE } from "../part/decision-layout.ts";
import {
  KIND_FINGERPRINT, KIND_PART, KIND_REMEMBERED, MESSAGE_KIND,
} from "../part/part-layout.ts";
import { ACK_FORWARDER, ACK_MESSAGE_ID, ACK_OUTCOME } from "../forward/message-layout.ts";
import {
  COMMIT_DISK_FULL, COMMIT_FAILED, REFUSED_DISK_FULL, REFUSED_LOG_FAILED,
} from "../telemetry/label-values.ts";
import {
  LANE_BUSY_SECONDS, LANE_TURNS, LOG_COMMITS, LOG_COMMIT_FAILURES, LOG_COMMIT_SECONDS,
} from "../telemetry/metric-table.ts";
import {
  BATCH_HEADER_WORDS, FINGERPRINT_WORDS, MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import {
  COMMAND_ABANDON, COMMAND_DECIDE, COMMAND_RUN, COMMAND_STOP, PHASE_LOADED, PHASE_SENT,
  PHASE_STOPPED,
  PRESSURE_DECIDE, PRESSURE_REFUSE, QUIET_BUSY, QUIET_HANDED_OVER, QUIET_IDLE,
} from "./control.ts";
import { Housekeeping } from "./housekeeping.ts";
import type { LaneParts } from "./lane-parts.ts";
import { DECISIONS_PER_TURN } from "./owner.ts";

/** Slots of one ring that a turn takes before it looks at the next. */
const SLOTS_PER_TURN = 8192;
/** After a commit failed, payloads are refused for this long, then one is tried. */
const RETRY_MS = 100;
/**
 * Longest sleep of an idle lane: timers are 500 ms apart, reports and storage are looked at
 * between.
 */
const SLEEP_MS = 50;
/** Changed states alone are committed this late: acknowledgements cost no commit each. */
const STATES_MS = 20;
const IDLE = new Int32Array(new SharedArrayBuffer(4));

/** See the head of this file. */
export class Lane {
  readonly #in: LaneParts;
  readonly #housekeeping: Housekeeping;
  #batchCommitted = false;
  /** Which lane's ring is looked at first: in turn, so that none starves where room is short. */
  #firstRing = 0;
  #retryAtMs = 0;
  #statesAtMs = 0;
  #remembered = new Uint32Array(1024 * MEMORY_WORDS);
  #rememberedCount = 0;

  constructor(parts: LaneParts) {
    this.#in = parts;
    parts.quiet = () => this.quiet;
    this.#housekeeping = new Housekeeping(parts);
  }

  /**
   * Loads the log. The other lanes may do so at the same time; drainOthers takes what they pass on.
   */
  load(): void {
    const { recovery, deliveries, control, plan, parts } = this.#in;
    const report = recovery.load((full) => {
      parts.flush();
      if (!full) return;
      if (control.command === COMMAND_ABANDON) throw new Error("abandoned while loading the log");
      this.#takeParts(); // the other lane may wait for room here
      Atomics.wait(IDLE, 0, 0, 1);
    });
    parts.flush();
    this.#housekeeping.reportRecovery(report);
    recovery.queueKept((entry) => deliveries.queue(entry));
    this.#logRemembered();
    control.setPhase(plan.lane, PHASE_LOADED);
  }

  /** Runs until STOP or ABANDON. Blocks the thread when there is nothing to do. */
  run(): void {
    const { control, wake } = this.#in;
    while (control.command < COMMAND_STOP) {
      const snapshot = wake.snapshot();
      if (!this.step()) wake.waitSync(snapshot, SLEEP_MS);
    }
    if (control.command === COMMAND_STOP) this.#stop();
  }

  /** One turn and its counters. @returns true when there may be more to do at once. */
  step(): boolean {
    const { clock, control, counters, deliveries } = this.#in;
    clock.tick();
    deliveries.replays = control.command === COMMAND_RUN;
    const worked = this.#turn();
    counters.add(LANE_TURNS, 1);
    counters.add(LANE_BUSY_SECONDS, (clock.preciseMs() - clock.nowMs) / 1000);
    counters.publish();
    return worked;
  }

  #turn(): boolean {
    this.#firstRing = (this.#firstRing + 1) % this.#in.partsFrom.length;
    const { questions } = this.#in;
    let worked = this.#takeAcknowledgements();
    if (this.#takeDecisions()) worked = true;
    const asked = questions.waiting;
    if (this.#takeParts()) worked = true;
    if (asked > 0) questions.answer(asked);
    if (this.#decide()) worked = true;
    if (this.#commit()) worked = true;
    if (this.#effects()) worked = true;
    if (this.#advancePhase()) worked = true;
    this.#housekeeping.run();
    return worked;
  }

  #takeAcknowledgements(): boolean {
    const { acknowledgements, deliveries } = this.#in;
    let taken = 0;
    for (; taken < SLOTS_PER_TURN; taken++) {
      const at = acknowledgements.peek();
      if (at < 0) break;
      const { words } = acknowledgements;
      deliveries.acknowledge(
        words[at + ACK_FORWARDER]!, words[at + ACK_MESSAGE_ID]!, words[at + ACK_OUTCOME]!);
      acknowledgements.release();
    }
    acknowledgements.flush();
    return taken > 0;
  }

  #takeDecisions(): boolean {
    const { decisionsFrom, holder } = this.#in;
    let worked = false;
    for (let step = 0; step < decisionsFrom.length; step++) {
      const ring = decisionsFrom[(this.#firstRing + step) % decisionsFrom.length]!;
      for (let taken = 0; taken < SLOTS_PER_TURN; taken++) {
        const at = ring.peek();
        if (at < 0 || !holder.takeDecision(ring.words, at)) break;
        ring.release();
        worked = true;
      }
      ring.flush();
    }
    return worked;
  }

  #takeParts(): boolean {
    const { partsFrom, owner, sender } = this.#in;
    let worked = false;
    for (let step = 0; step < partsFrom.length; step++) {
      const ring = partsFrom[(this.#firstRing + step) % partsFrom.length]!;
      for (let taken = 0; taken < SLOTS_PER_TURN; taken++) {
        const at = ring.peek();
        if (at < 0) break;
        if (ring.words[at + MESSAGE_KIND] !== KIND_PART) {
          this.#takeKnowledge(ring.words, at);
        } else {
          sender.beginPart();
          if (!owner.takePart(ring.words, at)) break;
        }
        ring.release();
        worked = true;
      }
      ring.flush();
    }
    return worked;
  }

  /** What another lane's log knows about a shard that this lane owns now. */
  #takeKnowledge(words: Uint32Array, at: number): void {
    const { memory, clock } = this.#in;
    const kind = words[at + MESSAGE_KIND]!;
    const nowS = Math.floor(clock.wallMs / 1000);
    if (kind === KIND_FINGERPRINT) {
      memory.load(words, at, at + BATCH_HEADER_WORDS + FINGERPRINT_WORDS, clock.nowMs, nowS);
      return;
    }
    assert(kind === KIND_REMEMBERED, "lanes pass on decisions and fingerprints");
    // In normal memory: what is remembered is logged, and the log never gets shared memory.
    memory.loadEntry(words, at, clock.nowMs, nowS);
    if ((this.#rememberedCount + 1) * MEMORY_WORDS > this.#remembered.length) this.#logRemembered();
    const to = this.#rememberedCount * MEMORY_WORDS;
    this.#remembered.set(words.subarray(at, at + MEMORY_WORDS), to);
    this.#rememberedCount++;
  }

  /** Decisions passed on are logged here too: the log they came from may go first. */
  #logRemembered(): void {
    if (this.#rememberedCount === 0) return;
    const { log } = this.#in;
    const status = log.transact(() => {
      log.appendWords(KIND_DECISIONS, this.#remembered, this.#rememberedCount * MEMORY_WORDS);
    });
    if (status === LOG_OK) {
      this.#rememberedCount = 0;
      return;
    }
    throw log.lastError ?? new Error("the disk is full: free space and start again");
  }

  #decide(): boolean {
    const { owner, control } = this.#in;
    if (!control.allReached(PHASE_SENT)) return false;
    let forced = 0;
    if (control.command === COMMAND_DECIDE) forced = TRIGGER_SHUTDOWN;
    else if (owner.crowded) forced = TRIGGER_MEMORY;
    else if (control.pressure >= PRESSURE_DECIDE) forced = TRIGGER_STORAGE;
    return owner.decide(DECISIONS_PER_TURN, forced) > 0;
  }

  /** Commits what the turn staged. @returns true when there was something. */
  #commit(): boolean {
    const { intake, control, clock, owner, holder, log, carrier } = this.#in;
    const refusing = clock.nowMs < this.#retryAtMs || control.pressure >= PRESSURE_REFUSE
      || !log.takesRecords;
    let worked = false;
    if (refusing && intake.ready) worked = intake.refuseWaiting() > 0;
    const takes = !refusing && intake.ready;
    const decides = owner.batchCount > 0 && !this.#batchCommitted;
    const states = clock.nowMs >= this.#statesAtMs && log.hasChangedStates();
    if (!takes && !decides && holder.clean && !states && !carrier.wanted) return worked;
    const beganMs = clock.preciseMs();
    holder.mark();
    const status = log.transact(() => {
      if (takes) intake.take();
      if (decides) log.appendWords(KIND_DECISIONS, owner.batch, owner.batchCount * MEMORY_WORDS);
      holder.append();
      carrier.append();
    });
    this.#finish(status, beganMs);
    this.#statesAtMs = clock.nowMs + STATES_MS;
    return true;
  }

  #finish(status: LogStatus, beganMs: number): void {
    const { intake, holder, parts, carrier, counters, clock, owner, log } = this.#in;
    if (status !== LOG_OK) {
      const failure = status === LOG_FULL ? COMMIT_DISK_FULL : COMMIT_FAILED;
      counters.addAt(LOG_COMMIT_FAILURES, failure, 1);
      this.#housekeeping.reportFailure(status);
      parts.discard();
      intake.failed(status === LOG_FULL ? REFUSED_DISK_FULL : REFUSED_LOG_FAILED);
      holder.failed();
      this.#retryAtMs = clock.nowMs + RETRY_MS;
      return;
    }
    counters.add(LOG_COMMITS, 1);
    counters.observe(LOG_COMMIT_SECONDS, (clock.preciseMs() - beganMs) / 1000);
    parts.flush(); // first: who hears of the commit may ask for the trace
    intake.committed();
    carrier.committed();
    if (owner.batchCount > 0) this.#batchCommitted = true;
    holder.committed();
    log.rotateIfDue();
  }

  /** What a commit allows: tells holders, delivers. */
  #effects(): boolean {
    const { owner, sender, deliveries, parts, clock } = this.#in;
    let worked = false;
    if (this.#batchCommitted) {
      if (owner.sendBatch()) this.#batchCommitted = false;
      worked = true;
    }
    // A late answer repeats a decision: that one must be committed first.
    if (owner.batchCount === 0 && sender.lateWaiting) {
      if (sender.sendLate()) worked = true;
    }
    sender.flush();
    if (parts.hasRest) {
      this.#sendRest();
      worked = true;
    }
    return deliveries.run(clock.nowMs) || worked;
  }

  /** Parts of a record with more of them than the rings had room for. */
  #sendRest(): void {
    const { parts, log, recovery } = this.#in;
    const states = log.states(parts.restGeneration);
    if (states === undefined || recovery.sendRest(parts, states)) parts.endRest();
    parts.flush();
  }

  #advancePhase(): boolean {
    const { control, plan, recovery, parts } = this.#in;
    if (control.phase(plan.lane) !== PHASE_LOADED) return false;
    this.#logRemembered();
    if (!control.allReached(PHASE_LOADED)) return false;
    const sent = recovery.sendSome();
    parts.flush();
    if (sent) control.setPhase(plan.lane, PHASE_SENT);
    return true;
  }

  /** How far the lane is with what it has, when it is to stop. */
  get quiet(): number {
    const {
      intake, holder, owner, deliveries, sender, control, partsFrom, decisionsFrom,
    } = this.#in;
    const undecided = control.command === COMMAND_DECIDE && owner.liveRows > 0;
    const done = !undecided && control.command !== COMMAND_RUN && intake.empty && holder.clean
      && owner.batchCount === 0 && !sender.lateWaiting
      && !this.#in.parts.hasRest
      && partsFrom.every((ring) => ring.waiting() === 0)
      && decisionsFrom.every((ring) => ring.waiting() === 0);
    if (!done || !deliveries.handedOver) return QUIET_BUSY;
    return deliveries.idle ? QUIET_IDLE : QUIET_HANDED_OVER;
  }

  /** Last commits: acknowledgements that came in the meantime, changed states. */
  #stop(): void {
    const { log, holder, control, plan, counters, deliveries } = this.#in;
    this.#takeAcknowledgements();
    if (log.hasChangedStates() || !holder.clean) {
      const status = log.transact(() => holder.append());
      if (status !== LOG_OK) this.#housekeeping.reportFailure(status);
    }
    for (const { outbox } of deliveries.list) {
      const status = outbox.maintain();
      if (status !== LOG_OK) this.#housekeeping.reportFailure(status);
      outbox.close();
    }
    counters.publishWaiting();
    log.close();
    control.setPhase(plan.lane, PHASE_STOPPED);
  }
}
