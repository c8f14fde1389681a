// What a door counts, in plain memory of the main thread; main copies it to the counter block.

import { LISTENERS_MAX } from "../../config/settings.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import { REQUEST_REFUSED_NAMES, STATUS_CODES } from "../telemetry/label-values.ts";
import {
  HTTP_REQUESTS, REQUESTS_IN_FLIGHT, REQUESTS_REFUSED, TLS_CERTIFICATE_EXPIRY,
  TLS_RELOAD_FAILURES, UNFINISHED_BODY_BYTES,
} from "../telemetry/metric-table.ts";

/** Counts of one door since its start. */
export class DoorCounters {
  /** Replies by label index of the status code. */
  readonly answered = new Float64Array(STATUS_CODES.length);
  /** Requests not answered with success by label index of the reason, aborted ones included. */
  readonly refused = new Float64Array(REQUEST_REFUSED_NAMES.length);
  /** Bodies handed to lanes, and their bytes as received. */
  payloads = 0;
  payloadBytes = 0;
  /** Bytes of bodies that came after their request was refused. */
  discardedBytes = 0;
  /** Completions that named no waiting request: a bug in a lane. */
  staleCompletions = 0;
  /** Throws caught in callbacks of the HTTP engine: a bug in the door. */
  failures = 0;
  /** By listener: end of its certificate, seconds since the Unix epoch. */
  readonly certificateExpiry = new Float64Array(LISTENERS_MAX);
  /** By listener: changed TLS files that were no use. */
  readonly tlsReloadFailures = new Float64Array(LISTENERS_MAX);
}

/** Copies a door's counts and gauges to its block; the caller publishes the block. */
export function copyDoorCounters(
  counters: DoorCounters, inFlight: number, unfinishedBytes: number, block: CounterBlock<"door">,
): void {
  for (let index = 0; index < counters.answered.length; index++) {
    block.setAt(HTTP_REQUESTS, index, counters.answered[index]!); // index < length
  }
  for (let index = 0; index < counters.refused.length; index++) {
    block.setAt(REQUESTS_REFUSED, index, counters.refused[index]!); // index < length
  }
  for (let listener = 0; listener < LISTENERS_MAX; listener++) {
    block.setAt(TLS_CERTIFICATE_EXPIRY, listener, counters.certificateExpiry[listener]!);
    block.setAt(TLS_RELOAD_FAILURES, listener, counters.tlsReloadFailures[listener]!);
  }
  block.set(REQUESTS_IN_FLIGHT, inFlight);
  block.set(UNFINISHED_BODY_BYTES, unfinishedBytes);
}
