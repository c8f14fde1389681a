import { describe, expect, it } from "vitest";
import { FAILURE_NAMES } from "../../../engine/forward/destination.ts";
import { ForwarderCounters } from "../../../engine/forward/forwarder-counters.ts";
import { FORWARDERS_MAX, TRIGGER_NAMES } from "../../../engine/part/decision-layout.ts";
import { createCounterBlock } from "../../../engine/telemetry/counters.ts";
import { ForwardMirror } from "../../../engine/telemetry/forward-mirror.ts";
import {
  DECISION_KEEP, DECISION_NAMES, decisionIndex, failureIndex, FORWARD_FAILURE_NAMES,
  KEPT_LOST_NAMES, keptLostIndex, LOST_NAMES, lostIndex, movedIndex, STATUS_CODES, statusIndex,
} from "../../../engine/telemetry/label-values.ts";
import type { LabelNames, MetricDeclaration } from "../../../engine/telemetry/metric-layout.ts";
import {
  DECISIONS, FORWARD_BATCHES, FORWARD_IN_FLIGHT, FORWARD_RETRIES, FORWARD_SECONDS, FORWARD_SPANS,
  KEPT_SPANS_LOST, LANE_LAYOUT, METRICS, SPANS_LOST, SPANS_MOVED,
} from "../../../engine/telemetry/metric-table.ts";
import { seriesOf } from "../../../engine/telemetry/series.ts";
import { SnapshotReader } from "../../../engine/telemetry/snapshot.ts";

const names: LabelNames = {
  forwarders: [{ name: "backend", receives: true }, null, { name: "archive", receives: true }],
  policySets: [],
};

function declared(at: number): MetricDeclaration {
  const found = LANE_LAYOUT.declarations.find((declaration) => declaration.at === at);
  if (found === undefined) throw new Error(`nothing declared at ${at}`);
  return found;
}

function labelsAt(declaration: MetricDeclaration, index: number): Record<string, string> {
  const found = seriesOf(declaration, names).find((series) => series.indexes.includes(index));
  return { ...found?.labels };
}

describe("the metric table", () => {
  it("has names that Prometheus and its conventions accept, each once", () => {
    const seen = METRICS.map((metric) => metric.name);
    expect(new Set(seen).size).toBe(seen.length);
    for (const metric of METRICS) {
      expect(metric.name).toMatch(/^tailrace_[a-z]+(_[a-z]+)*$/);
      expect(metric.name.endsWith("_total"), metric.name).toBe(metric.kind === "counter");
      if (metric.kind === "histogram") expect(metric.name).toMatch(/_seconds$/);
      expect(metric.help, metric.name).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("gives every metric cells of its own", () => {
    for (const thread of ["lane", "door", "forward"] as const) {
      let next = 0;
      for (const metric of METRICS.filter((each) => each.thread === thread)) {
        expect(metric.at).toBe(next);
        next += metric.cellsEach * metric.space.size;
      }
      expect(createCounterBlock(thread).byteLength).toBe(16 + 8 * next);
    }
  });

  it("declares what the balance sheet is written in, with these labels", () => {
    const labels = new Map(METRICS.map((metric) => [metric.name, metric.space.labels.join(",")]));
    expect(labels.get("tailrace_spans_received_total")).toBe("protocol");
    expect(labels.get("tailrace_spans_replayed_total")).toBe("forwarder");
    expect(labels.get("tailrace_spans_kept_total")).toBe("forwarder,policy");
    expect(labels.get("tailrace_spans_dropped_total")).toBe("forwarder");
    expect(labels.get("tailrace_spans_upgraded_total")).toBe("forwarder");
    expect(labels.get("tailrace_spans_in_flight")).toBe("forwarder");
    expect(labels.get("tailrace_spans_moved_total")).toBe("forwarder,direction");
    expect(labels.get("tailrace_spans_lost_total")).toBe("forwarder,reason");
    expect(labels.get("tailrace_spans_refused_total")).toBe("reason");
    expect(labels.get("tailrace_outbox_spans")).toBe("forwarder");
  });

  it("numbers label values as the index functions do", () => {
    const lost = declared(SPANS_LOST);
    const keptLost = declared(KEPT_SPANS_LOST);
    const decisions = declared(DECISIONS);
    for (const [slot, forwarder] of [[0, "backend"], [2, "archive"]] as const) {
      LOST_NAMES.forEach((reason, index) =>
        expect(labelsAt(lost, lostIndex(slot, index))).toEqual({ forwarder, reason }));
      KEPT_LOST_NAMES.forEach((reason, index) =>
        expect(labelsAt(keptLost, keptLostIndex(slot, index))).toEqual({ forwarder, reason }));
      expect(labelsAt(declared(SPANS_MOVED), movedIndex(slot, 1)))
        .toEqual({ forwarder, direction: "out" });
      for (let trigger = 1; trigger < TRIGGER_NAMES.length; trigger++) {
        expect(labelsAt(decisions, decisionIndex(slot, trigger, DECISION_KEEP)))
          .toEqual({ forwarder, trigger: TRIGGER_NAMES[trigger], decision: "keep" });
      }
    }
    const last = decisionIndex(FORWARDERS_MAX - 1, TRIGGER_NAMES.length - 1, DECISION_KEEP);
    expect(last).toBe(FORWARDERS_MAX * TRIGGER_NAMES.length * DECISION_NAMES.length - 1);
    expect(decisions.space.size).toBe(last + 1);
  });

  it("files status codes it has no label for under other", () => {
    expect(STATUS_CODES[statusIndex(200)]).toBe("200");
    expect(STATUS_CODES[statusIndex(503)]).toBe("503");
    expect(STATUS_CODES[statusIndex(418)]).toBe("other");
    expect(STATUS_CODES[statusIndex(Number.NaN)]).toBe("other");
  });
});

describe("the mirror of the forwarders", () => {
  it("uses the forwarders' own numbers for failures", () => {
    expect(FORWARD_FAILURE_NAMES.slice(1)).toEqual(FAILURE_NAMES.slice(1));
    expect(FORWARD_FAILURE_NAMES[0]).toBe("");
  });

  it("shows their totals under their slot and files their times", () => {
    const memory = createCounterBlock("forward");
    const mirror = new ForwardMirror(memory);
    const counters = new ForwarderCounters();
    mirror.attach(2, counters);
    counters.sentBatches = 3;
    counters.sentSpans = 300;
    counters.failures[2] = 4;
    counters.failures[6] = 1;
    counters.inFlightBatches = 2;
    counters.observeSendMs(7);
    mirror.publish();
    counters.sentSpans = 301;
    mirror.publish();
    const cells = new SnapshotReader({ lanes: [], doors: [], forwards: [memory] })
      .readBlocks().forward;
    expect(cells[FORWARD_SPANS + 2]).toBe(301);
    expect(Array.from(cells.slice(FORWARD_BATCHES + 6, FORWARD_BATCHES + 9))).toEqual([3, 0, 5]);
    expect(cells[FORWARD_RETRIES + failureIndex(2, 2)]).toBe(4);
    expect(cells[FORWARD_RETRIES + failureIndex(2, 6)]).toBe(1);
    expect(cells[FORWARD_IN_FLIGHT + 2]).toBe(2);
    const sumAt = FORWARD_SECONDS.at + 3 * FORWARD_SECONDS.cellsEach - 1;
    expect(cells[sumAt]).toBeCloseTo(0.007, 9);
    expect(cells[FORWARD_SPANS]).toBe(0);
  });
});
