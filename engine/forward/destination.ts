// What a destination is to a forwarder: something that takes a batch and says how that ended.
// Retries, batches and acknowledgements are the forwarder's; a destination makes one attempt.

import type { Clock } from "../base/clock.ts";
import type { ForwarderCounters } from "./forwarder-counters.ts";

/** The destination has the batch. */
export const DELIVERED = 0;
/** Not delivered; the same batch may pass later. */
export const RETRY = 1;
/** Not delivered by an error that may be the batch's own fault; retried, then halved. */
export const RETRY_SUSPECT = 2;
/** Refused for ever, for what the batch contains: halves of it may pass. */
export const REFUSED_CONTENT = 3;
/** Refused for ever, whatever the batch contains. */
export const REFUSED = 4;
export type Verdict =
  | typeof DELIVERED | typeof RETRY | typeof RETRY_SUSPECT | typeof REFUSED_CONTENT
  | typeof REFUSED;

/** Kinds of failed attempts, as counted and logged; 0 is none. */
export const FAILURE_NONE = 0;
export const FAILURE_CONNECT = 1;
export const FAILURE_TIMEOUT = 2;
export const FAILURE_RESET = 3;
export const FAILURE_THROTTLED = 4;
export const FAILURE_UNAVAILABLE = 5;
export const FAILURE_SERVER = 6;
export const FAILURE_REFUSED = 7;
export const FAILURE_REDIRECT = 8;
export const FAILURE_STORAGE = 9;
export const FAILURE_ABORTED = 10;
export const FAILURE_NAMES = [
  "none", "connect", "timeout", "reset", "throttled", "unavailable", "server_error", "refused",
  "redirect", "storage", "aborted",
] as const;
export type FailureKind = number;

/** How one attempt ended. */
export interface Outcome {
  readonly verdict: Verdict;
  readonly failure: FailureKind;
  /** Milliseconds the destination asked to wait; -1 when it did not ask. */
  readonly retryAfterMs: number;
  /** True when the destination may have taken the batch although it was not acknowledged. */
  readonly unknown: boolean;
  /** Spans that the destination took notice of and threw away (partial success). */
  readonly rejectedSpans: number;
  /** HTTP status, or code of the system's or the TLS library's error, where there is one. */
  readonly code?: string;
  /** For the log: status, error code, the destination's own words; bounded, printable. */
  readonly text: string;
}

/** One attempt's bytes: concatenated OTLP ResourceSpans fields, an ExportTraceServiceRequest. */
export interface SendBatch {
  /** Borrowed until `send` has returned its outcome; may be a view of a reused buffer. */
  readonly bytes: Buffer;
  readonly spans: number;
}

/** A kind of backend. Later kinds implement this and nothing else. */
export interface Destination {
  /**
   * Makes one attempt. Failures of the destination are outcomes; only a bug throws.
   * @param signal ends the attempt at once, with FAILURE_ABORTED, where that is possible.
   */
  send(batch: SendBatch, signal: AbortSignal): Promise<Outcome>;
  /** Gives up connections and files. Not called while a `send` is under way, except after abort. */
  close(): Promise<void>;
}

/** What a destination may use. */
export interface DestinationDependencies {
  readonly clock: Clock;
  readonly counters: ForwarderCounters;
}

/** The one outcome of success without remarks. */
export const DELIVERED_OUTCOME: Outcome = {
  verdict: DELIVERED, failure: FAILURE_NONE, retryAfterMs: -1, unknown: false, rejectedSpans: 0,
  text: "",
};

/** An attempt that failed without a hint when to come again. */
export function failedOutcome(
  verdict: Verdict, failure: FailureKind, unknown: boolean, text: string, code = "",
): Outcome {
  return { verdict, failure, retryAfterMs: -1, unknown, rejectedSpans: 0, text, code };
}

const TEXT_CHARACTERS_MAX = 256;

/** At most 256 characters, each printable ASCII, so that a backend cannot forge log lines. */
export function printable(text: string): string {
  return text.slice(0, TEXT_CHARACTERS_MAX).replace(/[^\x20-\x7e]/g, ".");
}
