// What an OTLP/HTTP backend's answer means.
// Source: OTLP specification 1.x, "OTLP/HTTP Response": 429, 502, 503 and 504 are retried, a 2xx
// may report a partial success.

import {
  DELIVERED, DELIVERED_OUTCOME, FAILURE_NONE, FAILURE_REDIRECT, FAILURE_REFUSED, FAILURE_SERVER,
  FAILURE_THROTTLED, FAILURE_TIMEOUT, FAILURE_UNAVAILABLE, REFUSED, REFUSED_CONTENT, RETRY,
  RETRY_SUSPECT, printable, type FailureKind, type Outcome, type Verdict,
} from "./destination.ts";
import { ProtoReader, WIRE_BYTES, WIRE_VARINT } from "./proto-reader.ts";

const PARTIAL_SUCCESS_FIELD = 1;
const REJECTED_SPANS_FIELD = 1;
const ERROR_MESSAGE_FIELD = 2;
const STATUS_MESSAGE_FIELD = 2;

/** One answer, its body cut at a bound of the reader. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** From the Retry-After header, ms; -1 when absent. */
  readonly retryAfterMs: number;
  readonly body: Buffer;
}

/** The outcome of an attempt that got an answer. */
export function outcomeOfAnswer(answer: Answer): Outcome {
  const { status } = answer;
  if (status >= 200 && status < 300) return outcomeOfSuccess(answer);
  const [verdict, failure] = classify(status);
  return {
    verdict, failure,
    retryAfterMs: verdict === RETRY || verdict === RETRY_SUSPECT ? answer.retryAfterMs : -1,
    // A proxy that lost its backend cannot say whether the backend took the request.
    unknown: status === 502 || status === 504,
    rejectedSpans: 0,
    code: String(status),
    text: printable(`${status} ${wordsOf(answer)}`.trim()),
  };
}

function classify(status: number): readonly [Verdict, FailureKind] {
  if (status === 429) return [RETRY, FAILURE_THROTTLED];
  if (status === 502 || status === 503 || status === 504) return [RETRY, FAILURE_UNAVAILABLE];
  // The server gave up waiting for the request, so it has not acted on it (RFC 9110 15.5.9).
  if (status === 408) return [RETRY, FAILURE_TIMEOUT];
  if (status === 400 || status === 413 || status === 422) return [REFUSED_CONTENT, FAILURE_REFUSED];
  if (status >= 400 && status < 500) return [REFUSED, FAILURE_REFUSED];
  // Other 5xx: the protocol would drop the batch, but backends answer 500 while they are down too.
  if (status >= 500) return [RETRY_SUSPECT, FAILURE_SERVER];
  // A redirect is not followed (it could carry the token elsewhere) and says nothing of the batch.
  return [RETRY, FAILURE_REDIRECT];
}

function outcomeOfSuccess(answer: Answer): Outcome {
  if (answer.body.length === 0) return DELIVERED_OUTCOME;
  const partial = isJson(answer) ? partialFromJson(answer.body) : partialFromProto(answer.body);
  if (partial.rejectedSpans === 0 && partial.text === "") return DELIVERED_OUTCOME;
  return {
    verdict: DELIVERED, failure: FAILURE_NONE, retryAfterMs: -1, unknown: false,
    rejectedSpans: partial.rejectedSpans, text: printable(partial.text),
  };
}

interface Partial {
  rejectedSpans: number;
  text: string;
}

/** ExportTraceServiceResponse. An unreadable one counts as full success: the status said so. */
function partialFromProto(body: Buffer): Partial {
  const partial: Partial = { rejectedSpans: 0, text: "" };
  const reader = new ProtoReader(body, 0, body.length);
  while (reader.next()) {
    if (reader.field !== PARTIAL_SUCCESS_FIELD || reader.wire !== WIRE_BYTES) continue;
    const inner = new ProtoReader(body, reader.bodyAt, reader.bodyEnd);
    while (inner.next()) {
      if (inner.field === REJECTED_SPANS_FIELD && inner.wire === WIRE_VARINT) {
        // Negative (a bug of the backend) and absurd counts are no counts.
        partial.rejectedSpans = inner.high === 0 ? inner.low : 0;
      } else if (inner.field === ERROR_MESSAGE_FIELD && inner.wire === WIRE_BYTES) {
        partial.text = inner.text();
      }
    }
  }
  return partial;
}

function partialFromJson(body: Buffer): Partial {
  const partial: Partial = { rejectedSpans: 0, text: "" };
  const success = memberOf(parseJson(body), "partialSuccess");
  const rejected = Number(memberOf(success, "rejectedSpans") ?? 0);
  if (Number.isSafeInteger(rejected) && rejected > 0) partial.rejectedSpans = rejected;
  const text = memberOf(success, "errorMessage");
  if (typeof text === "string") partial.text = text;
  return partial;
}

/**
 * The backend's own words about a failure: google.rpc.Status in the request's encoding, or text.
 */
function wordsOf(answer: Answer): string {
  const { body } = answer;
  if (isJson(answer)) {
    const message = memberOf(parseJson(body), "message");
    return typeof message === "string" ? message : body.toString("utf8");
  }
  if (!answer.contentType.includes("protobuf")) return body.toString("utf8");
  const reader = new ProtoReader(body, 0, body.length);
  while (reader.next()) {
    if (reader.field === STATUS_MESSAGE_FIELD && reader.wire === WIRE_BYTES) return reader.text();
  }
  return "";
}

function isJson(answer: Answer): boolean {
  return answer.contentType.includes("json");
}

/** Parsed JSON; undefined when it is none, which an answer may be: it was cut, or is a web page. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}
