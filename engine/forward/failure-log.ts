import type { Clock } from "../base/clock.ts";
import { FAILURE_NAMES, type Outcome } from "./destination.ts";
import { adviceFor } from "./failure-advice.ts";

/** A line for the operator; whoever builds the forwarders decides where it goes. */
export interface ForwardEvent {
  readonly level: "info" | "warn" | "error";
  readonly forwarder: string;
  readonly message: string;
  readonly detail: Readonly<Record<string, string | number>>;
}

/**
 * One line of a kind in this time, ms; the others are counted and the count is in the next line.
 */
const LOG_INTERVAL_MS = 10_000;

const TAKEN_IN_PART = "the backend took a batch and threw spans of it away, or has a remark: its"
  + " answer says why";

/** Tells of a forwarder's failures, at most one line per kind and interval, and of their end. */
export class FailureLog {
  readonly #forwarder: string;
  readonly #clock: Clock;
  readonly #report: (event: ForwardEvent) => void;
  readonly #lastMs = new Map<string, number>();
  readonly #unsaid = new Map<string, number>();
  #failingSinceMs = -1;

  constructor(forwarder: string, clock: Clock, report: (event: ForwardEvent) => void) {
    this.#forwarder = forwarder;
    this.#clock = clock;
    this.#report = report;
  }

  /** An attempt failed and will be repeated. */
  failed(outcome: Outcome, attempt: number, delayMs: number): void {
    if (this.#failingSinceMs < 0) this.#failingSinceMs = this.#clock.monotonicMs();
    const kind = FAILURE_NAMES[outcome.failure]!; // every failure kind has a name
    this.#say("warn", kind, "sending failed, will retry", {
      failure: kind, attempt, delayMs: Math.round(delayMs), answer: outcome.text,
      advice: adviceFor(outcome),
    });
  }

  /** Spans were given up. */
  lost(outcome: Outcome, spans: number): void {
    this.#say("error", "lost", "the backend refused spans, they are lost", {
      spans, answer: outcome.text, advice: adviceFor(outcome),
    });
  }

  /** The backend took a batch and threw spans away, or remarked on it. */
  rejected(outcome: Outcome, spans: number): void {
    this.#say("warn", "rejected", TAKEN_IN_PART, {
      spans, rejected: outcome.rejectedSpans, answer: outcome.text,
    });
  }

  /** A batch was delivered. */
  delivered(): void {
    if (this.#failingSinceMs < 0) return;
    const failingMs = Math.round(this.#clock.monotonicMs() - this.#failingSinceMs);
    this.#failingSinceMs = -1;
    this.#say("info", "recovered", "sending works again", { failingMs });
  }

  #say(
    level: ForwardEvent["level"], kind: string, message: string,
    detail: Record<string, string | number>,
  ): void {
    const nowMs = this.#clock.monotonicMs();
    const lastMs = this.#lastMs.get(kind);
    if (lastMs !== undefined && nowMs - lastMs < LOG_INTERVAL_MS) {
      this.#unsaid.set(kind, (this.#unsaid.get(kind) ?? 0) + 1);
      return;
    }
    const unsaid = this.#unsaid.get(kind) ?? 0;
    this.#lastMs.set(kind, nowMs);
    this.#unsaid.delete(kind);
    const told = unsaid > 0 ? { ...detail, sameSince: unsaid } : detail;
    this.#report({ level, forwarder: this.#forwarder, message, detail: told });
  }
}
