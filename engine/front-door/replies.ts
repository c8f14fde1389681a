// What a client is told. Replies that say nothing about the one request are made once for each
// format; see reply-styles.ts for how formats differ.

import {
  ACCEPTED, BAD_ENCODING, INTERNAL, MALFORMED, PARTIAL, TOO_LARGE, UNAVAILABLE,
} from "../part/verdict.ts";
import {
  REQUEST_BAD_ENCODING, REQUEST_INTERNAL, REQUEST_MALFORMED, REQUEST_TOO_LARGE,
  REQUEST_UNAVAILABLE,
} from "../telemetry/label-values.ts";
import {
  GRPC_INTERNAL, GRPC_INVALID_ARGUMENT, GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE,
} from "../wire/otlp-proto/reply.ts";
import { CLOSE_NOW, REFUSE_METHOD, type Refusal, refusals } from "./refusals.ts";
import { makeReply, type Reply, textReply } from "./reply.ts";
import { type ReplyStyle, STYLED_FORMATS, styleOf } from "./reply-styles.ts";

/** Texts of the reason codes that lanes send with MALFORMED, by code. */
export type Reasons = readonly string[];

/** What replies say of the door's settings. */
export interface ReplyFacts {
  readonly maxBodyBytes: number;
  readonly retryAfterSeconds: number;
  readonly reasons: Reasons;
}

/** All replies of a door. */
export class Replies {
  readonly healthy: Reply;
  readonly notReady: Reply;
  /** While draining; the text is the one that the SignalFx gateway's users watch for. */
  readonly leaving: Reply;
  private readonly byFormat: (FormatReplies | undefined)[];

  constructor(facts: ReplyFacts) {
    this.healthy = textReply(200, "OK");
    this.notReady = textReply(503, "not ready", {
      headers: ["Retry-After", String(facts.retryAfterSeconds)],
    });
    this.leaving = textReply(404, "graceful shutdown", { close: CLOSE_NOW });
    this.byFormat = [];
    for (const format of STYLED_FORMATS) {
      this.byFormat[format] = new FormatReplies(styleOf(format), facts);
    }
  }

  /** The replies in the style of a FORMAT_. */
  of(format: number): FormatReplies {
    return this.byFormat[format]!; // the constructor made them for every format
  }
}

/** The replies to requests of one format. */
export class FormatReplies {
  readonly accepted: Reply;
  private readonly style: ReplyStyle;
  private readonly byRefusal: readonly Reply[];
  private readonly byAllow: Map<string, Reply>;
  private readonly reasons: Reasons;
  private readonly malformed: Map<number, Reply>;
  private readonly tooLarge: Reply;
  private readonly badEncoding: Reply;
  private readonly unavailable: Reply;
  private readonly internal: Reply;

  constructor(style: ReplyStyle, facts: ReplyFacts) {
    const { maxBodyBytes } = facts;
    const retry = ["Retry-After", String(facts.retryAfterSeconds)];
    this.style = style;
    this.reasons = facts.reasons;
    this.accepted = makeReply(200, style.success);
    this.byRefusal = refusals(maxBodyBytes, style.types).map((refusal) => {
      return this.refusalReply(refusal, retry);
    });
    this.byAllow = new Map();
    this.malformed = new Map();
    const inflated = `the body inflates to more than ${maxBodyBytes} bytes, or by too much`;
    this.tooLarge = this.refused(413, REQUEST_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED, inflated);
    this.badEncoding = this.refused(400, REQUEST_BAD_ENCODING, GRPC_INVALID_ARGUMENT,
      "the body is not in the encoding that Content-Encoding names");
    this.unavailable = {
      ...this.refused(503, REQUEST_UNAVAILABLE, GRPC_UNAVAILABLE, "cannot be stored now"),
      headers: retry,
    };
    this.internal = this.refused(500, REQUEST_INTERNAL, GRPC_INTERNAL, "internal error");
  }

  /** The reply of a REFUSE_ code. */
  ofRefusal(refusal: number): Reply {
    return this.byRefusal[refusal]!; // codes are places of the table
  }

  /** 405 of a path that takes one method. */
  ofMethod(allow: string): Reply {
    let made = this.byAllow.get(allow);
    if (made === undefined) {
      made = { ...this.ofRefusal(REFUSE_METHOD), headers: ["Allow", allow] };
      this.byAllow.set(allow, made);
    }
    return made;
  }

  /** The reply to a lane's verdict; an unknown verdict is an internal error. */
  ofVerdict(verdict: number, rejectedSpans: number, reason: number): Reply {
    switch (verdict) {
      case ACCEPTED: return this.accepted;
      case PARTIAL: return this.partial(rejectedSpans);
      case MALFORMED: return this.ofReason(reason);
      case TOO_LARGE: return this.tooLarge;
      case BAD_ENCODING: return this.badEncoding;
      case UNAVAILABLE: return this.unavailable;
      case INTERNAL: return this.internal;
      default: return this.internal;
    }
  }

  private partial(rejectedSpans: number): Reply {
    const spans = rejectedSpans === 1 ? "1 span has" : `${rejectedSpans} spans have`;
    const text = `${spans} no usable trace id or span id`;
    return makeReply(200, this.style.partial(rejectedSpans, text));
  }

  private ofReason(reason: number): Reply {
    let made = this.malformed.get(reason);
    if (made === undefined) {
      const text = `malformed body: ${this.reasons[reason] ?? `code ${reason}`}`;
      made = this.refused(400, REQUEST_MALFORMED, GRPC_INVALID_ARGUMENT, text);
      if (reason < this.reasons.length) this.malformed.set(reason, made);
    }
    return made;
  }

  private refused(code: number, counter: number, grpcCode: number, text: string): Reply {
    return makeReply(code, this.style.error(grpcCode, text), { refusedCounter: counter });
  }

  private refusalReply(refusal: Refusal, retry: readonly string[]): Reply {
    const reply = this.refused(
      refusal.status, refusal.counter, refusal.grpcCode, refusal.text,
    );
    const headers = refusal.status === 503 ? retry : refusal.headers;
    return { ...reply, headers, close: refusal.close };
  }
}
