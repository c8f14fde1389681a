// One gateway from start to end: puts the threads together, watches them, takes them down in order.

import { setTimeout as sleep } from "node:timers/promises";
import type { Settings } from "../../config/settings-types.ts";
import { systemClock } from "../base/clock.ts";
import { GatewayError, type ErrorCode } from "../base/errors.ts";
import { errorText, type Log } from "../base/log.ts";
import { createProgress, type FlushReport } from "../forward/forwarder-loop.ts";
import { copyDoorCounters, DoorCounters } from "../front-door/door-counters.ts";
import { UNFINISHED_BODY_BYTES, BODY_MS_MAX } from "../front-door/door-limits.ts";
import { Door } from "../front-door/door.ts";
import type { FrontDoor } from "../front-door/front-door.ts";
import {
  COMMAND_ABANDON, COMMAND_DECIDE, COMMAND_KEEP, COMMAND_RUN, COMMAND_STOP, Control, PHASE_SENT,
  QUIET_HANDED_OVER, QUIET_IDLE, type Command,
} from "../lane/control.ts";
import { DataDirectory, outboxDirectory } from "../log/data-directory.ts";
import { HealthWords } from "../part/health-words.ts";
import { LanePool } from "../pool/lane-pool.ts";
import { ServiceThread } from "../pool/service-thread.ts";
import { ByteRingProducer } from "../ring/byte-ring.ts";
import { SlotRingConsumer } from "../ring/slot-ring.ts";
import { WakeWord } from "../ring/wake-word.ts";
import { compilePolicySet } from "../sampling/compile.ts";
import { balanceSheet, type BalanceSheet } from "../telemetry/balance-sheet.ts";
import { CounterBlock } from "../telemetry/counters.ts";
import type { LabelNames } from "../telemetry/metric-layout.ts";
import { GENERATIONS_SET_ASIDE, RECORDS_LOST } from "../telemetry/metric-table.ts";
import { SnapshotReader, type CounterMemory } from "../telemetry/snapshot.ts";
import { SCAN_REASONS } from "../wire/scan-codes.ts";
import type { BannerListener } from "./banner.ts";
import { clusterPlan } from "./cluster-plan.ts";
import { connectionsMax } from "./descriptors.ts";
import { gatewayFacts } from "./facts.ts";
import { LimitWatch } from "./limit-watch.ts";
import { listenerOptions } from "./listeners.ts";
import { planMemory, type MemoryPlan } from "./memory-plan.ts";
import { forwarderSettings, labelNames, lanePlans, samplerInputs } from "./plans.ts";
import { cgroupBytesMax, residentBytes } from "./process-memory.ts";
import { createSharedMemory, REQUESTS_MAX, type SharedMemory } from "./shared-memory.ts";

const WORKERS = new URL("../../workers/", import.meta.url);
const RETRY_AFTER_S = 1;
/**
 * The coordinator reads from sockets: what it reads lies outside of its heap, and is given back
 * when its young objects are collected. With more room for these, the whole heap is walked through
 * once a second instead.
 */
const COORDINATOR_YOUNG_MIB = 3;
/** A lane's ring takes no more than this share: what waits longer than a fraction of a second. */
const RING_CREDIT_SHARE = 3 / 8;
const REMOVED_FORWARDER = "a forwarder was removed from the settings: what the log owes it is"
  + " given up and counted as lost, reason forwarder_removed; what its outbox has stays on disk"
  + " until it is configured again, or until you delete the directory";
const DOOR_BUG = "a bug in the front door: a request failed in it; please report this line";
const MEMORY_TOO_SMALL = "the tables and rings can become larger than this control group's memory:"
  + " set MemoryLimit to about half of its limit, so that traces are judged early and the process"
  + " is not killed";
const MIB = 1024 * 1024;
const POLL_MS = 5;
/** After the forwarders are flushed, lanes need this long to commit the last acknowledgements. */
const LAST_ACKNOWLEDGEMENTS_MS = 1_000;
/** The same when some will never come. */
const SETTLE_MS = 100;
/** Lanes that are all quiet for this long have nothing under way between them. */
const QUIET_MS = 100;
/** Leaving a cluster: etcd hands over what it leads, and hears of the end of the lease. */
const LEAVE_MS = 10_000;
/** Lanes told to return at once do so after their transaction; only a stuck disk takes longer. */
const ABANDON_MS = 5_000;
/** Recovery that takes longer says so, and how far it is, this often. */
const RECOVERY_REPORT_MS = 5_000;

/** Main thread. Made by `start`; ended once by `stop`. */
export class Gateway {
  readonly settings: Settings;
  readonly names: LabelNames;
  readonly data: DataDirectory;
  readonly #log: Log;
  readonly #shared: SharedMemory;
  readonly #control: Control;
  readonly #health: HealthWords;
  readonly #pool: LanePool;
  readonly #forwarder: ServiceThread<object>;
  readonly #coordinator: ServiceThread<object>;
  readonly #door: FrontDoor;
  readonly #reader: SnapshotReader;
  readonly #storageLimitBytes: number;
  readonly #watch: LimitWatch;
  /** Sizes of the tables. */
  readonly memory: MemoryPlan;

  /** Starts the threads; nothing listens yet but the admin address, after `start`. */
  constructor(settings: Settings, version: string, log: Log, searchPath: string) {
    this.settings = settings;
    this.#log = log;
    this.data = new DataDirectory(settings.dataDirectory, settings.workers);
    const slots = this.data.slots.assign(settings.forwardTo.map(({ name }) => name));
    const samplers = samplerInputs(settings, slots);
    const policySet = compilePolicySet(samplers);
    this.names = labelNames(settings, slots, this.data.slots.names(), policySet);
    for (const name of removedForwarders(this.data, settings)) {
      log.warn(REMOVED_FORWARDER, {
        forwarder: name, directory: outboxDirectory(this.data.path, name, 0),
      });
    }
    this.#storageLimitBytes = storageLimit(settings, this.data);
    this.#shared = createSharedMemory(
      settings.workers, slots, settings.bodyBytesMax,
      this.data.largestBody(settings.bodyBytesMax), settings.cluster !== null);
    this.memory = planMemory(settings, this.#shared.bytes, this.#storageLimitBytes);
    const [first] = this.#shared.lanes;
    if (first === undefined) throw new Error("a gateway has a lane");
    this.#control = new Control(first.control);
    this.#control.startGenerationsAfter(this.data.highestGeneration);
    this.#health = new HealthWords(this.#shared.health);
    this.#watch = this.#createWatch();
    const counters: CounterMemory = {
      lanes: this.#shared.lanes.map((lane) => lane.counters),
      doors: [this.#shared.doorCounters], forwards: [this.#shared.forwardCounters],
    };
    this.#reader = new SnapshotReader(counters);
    this.#door = this.#createDoor();
    const { wake } = first;
    this.#pool = new LanePool(
      new URL("span-worker.js", WORKERS), lanePlans(settings, slots, this.data, this.#shared,
        this.memory, this.#storageLimitBytes));
    this.#forwarder = new ServiceThread("forwarder", new URL("forwarder.js", WORKERS), {
      forwarders: forwarderSettings(settings, slots),
      rings: this.#shared.lanes.map(({ forward }) => {
        return Array.from({ length: 16 }, (_, slot) => forward[slot] ?? null);
      }),
      acks: this.#shared.lanes.map(({ acknowledgements }) => acknowledgements),
      laneWakes: wake.lanes, wake: wake.forwarder, progress: createProgress(),
      counters: this.#shared.forwardCounters, log: log.options,
    });
    this.#coordinator = new ServiceThread("coordinator", new URL("coordinator.js", WORKERS), {
      admin: settings.adminAddress, version, names: this.names, counters,
      health: this.#shared.health, wake: wake.coordinator,
      questions: this.#shared.lanes.map(({ questions }) => questions),
      reports: this.#shared.lanes.map(({ reports }) => reports),
      laneWakes: wake.lanes, log: log.options,
      cluster: settings.cluster === null ? null : clusterPlan(
        settings.cluster, searchPath, this.data.logId,
        { samplers, slotNames: [...this.data.slots.names()] }, this.#shared),
      control: first.control, payloads: this.#shared.lanes.map(({ payloads }) => payloads),
      facts: gatewayFacts(
        settings, this.#storageLimitBytes, this.memory.tableBytes, this.#shared.bytes),
    }, { maxYoungGenerationSizeMb: COORDINATOR_YOUNG_MIB });
  }

  /** Rejects when a thread died: the process must end. */
  async threadsEnded(): Promise<void> {
    await Promise.all([this.#pool.ended(), this.#forwarder.ended(), this.#coordinator.ended()]);
  }

  /** Bytes of shared rings. */
  get ringBytes(): number {
    return this.#shared.bytes;
  }

  get storageLimitBytes(): number {
    return this.#storageLimitBytes;
  }

  /** What serves each listener, once it listens. */
  get listeners(): BannerListener[] {
    return this.settings.listenFrom.map(({ name }) => {
      return { port: this.#door.port(name), engine: this.#door.engineOf(name) };
    });
  }

  /** Recovers, then listens. @throws GatewayError when an address cannot be had. */
  async start(): Promise<void> {
    const started = await this.#coordinator.next<StartedMessage>("started");
    if (started.refused !== null) {
      throw new GatewayError(started.refused.code, started.refused.message);
    }
    await this.#recovered();
    if (this.settings.cluster !== null) await this.#join();
    await this.#door.listen();
    this.#health.ready = true;
    this.#watch.start();
  }

  /** Becomes a node of its cluster: the listeners open when the map has this process. */
  async #join(): Promise<void> {
    const joined = this.#coordinator.next<StartedMessage>("joined");
    this.#coordinator.send({ kind: "join" });
    const { refused } = await Promise.race([joined, this.#pool.ended().then(() => joined)]);
    if (refused !== null) throw new GatewayError(refused.code, refused.message);
  }

  async #recovered(): Promise<void> {
    const beganMs = performance.now();
    let reportAtMs = beganMs + RECOVERY_REPORT_MS;
    while (!this.#control.allReached(PHASE_SENT)) {
      await Promise.race([sleep(POLL_MS), this.threadsEnded()]);
      if (performance.now() < reportAtMs) continue;
      reportAtMs += RECOVERY_REPORT_MS;
      const lanes = this.#shared.lanes.map((_, lane) => this.#control.phase(lane)).join(" ");
      this.#log.info("recovering the log; listeners open when it is done",
        { seconds: Math.round((performance.now() - beganMs) / 1000), lanePhases: lanes });
    }
  }

  /** SIGTERM, as ARCHITECTURE.md describes it. */
  async stop(): Promise<Ending> {
    const { settings } = this;
    const deadlineMs = performance.now() + settings.drainDelayMs + settings.gracefulWaitMsMax;
    this.#health.draining = true;
    this.#door.beginDrain();
    await sleep(settings.drainDelayMs);
    this.#door.stopListening();
    await Promise.race([this.#door.idle(), sleep(untilMs(deadlineMs))]);
    if (settings.cluster !== null) await this.#leave(deadlineMs);
    await this.#flush(deadlineMs);
    this.#watch.stop();
    this.#command(COMMAND_STOP);
    await this.#pool.close();
    await this.#door.close();
    this.#coordinator.send({ kind: "stop" });
    await this.#coordinator.ended();
    // Every state is committed under the forwarders of this run: removed ones are owed nothing
    // more.
    this.data.slots.release(removedForwarders(this.data, settings));
    this.data.close();
    const snapshot = this.#reader.readBlocks();
    return {
      sheet: balanceSheet(snapshot, this.names),
      // Both are in the table.
      lostRecords: snapshot.lane[RECORDS_LOST]! + snapshot.lane[GENERATIONS_SET_ASIDE]!,
    };
  }

  /** The other nodes take over what this one decided on; what it holds stays on its disk. */
  async #leave(deadlineMs: number): Promise<void> {
    const left = this.#coordinator.next<{ readonly kind: "left" }>("left");
    this.#coordinator.send({ kind: "leave" });
    await Promise.race([left, sleep(Math.min(LEAVE_MS, untilMs(deadlineMs)))]);
  }

  /** Lets lanes finish and forwarders send, until the deadline. What is left stays on disk. */
  async #flush(deadlineMs: number): Promise<void> {
    this.#command(this.settings.onShutdown === "decide" ? COMMAND_DECIDE : COMMAND_KEEP);
    await this.#quiet(QUIET_HANDED_OVER, deadlineMs);
    this.#forwarder.send({ kind: "flush", withinMs: untilMs(deadlineMs) });
    const { report } = await this.#forwarder.next<FlushedMessage>("flushed");
    for (const { name, messages, spans } of report.left) {
      this.#log.warn(
        "kept spans were not delivered in time (MaxGracefulWaitTime): they are on disk, sent after "
        + "the next start; look at the forwarder's backend",
        { forwarder: name, messages, spans });
    }
    if (!report.complete) await sleep(SETTLE_MS);
    else await this.#quiet(QUIET_IDLE, performance.now() + LAST_ACKNOWLEDGEMENTS_MS);
  }

  async #quiet(least: number, deadlineMs: number): Promise<void> {
    // Lanes say it every 20 ms, each for itself: a decision may be between two of them meanwhile.
    let quietSinceMs = Infinity;
    while (performance.now() < deadlineMs && !(performance.now() - quietSinceMs >= QUIET_MS)) {
      await sleep(POLL_MS);
      if (!this.#control.allQuiet(least)) quietSinceMs = Infinity;
      else if (quietSinceMs === Infinity) quietSinceMs = performance.now();
    }
  }

  /**
   * Ends the process and finishes nothing: what was acknowledged is on disk. Lanes leave their
   * transactions first: process.exit waits for all threads, and one that it stops inside a
   * transaction of lmdb waits for itself, for ever.
   */
  async abandon(exitCode: number): Promise<never> {
    this.#command(COMMAND_ABANDON);
    const stuck = setTimeout(() => process.kill(process.pid, "SIGKILL"), ABANDON_MS);
    await this.#pool.allEnded();
    clearTimeout(stuck);
    process.exit(exitCode);
  }

  #command(command: Exclude<Command, typeof COMMAND_RUN>): void {
    if (this.#control.command === COMMAND_ABANDON) return; // a stop that goes on changes nothing
    this.#control.command = command;
    for (const memory of this.#shared.lanes[0]?.wake.lanes ?? []) new WakeWord(memory).wake();
  }

  #createWatch(): LimitWatch {
    const { settings, memory, data } = this;
    const groupBytes = cgroupBytesMax();
    const neededBytes = memory.tableBytes + this.#shared.bytes;
    if (groupBytes < neededBytes) {
      this.#log.warn(MEMORY_TOO_SMALL, {
        neededMiB: Math.round(neededBytes / MIB), limitMiB: Math.round(groupBytes / MIB),
      });
    }
    return new LimitWatch({
      storagePolicy: settings.storagePolicy, storageLimitBytes: this.#storageLimitBytes,
      memoryBytesMax: Math.min(groupBytes, memory.processBytesMax),
    }, {
      control: this.#control, residentBytes,
      say: (level, message, fields) => this.#log.say(level, message, { ...fields }),
      outsideBytes: () => data.outsideBytes(settings.forwardTo.map(({ name }) => name)),
    });
  }

  #createDoor(): FrontDoor {
    const { settings } = this;
    const counters = new DoorCounters();
    const block = new CounterBlock("door", this.#shared.doorCounters);
    const { wake } = this.#shared.lanes[0]!; // the constructor checked it
    const door: FrontDoor = new Door({
      engine: settings.httpEngine,
      listeners: settings.listenFrom.map((listener) => listenerOptions(settings, listener)),
      lanes: this.#shared.lanes.map((lane, number) => ({
        payloads: new ByteRingProducer(lane.payloads),
        completions: new SlotRingConsumer(lane.completions),
        wake: new WakeWord(wake.lanes[number]!), // one a lane
      })),
      limits: {
        maxBodyBytes: settings.bodyBytesMax, unfinishedBodyBytes: UNFINISHED_BODY_BYTES,
        laneRingCreditBytes: this.#shared.payloadRingBytes * RING_CREDIT_SHARE,
        requestsMax: REQUESTS_MAX,
        connectionsMax: connectionsMax(settings.workers, settings.forwardTo.length),
        bodyMs: BODY_MS_MAX, retryAfterSeconds: RETRY_AFTER_S,
      },
      reasons: SCAN_REASONS,
    }, {
      clock: systemClock, health: this.#health, counters, wake: new WakeWord(wake.main),
      onTurn: () => {
        copyDoorCounters(counters, door.inFlight(), door.unfinishedBytes(), block);
        block.publish();
      },
      onFailure: (error, source) => this.#doorFailed(error, source),
      log: (level, message, fields) => this.#log.say(level, message, fields),
    });
    return door;
  }

  #doorFailed(error: unknown, source: string): void {
    this.#log.error(DOOR_BUG, { source, error: errorText(error) });
    if (source === "completions") void this.abandon(1); // replies may be missing
  }
}

/** What is to be said at the end. */
export interface Ending {
  readonly sheet: BalanceSheet;
  /** Damaged records and generations, whose spans nobody can count. */
  readonly lostRecords: number;
}

interface StartedMessage {
  readonly kind: "started" | "joined";
  readonly refused: { readonly code: ErrorCode; readonly message: string } | null;
}

interface FlushedMessage {
  readonly kind: "flushed";
  readonly report: FlushReport;
}

function untilMs(deadlineMs: number): number {
  return Math.max(0, Math.ceil(deadlineMs - performance.now()));
}

/** Names that the data directory knows and the settings do not. */
function removedForwarders(data: DataDirectory, settings: Settings): string[] {
  return data.slots.names().filter((name) => {
    return name !== "" && settings.forwardTo.every((forwarder) => forwarder.name !== name);
  });
}

/** The limit as set, or 80 % of what the data directory has and could still get. */
function storageLimit(settings: Settings, data: DataDirectory): number {
  if (settings.storageLimitBytes > 0) return settings.storageLimitBytes;
  return Math.floor((data.freeBytes() + data.usedBytes()) * 0.8);
}
