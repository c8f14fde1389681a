// Puts a lane together from its plan: the one place that knows all of its pieces.

import { DECISION_TICK_MS } from "../../config/limits.ts";
import { assert } from "../base/assert.ts";
import { LaneLog } from "../log/lane-log.ts";
import { MACHINE } from "../log/machine.ts";
import { PolicySetBoard } from "../cluster/policy-set-board.ts";
import { logDirectory, outboxDirectory } from "../log/data-directory.ts";
import { Outbox } from "../log/outbox.ts";
import { STORAGE_LOG, StorageAccount } from "../log/storage-account.ts";
import { AttributeMatcher } from "../part/attribute-matcher.ts";
import { ByteRingConsumer, ByteRingProducer } from "../ring/byte-ring.ts";
import { SlotRingConsumer, SlotRingProducer } from "../ring/slot-ring.ts";
import { WakeWord } from "../ring/wake-word.ts";
import { compilePolicySet, type SamplerInput } from "../sampling/compile.ts";
import { CounterBlock } from "../telemetry/counters.ts";
import { KEPT_SPANS_REPLAYED, OUTBOX_SPANS } from "../telemetry/metric-table.ts";
import { DecisionMemory } from "../traces/decision-memory.ts";
import { TraceTable } from "../traces/trace-table.ts";
import { RecordIndex } from "../wire/record-index.ts";
import { ClusterTurn } from "./cluster-turn.ts";
import { Control } from "./control.ts";
import { DecisionCarrier } from "./decision-carrier.ts";
import { DecisionSender } from "./decision-sender.ts";
import { Deliveries } from "./deliveries.ts";
import { Delivery } from "./delivery.ts";
import { Destinations } from "./destinations.ts";
import { FoldAgain } from "./fold-again.ts";
import { ForeignSets } from "./foreign-sets.ts";
import { Holder } from "./holder.ts";
import { Intake } from "./intake.ts";
import { KeptStore } from "./kept-store.ts";
import { Knowledge } from "./knowledge.ts";
import { LaneClock } from "./lane-clock.ts";
import type { LanePlan } from "./lane-plan.ts";
import { LaneRecovery } from "./lane-recovery.ts";
import { encodeLogMeta } from "./log-meta.ts";
import { batchMax, Owner } from "./owner.ts";
import { PartSender } from "./part-sender.ts";
import { PolicySets } from "./policy-sets.ts";
import { Questions } from "./questions.ts";
import { Reporter } from "./reporter.ts";
import { SamplerClock } from "./sampler-clock.ts";
import { ShardTable } from "./shard-table.ts";
import { StorageSampler } from "./storage-sampler.ts";
import { SuffixTable } from "./suffix-table.ts";
import { WitnessDesk } from "./witness-desk.ts";

/** Entries of a generation; record states and sort keys are sized by it. */
const ENTRIES_PER_GENERATION = 262_144;
/** Environments open at once: the one written, one read for deliveries, spares. */
const ENVIRONMENTS_MAX = 8;
/** What is read back through memory maps counts as resident. */
const MAPPED_BYTES_MAX = 128 * 1024 * 1024;
/** Twice the usual DecisionWait: what is kept is read from memory that never left the machine. */
const UNVERIFIED_READ_MS = 60_000;
/** Given back on a full disk, so that what is stored can still be settled. */
const RESERVE_BYTES = 8 * 1024 * 1024;
const OUTBOX_GENERATION_BYTES = 64 * 1024 * 1024;
const OUTBOX_GENERATION_AGE_MS = 60_000;

/** Everything that a lane's turn touches. */
export type LaneParts = ReturnType<typeof buildLane>;

/** Builds the lane of `plan`; recovers its outboxes, but not its logs. */
export function buildLane(plan: LanePlan) {
  const { memory: shared, limits, lane, lanes } = plan;
  const wakes = shared.wake.lanes.map((memory) => new WakeWord(memory));
  const counters = new CounterBlock("lane", shared.counters);
  const control = new Control(shared.control);
  const samplers = new SamplerClock(plan.forwarders);
  const clock = new LaneClock(longestWaitMs(plan) + DECISION_TICK_MS);
  const storage = new StorageAccount();
  const policySets = new PolicySets(compilePolicySet(samplersOf(plan)));
  const matcher = new AttributeMatcher(policySets.current.predicates);
  const log = openLog(plan, control, storage, policySets);
  const kept = new KeptStore(limits.keptPartsMax);
  const { table, memory } = openTables(plan);
  const foreign = openForeignSets(plan, matcher, policySets, log);
  const { shards, destinations, partSender, sender, desk } = openSenders(
    plan, wakes, counters, foreign);
  const knowledge = new Knowledge(log, memory, clock);
  const reporter = openReporter(plan);
  const indexOptions = { spansMax: limits.spansPerBodyMax, hashSeed: plan.tableSeed };
  const deliveries = new Deliveries({
    log, kept, counters, suffixes: new SuffixTable(policySets),
    index: new RecordIndex(indexOptions), forwarderWake: new WakeWord(shared.wake.forwarder),
    hasOtherOwners: lanes > 1 || shared.cluster !== null,
  }, openDeliveries(plan, control, storage, kept.entriesMax, counters));
  const masks = { samplers: samplers.mask, all: maskOfAll(plan) };
  const holder = new Holder({ log, kept, deliveries, policySets, counters }, masks);
  const owner = new Owner({
    table, memory, policies: policySets.current, samplers, clock, sender, shards, desk, counters,
  }, limits, longestWaitMs(plan));
  const intake = new Intake({
    payloads: new ByteRingConsumer(shared.payloads), door: new WakeWord(shared.wake.main),
    completions: new SlotRingProducer(shared.completions), log, holder, matcher, counters,
    index: new RecordIndex(indexOptions), parts: partSender,
    sampler: new StorageSampler(
      { table, memory, matcher, index: new RecordIndex(indexOptions) }, lane, lanes),
  }, limits);
  const recovery = new LaneRecovery(
    { log, memory, kept, policySets, sender: partSender, clock, counters }, lane, lanes, masks);
  const foldAgain = new FoldAgain({
    log, memory, foreign, index: new RecordIndex(indexOptions), sender: partSender, shards,
    destinations, clock, counters, isCurrent: (generation) => recovery.isCurrent(generation),
  });
  const cluster = new ClusterTurn(
    { shards, owner, holder, desk, knowledge, foldAgain, foreign, parts: partSender, memory,
      control, clock, counters }, lane, longestWaitMs(plan));
  return {
    plan, control, clock, counters, storage, log, kept, table, memory, owner, sender, holder,
    deliveries, intake, matcher, recovery, reporter, parts: partSender, shards, desk, knowledge,
    foldAgain, cluster, wake: wakes[lane]!, carrier: new DecisionCarrier(log, memory),
    acknowledgements: new SlotRingConsumer(shared.acknowledgements),
    decisionsFrom: shared.decisionsFrom.map((ring) => new SlotRingConsumer(ring)),
    partsFrom: shared.partsFrom.map((ring) => new SlotRingConsumer(ring)),
    questions: new Questions({
      ring: new SlotRingConsumer(shared.questions),
      reporter, table, memory, owner, policySets, lane,
    }),
    /** Set by the lane. */
    quiet: (): number => 0,
  };
}

function openForeignSets(
  { memory, slotNames, lane }: LanePlan, own: AttributeMatcher, policySets: PolicySets,
  log: LaneLog,
): ForeignSets {
  const board = memory.cluster === null ? null : new PolicySetBoard(memory.cluster);
  return new ForeignSets({ board, own, policySets, slotNames, numbered: () => log.seal() }, lane);
}

/** Ways to other lanes, and through the coordinator to other nodes. */
function openSenders(
  plan: LanePlan, wakes: readonly WakeWord[], counters: CounterBlock<"lane">,
  foreign: ForeignSets,
) {
  const { memory: shared, lane, lanes } = plan;
  const shards = new ShardTable(shared.cluster, lane, lanes);
  const destinations = new Destinations();
  // In a cluster the last ring of each kind leads to the coordinator.
  const ends = shared.cluster === null ? wakes
    : [...wakes, new WakeWord(shared.wake.coordinator)];
  const partSender = new PartSender(
    lane, lanes, { rings: producers(shared.partsTo), wakes: ends, shards, destinations, foreign });
  const sender = new DecisionSender(lanes, producers(shared.decisionsTo), ends, counters);
  const desk = new WitnessDesk(lane, shards, sender, batchMax(shards));
  return { shards, destinations, partSender, sender, desk };
}

function openTables({ limits, tableSeed, fingerprintSeed }: LanePlan) {
  const table = new TraceTable({
    rowsMax: limits.traceRowsMax, linksMax: limits.partLinksMax, seed: tableSeed,
  });
  const memory = new DecisionMemory({
    fullMax: limits.decisionsFullMax, fullMs: limits.decisionsFullMs,
    fingerprintBytes: limits.fingerprintBytes, seed: fingerprintSeed,
  });
  return { table, memory };
}

function producers(rings: readonly SharedArrayBuffer[]): SlotRingProducer[] {
  return rings.map((ring) => new SlotRingProducer(ring));
}

function samplersOf({ forwarders }: LanePlan): SamplerInput[] {
  return forwarders.flatMap(({ sampler }) => sampler === null ? [] : [sampler]);
}

function openReporter({ memory }: LanePlan): Reporter {
  return new Reporter(new ByteRingProducer(memory.reports), new WakeWord(memory.wake.coordinator));
}

/** Forwarders without a sampler: they get every span. */
function maskOfAll(plan: LanePlan): number {
  return plan.forwarders.reduce(
    (mask, { slot, sampler }) => sampler === null ? mask | (1 << slot) : mask, 0);
}

function longestWaitMs(plan: LanePlan): number {
  return Math.max(0, ...plan.forwarders.map(({ sampler }) => sampler?.decisionWaitMs ?? 0));
}

function openLog(
  plan: LanePlan, control: Control, storage: StorageAccount, policySets: PolicySets,
): LaneLog {
  return new LaneLog({
    directory: logDirectory(plan.dataDirectory, plan.lane),
    durability: plan.durability,
    generationBytes: plan.limits.generationBytes,
    generationAgeMs: plan.limits.generationAgeMs,
    entriesMax: ENTRIES_PER_GENERATION,
    environmentsMax: ENVIRONMENTS_MAX,
    mappedBytesMax: MAPPED_BYTES_MAX,
    unverifiedReadMs: UNVERIFIED_READ_MS,
    reserveBytes: RESERVE_BYTES,
    storageKind: STORAGE_LOG,
    nextGeneration: () => control.nextGeneration(),
    meta: () => encodeLogMeta({
      logId: plan.logId, lanes: plan.lanes, forwarders: plan.slotNames,
      policySets: policySets.all,
    }),
  }, { ...MACHINE, storage });
}

function openDeliveries(
  plan: LanePlan, control: Control, storage: StorageAccount, entriesMax: number,
  counters: CounterBlock<"lane">,
): Delivery[] {
  return plan.forwarders.map(({ slot, name, outboxAfterMs, outboxBytesMax }) => {
    const outbox = new Outbox({
      directory: outboxDirectory(plan.dataDirectory, name, plan.lane),
      durability: plan.durability,
      bytesMax: outboxBytesMax,
      generationBytes: OUTBOX_GENERATION_BYTES,
      generationAgeMs: OUTBOX_GENERATION_AGE_MS,
      nextGeneration: () => control.nextGeneration(),
    }, { ...MACHINE, storage });
    const spans = outbox.recover();
    counters.addAt(KEPT_SPANS_REPLAYED, slot, spans);
    counters.addAt(OUTBOX_SPANS, slot, spans);
    const memory = plan.memory.forward[slot];
    assert(memory !== undefined, "a forwarder has a ring");
    return new Delivery(slot, new ByteRingProducer(memory), outbox, outboxAfterMs, entriesMax);
  });
}
