import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import {
  keptByPolicy, keptWithoutPolicy, KEPT_UNKNOWN, POLICY_SETS_MAX,
} from "../../../engine/telemetry/label-values.ts";
import {
  DECISION_LAG_SECONDS, FORWARD_SECONDS, HTTP_REQUESTS, LOG_COMMITS, PAYLOAD_BYTES_RECEIVED,
  SPANS_DROPPED, SPANS_IN_FLIGHT, SPANS_KEPT, TRACES_LIVE,
} from "../../../engine/telemetry/metric-table.ts";
import { SnapshotReader } from "../../../engine/telemetry/snapshot.ts";
import { compileEngine } from "../../support/compile-engine.ts";

const FREE = 0;
const WRITING = 1;
const READING = 2;

interface OneLane {
  readonly memory: SharedArrayBuffer;
  readonly block: CounterBlock<"lane">;
  read(): Float64Array;
}

function oneLane(): OneLane {
  const memory = createCounterBlock("lane");
  const reader = new SnapshotReader({ lanes: [memory], doors: [], forwards: [] });
  return {
    memory, block: new CounterBlock("lane", memory), read: () => reader.readBlocks().lane,
  };
}

describe("a counter block", () => {
  it("shows nothing before it is published, and everything after", () => {
    const { block, read } = oneLane();
    block.add(PAYLOAD_BYTES_RECEIVED, 2 ** 40 + 1);
    block.addAt(SPANS_DROPPED, 3, 7);
    block.set(TRACES_LIVE, 12);
    expect(read().every((value) => value === 0)).toBe(true);
    block.publish();
    const cells = read();
    expect(cells[PAYLOAD_BYTES_RECEIVED]).toBe(2 ** 40 + 1);
    expect(cells[SPANS_DROPPED + 3]).toBe(7);
    expect(cells[TRACES_LIVE]).toBe(12);
    expect(cells.reduce((sum, value) => sum + value)).toBe(2 ** 40 + 1 + 7 + 12);
  });

  it("moves gauges both ways and counts on from what is published", () => {
    const { block, read } = oneLane();
    block.addAt(SPANS_IN_FLIGHT, 0, 5);
    block.publish();
    block.addAt(SPANS_IN_FLIGHT, 0, -5);
    block.addAt(SPANS_DROPPED, 0, 5);
    expect(read()[SPANS_IN_FLIGHT]).toBe(5);
    block.publish();
    expect(read()[SPANS_IN_FLIGHT]).toBe(0);
    expect(read()[SPANS_DROPPED]).toBe(5);
  });

  it("loses nothing that was counted while a reader had it", () => {
    const { block, memory, read } = oneLane();
    const lock = new Int32Array(memory, 0, 1);
    block.add(LOG_COMMITS, 1);
    lock[0] = READING;
    expect(block.publish()).toBe(false);
    block.add(LOG_COMMITS, 1);
    expect(block.publishWaiting()).toBe(false);
    lock[0] = FREE;
    expect(read()[LOG_COMMITS]).toBe(0);
    expect(block.publish()).toBe(true);
    expect(read()[LOG_COMMITS]).toBe(2);
  });

  it("files values under the first bound that is not below them", () => {
    const { block, read } = oneLane();
    const { at, bounds, cellsEach } = DECISION_LAG_SECONDS;
    const [first, second] = bounds;
    block.observe(DECISION_LAG_SECONDS, 0);
    block.observe(DECISION_LAG_SECONDS, first ?? 0);
    block.observe(DECISION_LAG_SECONDS, (second ?? 0) - 1e-9);
    block.observe(DECISION_LAG_SECONDS, 1e9);
    block.publish();
    const cells = read().slice(at, at + cellsEach);
    expect(Array.from(cells.slice(0, 3))).toEqual([2, 1, 0]);
    expect(cells[bounds.length]).toBe(1);
    expect(cells[bounds.length + 1]).toBeCloseTo(1e9 + (first ?? 0) + (second ?? 0), 3);
  });

  it("keeps the histograms of different labels apart", () => {
    const memory = createCounterBlock("forward");
    const block = new CounterBlock("forward", memory);
    block.observeAt(FORWARD_SECONDS, 0, 0);
    block.observeAt(FORWARD_SECONDS, 15, 100);
    block.publish();
    const reader = new SnapshotReader({ lanes: [], doors: [], forwards: [memory] });
    const cells = reader.readBlocks().forward;
    const last = FORWARD_SECONDS.at + 15 * FORWARD_SECONDS.cellsEach;
    expect(cells[FORWARD_SECONDS.at]).toBe(1);
    expect(cells[last + FORWARD_SECONDS.bounds.length]).toBe(1);
    expect(cells.filter((value) => value !== 0)).toHaveLength(3); // the sum of the first is 0
  });

  it("refuses label values that are not its own", () => {
    const { block } = oneLane();
    expect(() => block.addAt(SPANS_DROPPED, 16, 1)).toThrow("label index");
    expect(() => block.addAt(SPANS_DROPPED, -1, 1)).toThrow("label index");
    expect(() => block.addAt(SPANS_DROPPED, Number.NaN, 1)).toThrow("label index");
    expect(() => block.setAt(SPANS_IN_FLIGHT, 16, 1)).toThrow("label index");
    expect(() => block.observe(DECISION_LAG_SECONDS, Number.NaN)).toThrow("finite");
    expect(() => block.observe(DECISION_LAG_SECONDS, -1)).toThrow("finite");
    expect(block.cells.every((value) => value === 0)).toBe(true);
  });

  it("refuses memory of another kind of thread", () => {
    expect(() => new CounterBlock("lane", createCounterBlock("door"))).toThrow("lane block");
    expect(() => new CounterBlock("lane", new SharedArrayBuffer(64))).toThrow("lane block");
    const memory = createCounterBlock("door");
    expect(() => new SnapshotReader({ lanes: [memory], doors: [], forwards: [] })).toThrow("lane");
  });

  it("files spans kept without a known policy under their forwarder, never elsewhere", () => {
    const unknown = keptWithoutPolicy(KEPT_UNKNOWN, 5);
    expect(keptByPolicy(5, 0, -1)).toBe(unknown);
    expect(keptByPolicy(5, POLICY_SETS_MAX, 3)).toBe(unknown);
    expect(keptByPolicy(5, 255, 127)).toBe(unknown);
    expect(keptByPolicy(5, POLICY_SETS_MAX - 1, 127)).toBeLessThan(keptWithoutPolicy(0, 0));
    const { block } = oneLane();
    block.addAt(SPANS_KEPT, unknown, 1);
    expect(block.cells[SPANS_KEPT + unknown]).toBe(1);
  });
});

describe("a snapshot", () => {
  it("sums the lanes and has each lane's own", () => {
    const memories = [createCounterBlock("lane"), createCounterBlock("lane")];
    const door = createCounterBlock("door");
    memories.forEach((memory, lane) => {
      const block = new CounterBlock("lane", memory);
      block.add(LOG_COMMITS, lane + 1);
      block.publish();
    });
    const doorBlock = new CounterBlock("door", door);
    doorBlock.addAt(HTTP_REQUESTS, 0, 9);
    doorBlock.publish();
    const reader = new SnapshotReader({ lanes: memories, doors: [door], forwards: [] });
    const snapshot = reader.readBlocks();
    expect(snapshot.lane[LOG_COMMITS]).toBe(3);
    expect(snapshot.lanes.map((cells) => cells[LOG_COMMITS])).toEqual([1, 2]);
    expect(snapshot.door[HTTP_REQUESTS]).toBe(9);
    expect(snapshot.staleBlocks).toBe(0);
  });

  it("is not changed by what is counted later", () => {
    const { block, memory } = oneLane();
    const reader = new SnapshotReader({ lanes: [memory], doors: [], forwards: [] });
    const before = reader.readBlocks();
    block.add(LOG_COMMITS, 1);
    block.publish();
    reader.readBlocks();
    expect(before.lane[LOG_COMMITS]).toBe(0);
    expect(before.lanes[0]?.[LOG_COMMITS]).toBe(0);
  });

  it("keeps the last whole publication of a thread that died while publishing, and says so", () => {
    const { block, memory } = oneLane();
    const reader = new SnapshotReader({ lanes: [memory], doors: [], forwards: [] });
    block.add(LOG_COMMITS, 4);
    block.publish();
    reader.readBlocks();
    new Float64Array(memory, 16).fill(77, 0, 300);
    new Int32Array(memory)[0] = WRITING;
    const snapshot = reader.readBlocks();
    expect(snapshot.staleBlocks).toBe(1);
    expect(snapshot.lane[LOG_COMMITS]).toBe(4);
  });
});

describe("a block of another thread", () => {
  const engine = compileEngine(["engine/telemetry/counters.ts"]);
  afterAll(() => engine.remove());

  // Every publication leaves commits = dropped = kept; a torn read would show a difference.
  const code = `
    const { workerData, parentPort } = require("node:worker_threads");
    (async () => {
      const { CounterBlock } = await import(workerData.counters);
      const table = await import(workerData.table);
      const block = new CounterBlock("lane", workerData.memory);
      const end = Date.now() + workerData.forMs;
      let turns = 0;
      while (Date.now() < end) {
        for (let turn = 0; turn < 100; turn++, turns++) {
          block.add(table.LOG_COMMITS, 4294967297);
          block.addAt(table.SPANS_DROPPED, 15, 4294967297);
          block.addAt(table.SPANS_KEPT, 500, 4294967297);
          block.publish();
        }
      }
      if (!block.publishWaiting()) throw new Error("the reader never let go");
      parentPort.postMessage(turns);
    })();
  `;

  it("is never seen half published", async () => {
    const memory = createCounterBlock("lane");
    const worker = new Worker(code, {
      eval: true,
      workerData: {
        counters: engine.url("engine/telemetry/counters.ts"),
        table: engine.url("engine/telemetry/metric-table.ts"), memory, forMs: 400,
      },
    });
    const turns = new Promise<number>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    let running = true;
    const ended = turns.finally(() => { running = false; });
    const reader = new SnapshotReader({ lanes: [memory], doors: [], forwards: [] });
    const seen = new Set<number>();
    let fresh = 0;
    while (running) {
      const { lane, staleBlocks } = reader.readBlocks();
      const commits = lane[LOG_COMMITS] ?? 0;
      expect(lane[SPANS_DROPPED + 15]).toBe(commits);
      expect(lane[SPANS_KEPT + 500]).toBe(commits);
      if (staleBlocks === 0) fresh++;
      seen.add(commits);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(reader.readBlocks().lane[LOG_COMMITS]).toBe(await ended * 4294967297);
    expect(seen.size).toBeGreaterThan(3);
    expect(fresh).toBeGreaterThan(3);
    await worker.terminate();
  }, 20_000);
});
