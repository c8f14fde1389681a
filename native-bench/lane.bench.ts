// One lane alone: payloads in its ring, turns in this thread, rendered spans taken and acknowledged
// at once. What the whole chain costs without the front door, the forwarder thread and the sockets.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createSharedMemory } from "../engine/gateway/shared-memory.ts";
import { buildLane } from "../engine/lane/lane-parts.ts";
import type { LanePlan } from "../engine/lane/lane-plan.ts";
import { Lane } from "../engine/lane/lane.ts";
import { ByteRingConsumer, ByteRingProducer } from "../engine/ring/byte-ring.ts";
import {
  FORMAT_OTLP_PROTO, PAYLOAD_BODY_BYTES, PAYLOAD_ENCODING, PAYLOAD_FORMAT, PAYLOAD_HEADER_BYTES,
  PAYLOAD_REQUEST,
} from "../engine/ring/payload-layout.ts";
import {
  ACK_FORWARDER, ACK_MESSAGE_ID, ACK_OUTCOME, MESSAGE_ID, MESSAGE_SPANS,
} from "../engine/forward/message-layout.ts";
import { SlotRingConsumer, SlotRingProducer } from "../engine/ring/slot-ring.ts";
import { copyBytes } from "../engine/base/copy-bytes.ts";
import { otlpPayload, referenceShape, type Payload } from "./load/payload.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 7;
const SPREAD = 4;
const SPANS = 100;
const DECISION_WAIT_MS = 2_000;
const PAYLOADS_PER_TURN = 24;
const LIMITS: LanePlan["limits"] = {
  bodyBytesMax: 1 << 20, inflateRatioMax: 100, spansPerBodyMax: 1 << 15,
  traceRowsMax: 1_000_000, partLinksMax: 6_000_000, spansPerTraceMax: 1_000_000,
  bytesPerTraceMax: 1 << 30, decisionsFullMax: 1_000_000, decisionsFullMs: 60_000,
  fingerprintBytes: 16 << 20, keptPartsMax: 262_144, generationBytes: 128 << 20,
  generationAgeMs: 60_000,
};

/** Runs the lane for a while at full speed. */
export function run(options: BenchOptions): BenchResult {
  const directory = mkdtempSync(path.join(tmpdir(), "tailrace-lane-"));
  try {
    return new LaneRun(directory).measure(options.smoke ? 300 : 20_000);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

class LaneRun {
  readonly #memory = createSharedMemory(1, [0], LIMITS.bodyBytesMax).lanes[0]!; // one lane
  readonly #lane: Lane;
  readonly #payloads = new ByteRingProducer(this.#memory.payloads);
  readonly #completions = new SlotRingConsumer(this.#memory.completions);
  readonly #forward = new ByteRingConsumer(this.#memory.forward[0]!); // slot 0
  readonly #acknowledgements = new SlotRingProducer(this.#memory.acknowledgements);
  readonly #template: Payload = otlpPayload(referenceShape(SPANS, 0, SEED));
  #sent = 0;
  #kept = 0;

  constructor(directory: string) {
    const policies = [{
      name: "some", type: "probabilistic" as const, probabilistic: { sampling_percentage: 10 },
    }];
    this.#lane = new Lane(buildLane({
      lane: 0, lanes: 1, dataDirectory: directory, durability: "process",
      logId: "bench", fingerprintSeed: SEED, tableSeed: SEED, slotNames: ["backend"],
      forwarders: [{
        slot: 0, name: "backend", outboxAfterMs: 60_000, outboxBytesMax: 1 << 30,
        sampler: {
          slot: 0, forwarder: "backend", policies, decisionWaitMs: DECISION_WAIT_MS,
          decisionWaitAfterRootMs: 0,
        },
      }],
      limits: LIMITS, memory: this.#memory,
    }));
    this.#lane.load();
  }

  measure(payloads: number): BenchResult {
    const beganMs = performance.now();
    const before = process.cpuUsage();
    while (this.#sent < payloads) {
      for (let count = 0; count < PAYLOADS_PER_TURN && this.#sent < payloads; count++) this.#put();
      this.#lane.step();
      this.#take();
    }
    const cpu = process.cpuUsage(before);
    const seconds = (performance.now() - beganMs) / 1000;
    const spans = payloads * SPANS;
    return {
      name: "lane", spansPerSecond: Math.round(spans / seconds),
      detail: {
        spansPerCpuSecond: Math.round(spans / ((cpu.user + cpu.system) / 1e6)),
        seed: SEED, payloads, keptShare: rounded(this.#kept / spans),
        memoryMib: Math.round(process.memoryUsage().rss / 2 ** 20),
      },
    };
  }

  /** One payload with fresh trace ids, each of which lives for SPREAD payloads. */
  #put(): void {
    const { body, ids } = this.#template;
    for (const { at, bytes, group } of ids) {
      if (bytes !== 16) continue;
      const trace = Math.floor((this.#sent + (group * SPREAD) / (SPANS / 2)) / SPREAD);
      const view = new DataView(body.buffer, body.byteOffset + at, 16);
      view.setUint32(0, Math.imul(trace, 0x9e3779b1) >>> 0);
      view.setUint32(4, Math.imul(group + 1, 0x85ebca6b) >>> 0);
      view.setUint32(8, trace);
      view.setUint32(12, group + 1);
    }
    const at = this.#payloads.reserve(PAYLOAD_HEADER_BYTES + body.length);
    if (at < 0) return;
    const { words } = this.#payloads;
    words[(at >>> 2) + PAYLOAD_REQUEST] = this.#sent;
    words[(at >>> 2) + PAYLOAD_FORMAT] = FORMAT_OTLP_PROTO;
    words[(at >>> 2) + PAYLOAD_ENCODING] = 0;
    words[(at >>> 2) + PAYLOAD_BODY_BYTES] = body.length;
    copyBytes(body, 0, body.length, this.#payloads.bytes, at + PAYLOAD_HEADER_BYTES);
    this.#payloads.publish(PAYLOAD_HEADER_BYTES + body.length);
    this.#sent++;
  }

  /** Empties what the lane filled, and acknowledges what it rendered. */
  #take(): void {
    while (this.#completions.peek() >= 0) this.#completions.release();
    this.#completions.flush();
    for (let at = this.#forward.peek(); at >= 0; at = this.#forward.peek()) {
      const { words } = this.#forward;
      const to = this.#acknowledgements.reserve();
      if (to < 0) break;
      this.#acknowledgements.words[to + ACK_FORWARDER] = 0;
      this.#acknowledgements.words[to + ACK_MESSAGE_ID] = words[(at >>> 2) + MESSAGE_ID]!;
      this.#acknowledgements.words[to + ACK_OUTCOME] = 0;
      this.#kept += words[(at >>> 2) + MESSAGE_SPANS]!;
      this.#acknowledgements.publish();
      this.#forward.release();
    }
    this.#acknowledgements.flush();
  }
}

await runWhenMain(import.meta.url, run);
