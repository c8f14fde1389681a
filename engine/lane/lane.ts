// One lane: holder of what arrives in its ring, owner of some shards. One thread runs its turns.
//
// A turn: acknowledgements → decisions for its parts → parts of its shards → a quota of its own
// decisions → payloads → one commit → effects: completions, parts, decisions, rendered spans.
// Decisions come before payloads, so ingest can never starve them; everything that leaves waits for
// the commit.

import { KIND_DECISIONS } from "../log/entry-layout.ts";
import { LOG_FULL, LOG_OK, type LogStatus } from "../log/log-status.ts";
import { TRIGGER_MEMORY, TRIGGER_SHUTDOWN, TRIGGER_STORAGE } from "../part/decision-layout.ts";
import { KIND_PART, MESSAGE_KIND } from "../part/part-layout.ts";
import { ACK_FORWARDER, ACK_MESSAGE_ID, ACK_OUTCOME } from "../forward/message-layout.ts";
import {
  COMMIT_DISK_FULL, COMMIT_FAILED, REFUSED_DISK_FULL, REFUSED_LOG_FAILED, SHED_DISK_FULL,
  SHED_LOG_FAILED, SHED_MEMORY_LIMIT, SHED_STORAGE_LIMIT,
} from "../telemetry/label-values.ts";
import {
  LANE_BUSY_SECONDS, LANE_TURNS, LOG_COMMITS, LOG_COMMIT_FAILURES, LOG_COMMIT_SECONDS,
} from "../telemetry/metric-table.ts";
import { MEMORY_WORDS } from "../traces/memory-layout.ts";
import {
  COMMAND_ABANDON, COMMAND_DECIDE, COMMAND_KEEP, COMMAND_RUN, COMMAND_STOP, PHASE_LOADED,
  PHASE_SENT, PHASE_STOPPED,
  PRESSURE_DECIDE, PRESSURE_NONE, PRESSURE_REFUSE, QUIET_BUSY, QUIET_HANDED_OVER, QUIET_IDLE,
} from "./control.ts";
import { EarlyBudget } from "./early-budget.ts";
import { Housekeeping } from "./housekeeping.ts";
import type { LaneParts } from "./lane-parts.ts";

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
  /** The last look at the rings of parts took all that was there. */
  #partsDrained = false;
  /** Every part that a former run left undecided is in its row: traces are judged from here on. */
  #judges = false;
  /** Which lane's ring is looked at first: in turn, so that none starves where room is short. */
  #firstRing = 0;
  readonly #budget: EarlyBudget;
  /** After a failed commit: until when payloads are refused, and why. */
  #retryAtMs = 0;
  #retryReason = SHED_LOG_FAILED;
  #statesAtMs = 0;

  constructor(parts: LaneParts) {
    this.#in = parts;
    parts.quiet = () => this.quiet;
    this.#budget = new EarlyBudget(parts.plan.lanes);
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
      if (!this.#in.knowledge.room) this.#logKnowledge();
      Atomics.wait(IDLE, 0, 0, 1);
    });
    parts.flush();
    this.#housekeeping.reportRecovery(report);
    recovery.queueKept((entry) => deliveries.queue(entry));
    this.#logKnowledge();
    this.#in.foldAgain.beginSelf();
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
    const { questions, cluster } = this.#in;
    cluster.turn(this.#batchCommitted);
    let worked = this.#takeAcknowledgements();
    if (this.#takeDecisions()) worked = true;
    const asked = questions.waiting;
    // Looked at before the rings: then what was sent again is in them, and judged whole.
    const allSent = this.#in.control.allReached(PHASE_SENT);
    if (this.#takeParts()) worked = true;
    if (allSent && this.#partsDrained) this.#judges = true;
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
    const { decisionsFrom, holder, cluster, plan } = this.#in;
    let worked = false;
    for (let step = 0; step < decisionsFrom.length; step++) {
      const number = (this.#firstRing + step) % decisionsFrom.length;
      const ring = decisionsFrom[number]!;
      for (let taken = 0; taken < SLOTS_PER_TURN; taken++) {
        const at = ring.peek();
        if (at < 0) break;
        const isTaken = number < plan.lanes ? holder.takeDecision(ring.words, at)
          : cluster.takeFromNode(ring.words, at);
        if (!isTaken) break;
        ring.release();
        worked = true;
      }
      ring.flush();
    }
    return worked;
  }

  #takeParts(): boolean {
    const { partsFrom, owner, sender, cluster } = this.#in;
    let worked = false;
    let drained = 0;
    for (let step = 0; step < partsFrom.length; step++) {
      const ring = partsFrom[(this.#firstRing + step) % partsFrom.length]!;
      for (let taken = 0; taken < SLOTS_PER_TURN; taken++) {
        const at = ring.peek();
        if (at < 0) {
          drained++;
          break;
        }
        if (ring.words[at + MESSAGE_KIND] !== KIND_PART) {
          if (!cluster.takeMessage(ring.words, at, this.#batchCommitted)) break;
        } else {
          sender.beginPart();
          if (!owner.takePart(ring.words, at)) break;
        }
        ring.release();
        worked = true;
      }
      ring.flush();
    }
    this.#partsDrained = drained === partsFrom.length;
    return worked;
  }

  /** What other lanes have passed on; it lies before all parts in their rings. */
  #takeAllKnowledge(): void {
    for (const ring of this.#in.partsFrom) {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        if (ring.words[at + MESSAGE_KIND] === KIND_PART) break;
        if (!this.#in.knowledge.room) this.#logKnowledge();
        this.#in.cluster.takeMessage(ring.words, at, this.#batchCommitted);
        ring.release();
      }
      ring.flush();
    }
  }

  /** Decisions passed on are logged here too: the log they came from may go first. */
  #logKnowledge(): void {
    const { log, knowledge } = this.#in;
    if (knowledge.clean) return;
    const status = log.transact(() => knowledge.append());
    if (status !== LOG_OK) {
      throw log.lastError ?? new Error("the disk is full: free space and start again");
    }
    knowledge.committed();
  }

  #decide(): boolean {
    const { owner, control, clock } = this.#in;
    owner.bounds.hold(control.memoryPressure !== PRESSURE_NONE);
    // Every lane knows what was decided. Before all parts are sent again only a table that has no
    // room for them decides.
    if (!control.allReached(PHASE_LOADED)) return false;
    if (!this.#judges) {
      return owner.bounds.crowded && owner.decide(TRIGGER_MEMORY, Infinity) > 0;
    }
    // Who stops takes part in no decision: its parts stay undecided for the node's return.
    if (this.#in.shards.clustered && control.command !== COMMAND_RUN) return false;
    let forced = 0;
    let bytesMax = Infinity;
    if (control.command === COMMAND_DECIDE) forced = TRIGGER_SHUTDOWN;
    else if (owner.bounds.crowded) forced = TRIGGER_MEMORY;
    else if ((control.pressure & PRESSURE_DECIDE) !== 0) {
      forced = TRIGGER_STORAGE;
      bytesMax = this.#budget.bytesAt(clock.nowMs, control.storageExcessBytes);
    }
    // What is undecided at a shutdown stays so: forwarders are flushed once, and what is kept after
    // that would only wait for the next start.
    if (forced === 0 && control.command === COMMAND_KEEP) return false;
    const decisions = owner.decide(forced, bytesMax);
    if (forced === TRIGGER_STORAGE) this.#budget.spend(owner.earlyBytes);
    return decisions > 0;
  }

  /** Why payloads must be refused now: a SHED_ reason, -1 = they may be taken. */
  #refusal(): number {
    const { control, clock, log } = this.#in;
    if (!log.takesRecords) return SHED_DISK_FULL;
    if (clock.nowMs < this.#retryAtMs) return this.#retryReason;
    if ((control.pressure & PRESSURE_REFUSE) !== 0 || control.storageFull) {
      return SHED_STORAGE_LIMIT;
    }
    return (control.memoryPressure & PRESSURE_REFUSE) !== 0 ? SHED_MEMORY_LIMIT : -1;
  }

  /** Commits what the turn staged. @returns true when there was something. */
  #commit(): boolean {
    const {
      intake, control, clock, owner, holder, log, carrier, knowledge, cluster,
    } = this.#in;
    const refusal = this.#refusal();
    const refusing = refusal >= 0;
    let worked = false;
    if (refusing && intake.ready) worked = intake.refuseWaiting(refusal) > 0;
    const takes = !refusing && intake.ready;
    // What its witnesses have not committed does not exist yet.
    const decides = owner.batch.count > 0 && !this.#batchCommitted && cluster.batchReady;
    const states = clock.nowMs >= this.#statesAtMs && log.hasChangedStates();
    if (!takes && !decides && holder.clean && !states && !carrier.wanted && knowledge.clean) {
      return worked;
    }
    const beganMs = clock.preciseMs();
    holder.mark();
    const status = log.transact(() => {
      if (takes) intake.take(control.samplingLevel);
      if (decides) {
        log.appendWords(KIND_DECISIONS, owner.batch.words, owner.batch.count * MEMORY_WORDS);
      }
      holder.append();
      knowledge.append();
      carrier.append();
    });
    this.#finish(status, beganMs, decides);
    this.#statesAtMs = clock.nowMs + STATES_MS;
    return true;
  }

  #finish(status: LogStatus, beganMs: number, decided: boolean): void {
    const { intake, holder, parts, carrier, counters, clock, log, knowledge, desk } = this.#in;
    if (status !== LOG_OK) {
      const failure = status === LOG_FULL ? COMMIT_DISK_FULL : COMMIT_FAILED;
      counters.addAt(LOG_COMMIT_FAILURES, failure, 1);
      this.#housekeeping.reportFailure(status);
      parts.discard();
      intake.failed(status === LOG_FULL ? REFUSED_DISK_FULL : REFUSED_LOG_FAILED);
      holder.failed();
      this.#retryAtMs = clock.nowMs + RETRY_MS;
      this.#retryReason = status === LOG_FULL ? SHED_DISK_FULL : SHED_LOG_FAILED;
      return;
    }
    counters.add(LOG_COMMITS, 1);
    counters.observe(LOG_COMMIT_SECONDS, (clock.preciseMs() - beganMs) / 1000);
    parts.flush(); // first: who hears of the commit may ask for the trace
    this.#budget.stored(intake.stagedBytes);
    this.#housekeeping.publishStorage();
    intake.committed();
    carrier.committed();
    knowledge.committed();
    desk.committed();
    if (decided) this.#batchCommitted = true;
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
    if (this.#in.cluster.effects()) worked = true;
    // A late answer repeats a decision: that one must be committed first.
    if (owner.batch.count === 0 && sender.lateWaiting) {
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
    const { parts, foldAgain } = this.#in;
    if (foldAgain.sendRest()) parts.endRest();
    parts.flush();
  }

  #advancePhase(): boolean {
    const { control, plan, foldAgain, shards } = this.#in;
    const phase = control.phase(plan.lane);
    if (phase >= PHASE_SENT) return shards.clustered && foldAgain.run();
    if (phase !== PHASE_LOADED) return false;
    const allLoaded = control.allReached(PHASE_LOADED);
    // After the look at the phases: then all that is passed on is here, and logged before the logs
    // that it came from may let it go (Housekeeping).
    this.#takeAllKnowledge();
    this.#logKnowledge();
    if (!allLoaded) return false;
    // In a cluster nobody owns anything before there is a map: then each gets what is its own.
    if (!shards.clustered) foldAgain.run();
    if (shards.clustered || foldAgain.selfDone) control.setPhase(plan.lane, PHASE_SENT);
    return true;
  }

  /** How far the lane is with what it has, when it is to stop. */
  get quiet(): number {
    const {
      intake, holder, owner, deliveries, sender, control, partsFrom, decisionsFrom,
    } = this.#in;
    const undecided = control.command === COMMAND_DECIDE && owner.liveRows > 0
      && !this.#in.shards.clustered; // others own the rest of these traces
    const done = !undecided && control.command !== COMMAND_RUN && intake.empty && holder.clean
      && this.#in.knowledge.clean
      && !this.#in.desk.isUnderWay && !sender.lateWaiting
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
