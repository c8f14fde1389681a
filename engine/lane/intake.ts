// Payloads into the log: take from the ring, inflate, scan, append, stage the parts. Nothing of it
// is seen outside before the commit; then the door gets its completions and the owners their parts.

import zlib from "node:zlib";
import { assert } from "../base/assert.ts";
import { copyBytes } from "../base/copy-bytes.ts";
import type { LaneLog } from "../log/lane-log.ts";
import type { AttributeMatcher } from "../part/attribute-matcher.ts";
import {
  ACCEPTED, BAD_ENCODING, MALFORMED, PARTIAL, TOO_LARGE, UNAVAILABLE, type Verdict,
} from "../part/verdict.ts";
import type { ByteRingConsumer } from "../ring/byte-ring.ts";
import {
  COMPLETION_REASON, COMPLETION_REJECTED, COMPLETION_REQUEST, COMPLETION_VERDICT,
  COMPLETION_WORDS, ENCODING_GZIP, ENCODING_NONE, PAYLOAD_BODY_BYTES, PAYLOAD_ENCODING,
  PAYLOAD_FORMAT, PAYLOAD_HEADER_BYTES, PAYLOAD_REQUEST,
} from "../ring/payload-layout.ts";
import type { SlotRingProducer } from "../ring/slot-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import { PROTOCOL_NAMES, REFUSED_INVALID_ID, protocolOf } from "../telemetry/label-values.ts";
import {
  PAYLOADS_RECEIVED, PAYLOADS_SHED, PAYLOAD_BYTES_RECEIVED, SPANS_RECEIVED, SPANS_REFUSED,
} from "../telemetry/metric-table.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import { SCAN_OK } from "../wire/scan-codes.ts";
import { scanPayload } from "../wire/scan-payload.ts";
import type { Holder } from "./holder.ts";
import type { PartSender } from "./part-sender.ts";
import type { StorageSampler } from "./storage-sampler.ts";

/**
 * Bytes of payloads, inflated, in one commit: enough to make its fixed cost small, little enough to
 * be quick.
 */
const COMMIT_BYTES_MAX = 4 * 1024 * 1024;
/** Payloads in one commit. */
export const PAYLOADS_PER_COMMIT = 256;
/** What the inflate ratio never forbids. */
const INFLATED_BYTES_MIN = 64 * 1024;

export interface IntakeParts {
  readonly payloads: ByteRingConsumer;
  readonly completions: SlotRingProducer;
  readonly door: WakeWord;
  readonly log: LaneLog;
  readonly index: RecordIndex;
  readonly matcher: AttributeMatcher;
  readonly holder: Holder;
  readonly parts: PartSender;
  readonly counters: CounterBlock<"lane">;
  readonly sampler: StorageSampler;
}

/** Takes payloads. Written by its lane only. */
export class Intake {
  readonly #in: IntakeParts;
  readonly #bodyBytesMax: number;
  readonly #inflateRatioMax: number;
  /** The body under hand: #bytes[#at, #end), in the ring or inflated. The log copies it. */
  #bytes: Uint8Array;
  #at = 0;
  #end = 0;
  /** What inflating the body under hand made of it, refused or not: work counts as bytes do. */
  #inflatedBytes = 0;
  // What the commit will say, COMPLETION_WORDS each, and what it will count.
  readonly #staged = new Uint32Array(PAYLOADS_PER_COMMIT * COMPLETION_WORDS);
  #stagedCount = 0;
  #stagedSpans = 0;
  /** Of these, and of the payloads, by PROTOCOL_. */
  readonly #spansByProtocol = new Uint32Array(PROTOCOL_NAMES.length);
  readonly #payloadsByProtocol = new Uint32Array(PROTOCOL_NAMES.length);
  #stagedRefused = 0;
  #stagedBytes = 0;
  #stagedEvicted = 0;

  constructor(parts: IntakeParts, limits: { bodyBytesMax: number; inflateRatioMax: number }) {
    this.#in = parts;
    this.#bytes = parts.payloads.bytes;
    this.#bodyBytesMax = limits.bodyBytesMax;
    this.#inflateRatioMax = limits.inflateRatioMax;
  }

  /** True when a payload waits and may be taken. */
  get ready(): boolean {
    return !this.#in.parts.hasRest && this.#in.payloads.peek() >= 0;
  }

  /** True when no payload waits. */
  get empty(): boolean {
    return this.#in.payloads.usedBytes() === 0 && this.#stagedCount === 0;
  }

  /** Bytes of the payloads that the commit under way accepts. */
  get stagedBytes(): number {
    return this.#stagedBytes;
  }

  /**
   * Inside a transaction: takes payloads up to the bounds of a commit.
   * @param samplingLevel of new traces one in 2^level is stored.
   */
  take(samplingLevel: number): void {
    assert(this.#stagedCount === 0, "the last commit's completions are out");
    const { payloads, completions, parts, holder } = this.#in;
    const most = Math.min(PAYLOADS_PER_COMMIT, completions.free());
    let bytes = 0;
    while (this.#stagedCount < most && bytes < COMMIT_BYTES_MAX) {
      if (parts.hasRest || !holder.roomForRecord()) return;
      const at = payloads.peek();
      if (at < 0) return;
      this.#takeOne(at, samplingLevel);
      bytes += Math.max(payloads.messageBytes, this.#inflatedBytes);
      payloads.advance();
    }
  }

  #takeOne(at: number, samplingLevel: number): void {
    const { words } = this.#in.payloads;
    const head = at >>> 2;
    const verdict = this.#load(
      at, words[head + PAYLOAD_BODY_BYTES]!, words[head + PAYLOAD_ENCODING]!);
    const format = words[head + PAYLOAD_FORMAT]!;
    let reason = 0;
    let final: Verdict = verdict;
    if (verdict === ACCEPTED) {
      reason = scanPayload(
        format, this.#bytes, this.#at, this.#end, this.#in.matcher, this.#in.index);
      if (reason !== SCAN_OK) final = MALFORMED;
      else if (this.#in.index.refusedSpans > 0) final = PARTIAL;
    }
    const to = this.#stagedCount * COMPLETION_WORDS;
    this.#staged[to + COMPLETION_REQUEST] = words[head + PAYLOAD_REQUEST]!;
    this.#staged[to + COMPLETION_VERDICT] = final;
    this.#staged[to + COMPLETION_REJECTED] = final === PARTIAL ? this.#in.index.refusedSpans : 0;
    this.#staged[to + COMPLETION_REASON] = reason;
    this.#stagedCount++;
    if (final !== ACCEPTED && final !== PARTIAL) return;
    const protocol = protocolOf(format);
    this.#payloadsByProtocol[protocol] = this.#payloadsByProtocol[protocol]! + 1;
    this.#stagedRefused += this.#in.index.refusedSpans;
    this.#stagedBytes += this.#end - this.#at;
    if (this.#in.index.partCount === 0) return;
    this.#spansByProtocol[protocol] = this.#spansByProtocol[protocol]! + this.#in.index.spanCount;
    if (samplingLevel === 0) this.#append(this.#bytes, this.#at, this.#end, this.#in.index);
    else this.#appendShare(format, samplingLevel);
  }

  /** Storage is short: only a share of the new traces is stored, what is not is counted. */
  #appendShare(format: number, level: number): void {
    const { sampler, index } = this.#in;
    const evicted = sampler.sample(
      format, this.#bytes, this.#at, this.#end, index, level);
    this.#stagedEvicted += evicted;
    if (evicted < index.spanCount) this.#append(sampler.bytes, 0, sampler.end, sampler.index);
  }

  #append(bytes: Uint8Array, at: number, end: number, index: RecordIndex): void {
    const { log, holder, parts } = this.#in;
    const entry = log.appendRecord(bytes, at, end, index, holder.initialState);
    this.#stagedSpans += index.spanCount;
    holder.stageRecord(log.openGeneration, entry, index.spanCount);
    if (holder.samplersMask !== 0) {
      parts.stage(index, log.openGeneration, entry, holder.samplersMask);
    }
  }

  /** Finds the body, and inflates it when it must be. */
  #load(at: number, bytes: number, encoding: number): Verdict {
    const ring = this.#in.payloads.bytes;
    this.#bytes = ring;
    this.#at = at + PAYLOAD_HEADER_BYTES;
    this.#end = this.#at + bytes;
    this.#inflatedBytes = 0;
    if (encoding !== ENCODING_NONE) return this.#inflate(encoding);
    return bytes > this.#bodyBytesMax ? TOO_LARGE : ACCEPTED;
  }

  #inflate(encoding: number): Verdict {
    const packed = Buffer.allocUnsafe(this.#end - this.#at); // zlib takes no shared memory
    copyBytes(this.#bytes, this.#at, this.#end, packed, 0);
    const ratioBytes = Math.max(INFLATED_BYTES_MIN, packed.length * this.#inflateRatioMax);
    const maxOutputLength = Math.min(this.#bodyBytesMax, ratioBytes);
    try {
      this.#bytes = encoding === ENCODING_GZIP
        ? zlib.gunzipSync(packed, { maxOutputLength })
        : zlib.inflateSync(packed, { maxOutputLength });
      this.#at = 0;
      this.#end = this.#bytes.length;
      this.#inflatedBytes = this.#end;
      return ACCEPTED;
    } catch (error) {
      this.#inflatedBytes = maxOutputLength;
      return isTooLarge(error) ? TOO_LARGE : BAD_ENCODING;
    }
  }

  /** The commit succeeded: tells the door. */
  committed(): void {
    if (this.#stagedCount === 0) return;
    const { counters } = this.#in;
    for (let protocol = 0; protocol < PROTOCOL_NAMES.length; protocol++) {
      counters.addAt(SPANS_RECEIVED, protocol, this.#spansByProtocol[protocol]!);
      counters.addAt(PAYLOADS_RECEIVED, protocol, this.#payloadsByProtocol[protocol]!);
    }
    counters.add(PAYLOAD_BYTES_RECEIVED, this.#stagedBytes);
    counters.addAt(SPANS_REFUSED, REFUSED_INVALID_ID, this.#stagedRefused);
    this.#in.holder.countEvicted(this.#stagedEvicted);
    this.#answer();
  }

  /**
   * The commit failed: what would have been accepted is not, and the client may come again.
   * @param reason a REFUSED_ reason.
   */
  failed(reason: number): void {
    for (let index = 0; index < this.#stagedCount; index++) {
      const at = index * COMPLETION_WORDS;
      const verdict = this.#staged[at + COMPLETION_VERDICT]!;
      if (verdict !== ACCEPTED && verdict !== PARTIAL) continue;
      this.#staged[at + COMPLETION_VERDICT] = UNAVAILABLE;
      this.#staged[at + COMPLETION_REJECTED] = 0;
    }
    this.#in.counters.addAt(SPANS_REFUSED, reason, this.#stagedSpans + this.#stagedEvicted);
    this.#answer();
  }

  /**
   * Outside a transaction, under pressure: answers what waits without reading it.
   * @param reason a SHED_ reason.
   */
  refuseWaiting(reason: number): number {
    assert(this.#stagedCount === 0, "the last commit's completions are out");
    const { payloads, completions } = this.#in;
    const most = Math.min(PAYLOADS_PER_COMMIT, completions.free());
    while (this.#stagedCount < most) {
      const at = payloads.peek();
      if (at < 0) break;
      const to = this.#stagedCount * COMPLETION_WORDS;
      this.#staged[to + COMPLETION_REQUEST] = payloads.words[(at >>> 2) + PAYLOAD_REQUEST]!;
      this.#staged[to + COMPLETION_VERDICT] = UNAVAILABLE;
      this.#staged[to + COMPLETION_REJECTED] = 0;
      this.#staged[to + COMPLETION_REASON] = 0;
      this.#stagedCount++;
      payloads.advance();
    }
    const refused = this.#stagedCount;
    this.#in.counters.addAt(PAYLOADS_SHED, reason, refused);
    this.#answer();
    return refused;
  }

  #answer(): void {
    const { completions, payloads, door } = this.#in;
    for (let at = 0; at < this.#stagedCount * COMPLETION_WORDS; at += COMPLETION_WORDS) {
      const to = completions.reserve();
      assert(to >= 0, "completions were counted before payloads were taken");
      for (let word = 0; word < COMPLETION_WORDS; word++) {
        completions.words[to + word] = this.#staged[at + word]!;
      }
      completions.publish();
    }
    this.#stagedCount = 0;
    this.#stagedSpans = 0;
    this.#stagedRefused = 0;
    this.#stagedBytes = 0;
    this.#stagedEvicted = 0;
    this.#spansByProtocol.fill(0);
    this.#payloadsByProtocol.fill(0);
    payloads.releaseAll();
    if (completions.flush()) door.wake();
  }
}

/** Node's code for an output beyond maxOutputLength. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}
