// What a client is told. Replies that say nothing about the one request are made once.
// Source: OTLP specification 1.x, "OTLP/HTTP Response": every error carries a google.rpc.Status.

import {
  ACCEPTED, BAD_ENCODING, INTERNAL, MALFORMED, PARTIAL, TOO_LARGE, UNAVAILABLE,
} from "../part/verdict.ts";
import {
  REQUEST_BAD_ENCODING, REQUEST_INTERNAL, REQUEST_MALFORMED, REQUEST_TOO_LARGE,
  REQUEST_UNAVAILABLE, statusIndex,
} from "../telemetry/label-values.ts";
import {
  FULL_SUCCESS, GRPC_INTERNAL, GRPC_INVALID_ARGUMENT, GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE,
  partialSuccess, statusBody,
} from "../wire/otlp-proto/reply.ts";
import { CLOSE_NEVER, CLOSE_NOW, REFUSE_METHOD, type Refusal, refusals } from "./refusals.ts";
import { PROTOBUF_TYPE } from "./routes.ts";

/** One complete answer, independent of the HTTP engine. */
export interface Reply {
  /** Status code and reason phrase. */
  readonly status: string;
  /** Label index of the counter of answers. */
  readonly statusCounter: number;
  /** Label index of the counter of refusals; -1 when this is none. */
  readonly refusedCounter: number;
  readonly contentType: string;
  readonly body: Uint8Array | string;
  /** Retry-After in seconds, or "" for none. */
  readonly retryAfter: string;
  /** Allow, or "" for none. */
  readonly allow: string;
  /** A CLOSE_ code. */
  readonly close: number;
}

const PHRASES: Readonly<Record<number, string>> = {
  200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
  408: "Request Timeout", 413: "Content Too Large", 415: "Unsupported Media Type",
  500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
};
const TEXT_TYPE = "text/plain; charset=utf-8";

/** Texts of the reason codes that lanes send with MALFORMED, by code. */
export type Reasons = readonly string[];

/** All replies of a door. */
export class Replies {
  readonly accepted: Reply;
  readonly healthy: Reply;
  readonly notReady: Reply;
  /** While draining; the text is the one that the SignalFx gateway's users watch for. */
  readonly leaving: Reply;
  private readonly byRefusal: readonly Reply[];
  private readonly byAllow: Map<string, Reply>;
  private readonly reasons: Reasons;
  private readonly retryAfter: string;
  private readonly malformed: Map<number, Reply>;
  private readonly tooLarge: Reply;
  private readonly badEncoding: Reply;
  private readonly unavailable: Reply;
  private readonly internal: Reply;

  constructor(maxBodyBytes: number, retryAfterSeconds: number, reasons: Reasons) {
    this.reasons = reasons;
    this.retryAfter = String(retryAfterSeconds);
    this.accepted = reply(200, -1, PROTOBUF_TYPE, FULL_SUCCESS);
    this.healthy = reply(200, -1, TEXT_TYPE, "OK");
    this.notReady = { ...reply(503, -1, TEXT_TYPE, "not ready"), retryAfter: this.retryAfter };
    this.leaving = { ...reply(404, -1, TEXT_TYPE, "graceful shutdown"), close: CLOSE_NOW };
    this.byRefusal = refusals(maxBodyBytes).map((refusal) => this.refusalReply(refusal));
    this.byAllow = new Map();
    this.malformed = new Map();
    const inflated = `the body inflates to more than ${maxBodyBytes} bytes, or by too much`;
    this.tooLarge = refused(413, REQUEST_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED, inflated);
    this.badEncoding = refused(400, REQUEST_BAD_ENCODING, GRPC_INVALID_ARGUMENT,
      "the body is not in the encoding that Content-Encoding names");
    this.unavailable = {
      ...refused(503, REQUEST_UNAVAILABLE, GRPC_UNAVAILABLE, "cannot be stored now"),
      retryAfter: this.retryAfter,
    };
    this.internal = refused(500, REQUEST_INTERNAL, GRPC_INTERNAL, "internal error");
  }

  /** The reply of a REFUSE_ code. */
  ofRefusal(refusal: number): Reply {
    return this.byRefusal[refusal]!; // codes are places of the table
  }

  /** 405 of a path that takes one method. */
  ofMethod(allow: string): Reply {
    let made = this.byAllow.get(allow);
    if (made === undefined) {
      made = { ...this.ofRefusal(REFUSE_METHOD), allow };
      this.byAllow.set(allow, made);
    }
    return made;
  }

  /** The reply to a lane's verdict; an unknown verdict is an internal error. */
  ofVerdict(verdict: number, rejectedSpans: number, reason: number): Reply {
    switch (verdict) {
      case ACCEPTED: return this.accepted;
      case PARTIAL: return partial(rejectedSpans);
      case MALFORMED: return this.ofReason(reason);
      case TOO_LARGE: return this.tooLarge;
      case BAD_ENCODING: return this.badEncoding;
      case UNAVAILABLE: return this.unavailable;
      case INTERNAL: return this.internal;
      default: return this.internal;
    }
  }

  private ofReason(reason: number): Reply {
    let made = this.malformed.get(reason);
    if (made === undefined) {
      const text = this.reasons[reason] ?? `code ${reason}`;
      made = refused(400, REQUEST_MALFORMED, GRPC_INVALID_ARGUMENT, `malformed body: ${text}`);
      if (reason < this.reasons.length) this.malformed.set(reason, made);
    }
    return made;
  }

  private refusalReply(refusal: Refusal): Reply {
    return {
      ...refused(refusal.status, refusal.counter, refusal.grpcCode, refusal.text),
      retryAfter: refusal.retry ? this.retryAfter : "",
      close: refusal.close,
    };
  }
}

function partial(rejectedSpans: number): Reply {
  const spans = rejectedSpans === 1 ? "1 span has" : `${rejectedSpans} spans have`;
  const body = partialSuccess(rejectedSpans, `${spans} no usable trace id or span id`);
  return reply(200, -1, PROTOBUF_TYPE, body);
}

function refused(status: number, counter: number, grpcCode: number, text: string): Reply {
  return reply(status, counter, PROTOBUF_TYPE, statusBody(grpcCode, text));
}

function reply(
  status: number, refusedCounter: number, contentType: string, body: Uint8Array | string,
): Reply {
  return {
    status: `${status} ${PHRASES[status] ?? ""}`,
    statusCounter: statusIndex(status),
    refusedCounter,
    contentType,
    body,
    retryAfter: "",
    allow: "",
    close: CLOSE_NEVER,
  };
}
