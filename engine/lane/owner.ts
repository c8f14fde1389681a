// The owner's side of a lane: rows of undecided traces, their timers, their decisions.
//
//   part ─► fold into the trace's row, link ─► timer ─► judge ─► batch (─► witnesses) ─► commit
//     ─► tell the holders
//
// One batch of decisions is under way at a time: judged, staged for the log, committed, sent (see
// WitnessDesk for what its witnesses do not answer). Nothing is judged while the last batch is not
// sent, so a holder that cannot take decisions slows judging and never makes anything grow. Parts
// of decided traces follow the remembered decision.

import { DECISION_TICK_MS } from "../../config/limits.ts";
import {
  DECISION_INCOMPLETE, TRIGGER_MEMORY, TRIGGER_ROOT, TRIGGER_SETTLED,
  TRIGGER_SHUTDOWN, TRIGGER_SPAN_LIMIT, TRIGGER_WAIT, VOTE_WORDS,
} from "../part/decision-layout.ts";
import {
  FLAG_ROOT, MESSAGE_AGE_MS, MESSAGE_AGAIN, MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_HOLDER,
  MESSAGE_INDEX, MESSAGE_UNDECIDED, MESSAGE_UNDECIDED_BITS, PART_BYTES, PART_FLAGS,
} from "../part/part-layout.ts";
import type { PolicySet } from "../sampling/compile.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import { decisionIndex } from "../telemetry/label-values.ts";
import {
  DECISIONS, DECISION_LAG_SECONDS, GATES_FORCED, PART_LINKS, PRESSURE_DECISIONS, TRACES_LIVE,
} from "../telemetry/metric-table.ts";
import { UNKNOWN, type DecisionMemory } from "../traces/decision-memory.ts";
import {
  MEMORY_AT_S, MEMORY_MASKS, MEMORY_REASON, MEMORY_VOTES_0, MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import {
  ROW_LINKS, ROW_SEEN_MS, ROW_UNDECIDED, ROW_WORDS,
} from "../traces/row-layout.ts";
import type { TraceTable } from "../traces/trace-table.ts";
import { SELF } from "../cluster/cluster-words.ts";
import { shardOf } from "../hash/shard-of.ts";
import type { DecisionBatch } from "./decision-batch.ts";
import type { DecisionSender } from "./decision-sender.ts";
import { LaneClock } from "./lane-clock.ts";
import {
  RowDeadlines, TRIGGER_MASK, TRIGGER_PENDING, TRIGGER_SHIFT,
} from "./row-deadlines.ts";
import type { SamplerClock } from "./sampler-clock.ts";
import type { MapChange, ShardTable } from "./shard-table.ts";
import { TableBounds } from "./table-bounds.ts";
import type { WitnessDesk } from "./witness-desk.ts";

/** Decisions of a turn: at a few microseconds each, a turn stays well below 10 ms. */
const DECISIONS_PER_TURN = 1024;
/**
 * In a cluster a batch waits for its witnesses, up to 40 ms, before the next is judged: so many,
 * that a lane decides on a hundred thousand traces a second.
 */
const DECISIONS_PER_BATCH_CLUSTERED = 4096;
/** Rows of shards that may not be judged, which a turn puts off. */
const PUT_OFF_PER_TURN = 16_384;
const UNDECIDED = 0xffff;

export interface OwnerParts {
  readonly table: TraceTable;
  readonly memory: DecisionMemory;
  readonly policies: PolicySet;
  readonly samplers: SamplerClock;
  readonly clock: LaneClock;
  readonly sender: DecisionSender;
  readonly shards: ShardTable;
  readonly desk: WitnessDesk;
  readonly counters: CounterBlock<"lane">;
}

/** Judges the traces of the shards that the lane owns. Written by its lane only. */
export class Owner {
  /** When each row is judged. */
  readonly deadlines: RowDeadlines;
  readonly #table: TraceTable;
  readonly #memory: DecisionMemory;
  readonly #policies: PolicySet;
  readonly #samplers: SamplerClock;
  readonly #clock: LaneClock;
  readonly #sender: DecisionSender;
  readonly #shards: ShardTable;
  readonly #desk: WitnessDesk;
  readonly #counters: CounterBlock<"lane">;
  readonly #votes = new Uint32Array(VOTE_WORDS);
  /** The decisions under way; empty when another may be judged. */
  readonly batch: DecisionBatch;
  /** How full the table may be. */
  readonly bounds: TableBounds;
  /** Bytes of spans of the traces that the last decide() judged before their time. */
  earlyBytes = 0;
  /** When other nodes' decisions came last, by the lane's clock: rows since then looked for one. */
  learnedMs = Number.NEGATIVE_INFINITY;

  constructor(
    parts: OwnerParts, limits: { spansPerTraceMax: number; bytesPerTraceMax: number },
    waitMsMax: number,
  ) {
    this.#table = parts.table;
    this.#memory = parts.memory;
    this.#policies = parts.policies;
    this.#samplers = parts.samplers;
    this.#clock = parts.clock;
    this.#sender = parts.sender;
    this.#shards = parts.shards;
    this.#desk = parts.desk;
    this.#counters = parts.counters;
    this.batch = parts.desk.batch;
    this.bounds = new TableBounds(parts.table);
    this.deadlines = new RowDeadlines(parts, limits, waitMsMax);
  }

  /** Live rows: traces with a sampler that has not decided, or whose decision is under way. */
  get liveRows(): number {
    return this.#table.rows;
  }

  /**
   * Takes the part message at words[at..].
   * @returns false when there is no room: leave it in its ring and decide first.
   */
  takePart(words: Uint32Array, at: number): boolean {
    // Its holder learns of the map by which it belongs to another node, and sends it there.
    if (this.#shards.owners[shardOf(words, at)] !== SELF) return true;
    let undecided = words[at + MESSAGE_UNDECIDED]! & MESSAGE_UNDECIDED_BITS;
    let row = this.#table.find(words, at);
    if (row !== 0 && this.#isLinked(row, words, at)) return true;
    const open = row === 0 ? 0 : this.#table.words[row * ROW_WORDS + ROW_UNDECIDED]! & UNDECIDED;
    if ((undecided & ~open) !== 0) {
      const known = this.#memory.lookup(words, at) === 0 ? 0
        : this.#memory.found[MEMORY_MASKS]! & undecided & ~open;
      if (known !== 0) {
        if (!this.#sender.roomForLate()) return false;
        const again = (words[at + MESSAGE_UNDECIDED]! & MESSAGE_AGAIN) !== 0;
        this.#sender.tellLate(words, at, this.#memory.found, known, again);
        undecided &= ~known;
      }
    }
    if (undecided === 0) return true;
    if (row === 0) {
      row = this.#table.insert(words, at);
      if (row === 0) return this.#undoLate();
    }
    const linked = this.#table.link(
      row, words[at + MESSAGE_GENERATION]!, words[at + MESSAGE_ENTRY]!,
      words[at + MESSAGE_INDEX]!, words[at + MESSAGE_HOLDER]!);
    if (!linked) {
      if (this.#table.firstLink(row) === 0) this.#table.remove(row);
      return this.#undoLate();
    }
    // What is judged already is not opened again: the part is told with the others.
    this.#fold(row, words, at, this.isPending(row) ? undecided & open : undecided);
    return true;
  }

  /** Only a part that is sent again can be here already. */
  #isLinked(row: number, words: Uint32Array, at: number): boolean {
    return (words[at + MESSAGE_UNDECIDED]! & MESSAGE_AGAIN) !== 0 && this.#table.hasLink(
      row, words[at + MESSAGE_GENERATION]!, words[at + MESSAGE_ENTRY]!,
      words[at + MESSAGE_INDEX]!, words[at + MESSAGE_HOLDER]!);
  }

  /** There is a decision on the row that no witness has committed yet: it does not exist. */
  isPending(row: number): boolean {
    const flags = this.#table.words[row * ROW_WORDS + ROW_UNDECIDED]!;
    return ((flags >>> TRIGGER_SHIFT) & TRIGGER_MASK) === TRIGGER_PENDING;
  }

  /** A part that is both late and new stays in its ring: it must not be told twice. */
  #undoLate(): false {
    this.#sender.untellLate();
    return false;
  }

  #fold(row: number, words: Uint32Array, at: number, undecided: number): void {
    const table = this.#table;
    const own = table.words;
    const rowAt = row * ROW_WORDS;
    const fresh = own[rowAt + ROW_UNDECIDED] === 0;
    const hadRoot = (own[rowAt + PART_FLAGS]! & FLAG_ROOT) !== 0;
    table.fold(row, words, at);
    own[rowAt + ROW_UNDECIDED] = own[rowAt + ROW_UNDECIDED]! | undecided;
    // Older than the lane's clock can say, after a long time off: due at once either way.
    const ageMs = Math.min(words[at + MESSAGE_AGE_MS]!, Math.floor(this.#clock.nowMs));
    let moved = fresh;
    if (fresh || ageMs > this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!)) {
      own[rowAt + ROW_SEEN_MS] = LaneClock.low(this.#clock.nowMs - ageMs);
      moved = true;
    }
    if (!hadRoot && (words[at + PART_FLAGS]! & FLAG_ROOT) !== 0) {
      this.deadlines.noteRoot(rowAt, ageMs);
      moved = true;
    }
    const trigger = this.deadlines.limitReached(rowAt);
    if (trigger !== 0) this.deadlines.hurry(row, trigger);
    else if (moved) this.deadlines.schedule(row);
  }

  /**
   * Judges traces that are due, as many as a batch has room for, when the last one is sent.
   * @param forced a trigger: judge others too. For want of memory the heaviest, until the table
   * has room; for want of storage, and at a shutdown, the soonest. 0 = only what is due.
   * @param bytesMax of these others; see earlyBytes.
   * @returns decisions made.
   */
  decide(forced: number, bytesMax: number): number {
    this.earlyBytes = 0;
    const { batch } = this;
    if (batch.count !== 0 || !this.#shards.mayDecide()) return 0;
    this.#desk.unpark();
    const returned = batch.count;
    const nowTick = Math.floor(this.#clock.nowMs / DECISION_TICK_MS);
    const nowLow = LaneClock.low(this.#clock.nowMs);
    let links = this.#table.links;
    let putOff = 0;
    while (batch.count < batch.max && putOff < PUT_OFF_PER_TURN) {
      let row = this.deadlines.wheel.expire(nowTick);
      let trigger = 0;
      if (row !== 0 && (this.#isClosed(row) || this.#isStuck(row))) {
        this.deadlines.wheel.schedule(row, nowTick + 1);
        putOff++;
        continue;
      }
      if (row === 0 && forced !== 0 && this.earlyBytes < bytesMax) {
        row = forced === TRIGGER_MEMORY ? this.bounds.heaviest(links, batch.count, nowLow)
          : this.deadlines.wheel.earliest();
        trigger = forced;
        if (row !== 0) this.deadlines.wheel.cancel(row);
        if (row !== 0 && this.#isClosed(row)) this.#counters.add(GATES_FORCED, 1);
      }
      if (row === 0) break;
      links -= this.#table.words[row * ROW_WORDS + ROW_LINKS]!;
      if (trigger !== 0) this.earlyBytes += this.#table.words[row * ROW_WORDS + PART_BYTES]!;
      this.#judge(row, trigger);
      if (trigger !== 0 && trigger !== TRIGGER_SHUTDOWN) this.#counters.add(PRESSURE_DECISIONS, 1);
    }
    if (batch.count > 0) this.#desk.begin(returned, this.#clock.nowMs);
    return batch.count;
  }

  /** The row's shard is new here, and not everybody has told what was known of it. */
  #isClosed(row: number): boolean {
    return this.#shards.clustered
      && !this.#shards.isOpen(shardOf(this.#table.words, row * ROW_WORDS));
  }

  #isStuck(row: number): boolean {
    return this.#desk.isStuck(shardOf(this.#table.words, row * ROW_WORDS));
  }

  #judge(row: number, forced: number): void {
    const own = this.#table.words;
    const rowAt = row * ROW_WORDS;
    const flags = own[rowAt + ROW_UNDECIDED]!;
    const undecided = flags & UNDECIDED;
    const seenMs = this.#clock.nowMs - this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!);
    if (seenMs <= this.learnedMs && this.#follow(row, undecided)) return;
    const rootAtMs = this.deadlines.rootAt(rowAt, seenMs);
    const hurried = forced === 0 ? (flags >>> TRIGGER_SHIFT) & TRIGGER_MASK : forced;
    let trigger = hurried;
    let decided = 0;
    let kept = 0;
    this.#votes.fill(0);
    for (let index = 0; index < this.#samplers.slots.length; index++) {
      const slot = this.#samplers.slots[index]!;
      if ((undecided & (1 << slot)) === 0) continue;
      const due = this.#samplers.dueAt(slot, seenMs, rootAtMs);
      if (hurried === 0 && due > this.#clock.nowMs) continue;
      if (trigger === 0) {
        trigger = due < seenMs + this.#samplers.waitMs[slot]! ? TRIGGER_ROOT : TRIGGER_WAIT;
      }
      const keep = this.#policies.evaluate(own, rowAt, slot, this.#votes);
      decided |= 1 << slot;
      kept |= keep << slot;
      this.#counters.addAt(DECISIONS, decisionIndex(slot, trigger, keep), 1);
      if (hurried === 0) {
        this.#counters.observe(DECISION_LAG_SECONDS, (this.#clock.nowMs - due) / 1000);
      }
    }
    if (decided === 0) { // put on for a sampler that meanwhile decided otherwise
      this.deadlines.schedule(row);
      return;
    }
    this.#memory.beginDraft(own, rowAt);
    const { draft } = this.#memory;
    draft[MEMORY_MASKS] = decided | (kept << 16);
    for (let word = 0; word < VOTE_WORDS; word++) draft[MEMORY_VOTES_0 + word] = this.#votes[word]!;
    draft[MEMORY_REASON] = trigger | ((isEarly(trigger) ? DECISION_INCOMPLETE : 0) << 16);
    draft[MEMORY_AT_S] = Math.floor(this.#clock.wallMs / 1000);
    this.#stage(row, decided);
  }

  /**
   * Another node has decided on the trace before this one got its shard, and told after the row
   * was made: its decision is followed. @returns false when nothing is remembered.
   */
  #follow(row: number, undecided: number): boolean {
    const own = this.#table.words;
    if (this.#memory.lookup(own, row * ROW_WORDS) === UNKNOWN) return false;
    const { found, draft } = this.#memory;
    const known = found[MEMORY_MASKS]! & undecided;
    if (known === 0) return false;
    this.#memory.beginDraft(own, row * ROW_WORDS);
    for (let word = MEMORY_MASKS; word <= MEMORY_AT_S; word++) draft[word] = found[word]!;
    draft[MEMORY_MASKS] = known | (((found[MEMORY_MASKS]! >>> 16) & known) << 16);
    this.#stage(row, known);
    return true;
  }

  /** Puts the memory's draft into the batch. */
  #stage(row: number, decided: number): void {
    const own = this.#table.words;
    const at = row * ROW_WORDS + ROW_UNDECIDED;
    const { draft } = this.#memory;
    this.batch.add(draft, 0, row);
    own[at] = own[at]! & ~decided & ~(TRIGGER_MASK << TRIGGER_SHIFT);
    if (this.#desk.needsWitness(shardOf(draft, 0))) {
      own[at] = own[at]! | (TRIGGER_PENDING << TRIGGER_SHIFT); // remembered when it exists
    } else {
      this.#memory.remember(draft, 0, LaneClock.low(this.#clock.nowMs));
      if ((own[at]! & UNDECIDED) !== 0) this.deadlines.schedule(row);
    }
  }

  /** Every witness has committed: what the batch decides is remembered, and may be committed. */
  rememberBatch(): void {
    const { words, rows, count } = this.batch;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (row === 0 || !this.isPending(row)) continue;
      const at = row * ROW_WORDS + ROW_UNDECIDED;
      const own = this.#table.words;
      own[at] = own[at]! & ~(TRIGGER_MASK << TRIGGER_SHIFT);
      this.#memory.remember(words, index * MEMORY_WORDS, LaneClock.low(this.#clock.nowMs));
      if ((own[at]! & UNDECIDED) === 0) continue;
      const trigger = this.deadlines.limitReached(row * ROW_WORDS);
      if (trigger !== 0) this.deadlines.hurry(row, trigger);
      else this.deadlines.schedule(row);
    }
  }

  /**
   * Another map: rows of shards that have another owner, or that this node has anew, are dropped;
   * their holders send the parts again. Decisions on them that are under way are not committed any
   * more. Their witness may have them, and be gone before it tells: so they are remembered, and
   * told to the new owner, which follows them. Not when somebody else may have judged meanwhile.
   * @param committed the batch is.
   */
  dropLost({ lost, isNext }: MapChange, committed: boolean): void {
    const { batch } = this;
    const kept = new Set(committed ? batch.rows.subarray(0, batch.count) : []);
    this.#dropDecisions(this.#desk.parked, lost, isNext);
    if (!committed) this.#dropDecisions(batch, lost, isNext);
    for (let row = this.#table.nextRow(0); row !== 0; row = this.#table.nextRow(row)) {
      if (kept.has(row) || lost[shardOf(this.#table.words, row * ROW_WORDS)] === 0) continue;
      this.deadlines.wheel.cancel(row);
      this.#table.remove(row);
    }
  }

  #dropDecisions(batch: DecisionBatch, lost: Uint8Array, areTold: boolean): void {
    for (let index = 0; index < batch.count; index++) {
      const at = index * MEMORY_WORDS;
      if (batch.rows[index] === 0 || lost[shardOf(batch.words, at)] === 0) continue;
      if (areTold) this.#memory.remember(batch.words, at, LaneClock.low(this.#clock.nowMs));
      batch.makeVoid(index);
    }
  }

  /** The batch is committed: tells the holders, as far as their rings take it. True when done. */
  sendBatch(): boolean {
    const { batch } = this;
    if (batch.count === 0) return true;
    if (!this.#sender.tellBatch(this.#table, batch)) return false;
    for (let index = 0; index < batch.count; index++) {
      const row = batch.rows[index]!;
      if (row === 0) continue;
      if ((this.#table.words[row * ROW_WORDS + ROW_UNDECIDED]! & UNDECIDED) === 0) {
        this.deadlines.wheel.cancel(row);
        this.#table.remove(row);
      }
    }
    batch.clear();
    return true;
  }

  /** Gauges, once a turn. */
  gauge(): void {
    this.#counters.set(TRACES_LIVE, this.#table.rows);
    this.#counters.set(PART_LINKS, this.#table.links);
  }
}

/** Decisions of a batch. */
export function batchMax(shards: ShardTable): number {
  return shards.clustered ? DECISIONS_PER_BATCH_CLUSTERED : DECISIONS_PER_TURN;
}

/** True for decisions made before the trace's own time: on what there was of it. */
function isEarly(trigger: number): boolean {
  return trigger >= TRIGGER_SPAN_LIMIT && trigger !== TRIGGER_SETTLED;
}
