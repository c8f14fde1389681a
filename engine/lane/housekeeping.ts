// What a lane does between turns and not in every one: retire generations, look at storage, gauges,
// say what went wrong. Each call does a bounded piece.

import { LOG_FULL, LOG_OK, type LogStatus } from "../log/log-status.ts";
import type { Carrier } from "../log/retirement.ts";
import type { RecoveryReport } from "../log/recovery.ts";
import { KIND_KEPT } from "../log/entry-layout.ts";
import {
  DECISION_GENERATION, DECISION_INDEX, DECISION_WORDS,
} from "../part/decision-layout.ts";
import {
  DECISIONS_FORGOTTEN, DECISIONS_REMEMBERED, GENERATIONS_SET_ASIDE, LOG_BYTES, LOG_GENERATIONS,
  MEMORY_PRESSURE, OUTBOX_BYTES, RECORDS_CORRUPT, RECORDS_LOST, STORAGE_BYTES,
  STORAGE_LIMIT_BYTES, STORAGE_PRESSURE, STORED_SHARE, TRACE_ROWS_MAX, VALUES_UNTESTED,
} from "../telemetry/metric-table.ts";
import { STORAGE_LOG } from "../log/storage-account.ts";
import { PHASE_SENT, PRESSURE_NONE, PRESSURE_REFUSE } from "./control.ts";
import { WHOLE_RECORD } from "./kept-store.ts";
import { LaneClock } from "./lane-clock.ts";
import type { LaneParts } from "./lane-parts.ts";

/** Generations removed in one go; each costs milliseconds. */
const RETIRED_PER_TURN = 2;
/** How often retirement, storage and gauges are looked at. */
const PERIOD_MS = 20;
/** How often outboxes are tidied. */
const OUTBOX_PERIOD_MS = 500;
/** Remembered decisions that become fingerprints in one go. */
const AGED_PER_RUN = 20_000;
const SET_ASIDE = "a damaged generation was set aside; its undecided spans are lost: check the"
  + " disk, and delete the directory when you need it no more";
const CORRUPT = "entries of the log failed their checksum and were skipped: check the disk";
const FULL = "the disk is full: spans are refused with 503 until space is free; nothing that was"
  + " acknowledged is lost";
const FAILED = "a commit failed: spans are refused with 503 until one succeeds; look at the disk of"
  + " the directory, and at the kernel's log";
/** The same failure is reported once in this time. */
const FAILURE_REPORT_MS = 10_000;

/** Written by its lane only. */
export class Housekeeping {
  readonly #in: LaneParts;
  readonly #carrier: Carrier;
  #nextMs = 0;
  #outboxesAtMs = 0;
  #failureReportedMs = -FAILURE_REPORT_MS;
  #failuresSince = 0;
  #corruptEntries = 0;

  constructor(parts: LaneParts) {
    this.#in = parts;
    this.#carrier = { appendKept: (generation) => this.#appendKept(generation) };
    parts.counters.set(TRACE_ROWS_MAX, parts.plan.limits.traceRowsMax);
  }

  /** Does what is due. */
  run(): void {
    const { clock } = this.#in;
    if (clock.nowMs < this.#nextMs) return;
    this.#nextMs = clock.nowMs + PERIOD_MS;
    this.#retire();
    if (clock.nowMs >= this.#outboxesAtMs) this.#maintainOutboxes();
    this.#gauges();
  }

  #retire(): void {
    const { log, memory, clock, control } = this.#in;
    memory.age(LaneClock.low(clock.nowMs), AGED_PER_RUN);
    log.rotateIfDue();
    if (control.pressure !== PRESSURE_NONE) log.sealIfSettled();
    // Not before every lane has logged what this log passed on to it.
    if (log.retirable() > 0 && control.allReached(PHASE_SENT)) {
      const status = log.retire(this.#carrier, RETIRED_PER_TURN);
      if (status !== LOG_OK) this.reportFailure(status);
    }
    log.removeGone(); // one a run: unlinking takes milliseconds
  }

  /** Outboxes commit their acknowledgements late: a message sent twice after a crash is allowed. */
  #maintainOutboxes(): void {
    this.#outboxesAtMs = this.#in.clock.nowMs + OUTBOX_PERIOD_MS;
    for (const { outbox } of this.#in.deliveries.list) {
      const status = outbox.maintain();
      if (status !== LOG_OK) this.reportFailure(status);
    }
  }

  /** Decisions of parts that still owe, logged anew before their old place goes. */
  #appendKept(generation: number): void {
    const { kept, log } = this.#in;
    for (let entry = kept.next(0); entry !== 0; entry = kept.next(entry)) {
      const at = entry * DECISION_WORDS;
      if (kept.words[at + DECISION_GENERATION] !== generation) continue;
      if (kept.words[at + DECISION_INDEX] === WHOLE_RECORD) continue; // its state says it all
      log.appendWords(KIND_KEPT, kept.words.subarray(at, at + DECISION_WORDS), DECISION_WORDS);
    }
  }

  #gauges(): void {
    const { counters, owner, memory, storage, log, control, plan, deliveries } = this.#in;
    owner.gauge();
    counters.set(DECISIONS_REMEMBERED, memory.full.count + memory.fingerprints.count);
    counters.set(DECISIONS_FORGOTTEN, memory.evictedTotal);
    counters.set(LOG_BYTES, storage.bytes(STORAGE_LOG));
    counters.set(LOG_GENERATIONS, log.generationCount);
    counters.set(VALUES_UNTESTED, this.#in.matcher.untestedValues);
    counters.set(RECORDS_CORRUPT, log.corruptReads + this.#corruptEntries);
    for (const delivery of deliveries.list) {
      counters.setAt(OUTBOX_BYTES, delivery.slot, delivery.outbox.bytesOnDisk());
    }
    this.publishStorage();
    if (plan.lane === 0) this.#limitGauges();
    control.setQuiet(plan.lane, this.#in.quiet());
  }

  /** What the lane has on disk, for all who look whether there is room. */
  publishStorage(): void {
    const { control, plan, storage } = this.#in;
    control.setStorageBytes(plan.lane, storage.total());
  }

  /** Of the whole process; one lane says them. */
  #limitGauges(): void {
    const { control, counters } = this.#in;
    counters.set(STORAGE_BYTES, control.storageBytes());
    counters.set(STORAGE_LIMIT_BYTES, control.storageLimitBytes);
    counters.set(STORAGE_PRESSURE, degreeOf(control.pressure));
    counters.set(STORED_SHARE, 2 ** -control.samplingLevel);
    counters.set(MEMORY_PRESSURE, degreeOf(control.memoryPressure));
  }

  /** Says what recovery found. */
  reportRecovery(report: RecoveryReport): void {
    const { reporter, plan } = this.#in;
    const { lane } = plan;
    this.#corruptEntries = report.corruptEntries;
    this.#in.counters.set(RECORDS_LOST, report.lostRecords);
    this.#in.counters.set(GENERATIONS_SET_ASIDE, report.setAside.length);
    if (report.records > 0) {
      const { records, parts, unsettledParts } = report;
      reporter.say("info", "recovered a log", { lane, records, parts, unsettledParts });
    }
    if (report.setAside.length > 0) {
      reporter.say("error", SET_ASIDE, { lane, directories: report.setAside.join(" ") });
    }
    if (report.corruptEntries > 0) {
      reporter.say("error", CORRUPT, {
        lane, directory: plan.dataDirectory, entries: report.corruptEntries,
        lostRecords: report.lostRecords,
      });
    }
  }

  /** A commit failed: once in a while, with what to do. */
  reportFailure(status: LogStatus): void {
    const { clock, reporter, plan, log } = this.#in;
    this.#failuresSince++;
    if (clock.nowMs - this.#failureReportedMs < FAILURE_REPORT_MS) return;
    this.#failureReportedMs = clock.nowMs;
    reporter.say("error", status === LOG_FULL ? FULL : FAILED, {
      lane: plan.lane, directory: plan.dataDirectory, failures: this.#failuresSince,
      reason: log.lastError?.message ?? "no space left",
    });
    this.#failuresSince = 0;
  }
}

/** A pressure's gauge: 0 none, 1 something gives way, 2 clients are refused. */
function degreeOf(pressure: number): number {
  if (pressure === PRESSURE_NONE) return 0;
  return (pressure & PRESSURE_REFUSE) === 0 ? 1 : 2;
}
