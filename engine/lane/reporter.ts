import type { ByteRingProducer } from "../ring/byte-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { TraceReport } from "../telemetry/trace-report.ts";

export type Severity = "info" | "warn" | "error";

/** What a lane tells the coordinator, as JSON: a line for the log, or the answer to a question. */
export type LaneReport =
  | {
    readonly kind: "log"; readonly severity: Severity; readonly message: string;
    readonly fields: Readonly<Record<string, string | number>>;
  }
  | { readonly kind: "answer"; readonly question: number; readonly trace: TraceReport | null };

/** Writes reports. A lane never blocks on output: what finds no room is counted and dropped. */
export class Reporter {
  readonly #ring: ByteRingProducer;
  readonly #wake: WakeWord;
  readonly #encoder = new TextEncoder();
  dropped = 0;

  constructor(ring: ByteRingProducer, wake: WakeWord) {
    this.#ring = ring;
    this.#wake = wake;
  }

  say(
    severity: Severity, message: string,
    fields: Readonly<Record<string, string | number>> = {},
  ): void {
    const { dropped } = this;
    const told = dropped === 0 ? fields : { ...fields, reportsDropped: dropped };
    if (this.send({ kind: "log", severity, message, fields: told })) this.dropped -= dropped;
  }

  /** @returns false when the ring is full. */
  send(report: LaneReport): boolean {
    const bytes = this.#encoder.encode(JSON.stringify(report));
    const at = this.#ring.reserve(bytes.length);
    if (at < 0) {
      this.dropped++;
      return false;
    }
    this.#ring.bytes.set(bytes, at);
    this.#ring.publish(bytes.length);
    this.#wake.wake();
    return true;
  }
}
