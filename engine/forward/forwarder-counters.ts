import { FAILURE_NAMES } from "./destination.ts";

/** Names of ForwarderCounters.lostSpans, the `reason` label of tailrace_spans_lost_total. */
export const LOST_REFUSED = 0;
export const LOST_NAMES = ["backend_refused"] as const;

/**
 * What one forwarder did since start. The forwarder thread writes plain fields; telemetry reads
 * them on the same thread and publishes them. All count up, but for the last group, which are
 * gauges.
 */
export class ForwarderCounters {
  /** Requests that were delivered; halves of a batch count one each. */
  sentBatches = 0;
  sentSpans = 0;
  /** Bytes of delivered batches before compression. */
  sentBytes = 0;
  /** Attempts after the first. */
  retries = 0;
  /** Batches that were cut in two because of what they contain. */
  splits = 0;
  /** Failed attempts by failure kind (FAILURE_NAMES). */
  readonly failures = new Float64Array(FAILURE_NAMES.length);
  /** Spans given up, by reason (LOST_NAMES): their messages are acknowledged as refused. */
  readonly lostSpans = new Float64Array(LOST_NAMES.length);
  /** Spans that delivered requests reported as rejected (OTLP partial success). */
  rejectedSpans = 0;
  /** Attempts that may have reached the backend although they were not acknowledged. */
  unknownOutcomes = 0;
  /** Spans of those attempts: the most that can arrive twice. */
  unknownSpans = 0;
  /** Messages acknowledged to lanes, refused ones included. */
  ackedMessages = 0;

  /** File forwarders: finished files removed for maxFiles or maxBytes. */
  filesRemoved = 0;
  /** File forwarders: values that could not be written as JSON (malformed, too deep, too many). */
  valuesLeftOut = 0;

  /** Batches being sent or waiting for a retry. */
  inFlightBatches = 0;
  inFlightSpans = 0;
  /** Batches waiting for a retry. */
  retryingBatches = 0;

  /** Called with the milliseconds of every attempt that got an answer; telemetry replaces it. */
  observeSendMs: (milliseconds: number) => void = () => {};
}
