// The coordinator's end of the questions to lanes and of what lanes report.

import { assert } from "../base/assert.ts";
import { ByteRingConsumer } from "../ring/byte-ring.ts";
import { SlotRingProducer } from "../ring/slot-ring.ts";
import { WakeWord } from "../ring/wake-word.ts";
import { shardOf } from "../hash/shard-of.ts";
import type { TraceReport } from "../telemetry/trace-report.ts";
import { QUESTION_NUMBER, QUESTION_TRACE } from "./questions.ts";
import type { LaneReport } from "./reporter.ts";

type LogLine = Extract<LaneReport, { readonly kind: "log" }>;

/**
 * Used by the coordinator's thread only. Who asks bounds how many ask at once, and for how long.
 */
export class LaneInquiry {
  readonly #questions: readonly SlotRingProducer[];
  readonly #reports: readonly ByteRingConsumer[];
  readonly #wakes: readonly WakeWord[];
  readonly #onLine: (line: LogLine) => void;
  readonly #waiting = new Map<number, (trace: TraceReport | null) => void>();
  readonly #decoder = new TextDecoder();
  #nextNumber = 1;

  /** Rings and wake words by lane. */
  constructor(
    questions: readonly SharedArrayBuffer[], reports: readonly SharedArrayBuffer[],
    laneWakes: readonly SharedArrayBuffer[], onLine: (line: LogLine) => void,
  ) {
    this.#questions = questions.map((memory) => new SlotRingProducer(memory));
    this.#reports = reports.map((memory) => new ByteRingConsumer(memory));
    this.#wakes = laneWakes.map((memory) => new WakeWord(memory));
    this.#onLine = onLine;
  }

  /**
   * Asks the owner of a trace. @param traceId 32 hex digits. @returns null when it knows nothing.
   */
  async ask(traceId: string): Promise<TraceReport | null> {
    const words = wordsOf(traceId);
    const lane = shardOf(words, 0) % this.#questions.length;
    const ring = this.#questions[lane]!; // lane < lanes
    const at = ring.reserve();
    if (at < 0) throw new Error("the lane that owns the trace has too many questions waiting");
    const number = this.#nextNumber;
    this.#nextNumber = (number + 1) >>> 0;
    ring.words[at + QUESTION_NUMBER] = number;
    ring.words.set(words, at + QUESTION_TRACE);
    ring.publish();
    ring.flush();
    this.#wakes[lane]!.wake();
    return await new Promise((resolve) => this.#waiting.set(number, resolve));
  }

  /** Takes what lanes reported: answers go to who asked, lines to the log. */
  take(): void {
    for (const ring of this.#reports) {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        const text = this.#decoder.decode(ring.bytes.slice(at, at + ring.messageBytes));
        ring.release();
        this.#takeOne(JSON.parse(text) as LaneReport); // written by Reporter
      }
    }
  }

  #takeOne(report: LaneReport): void {
    if (report.kind === "log") {
      this.#onLine(report);
      return;
    }
    const resolve = this.#waiting.get(report.question);
    assert(resolve !== undefined, "a question is answered once");
    this.#waiting.delete(report.question);
    resolve(report.trace);
  }
}

function wordsOf(traceId: string): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, word) => {
    return Number.parseInt(traceId.slice(word * 8, word * 8 + 8), 16);
  });
}

/** Shard of a trace id of 32 hex digits. */
export function shardOfHex(traceId: string): number {
  return shardOf(wordsOf(traceId), 0);
}
