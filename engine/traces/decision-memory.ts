// What was decided lately, so that a late span follows the decision its trace got: first in full,
// for a time and up to a number, then as fingerprints under a byte budget.
//
//   remember ─► full: queue by age, found by id ─► fingerprints: ring, found by hash ─► evicted
//               (fullMax entries, fullMs)           (fingerprintBytes)
//
// Invariant: masks only grow while a trace is remembered: what was decided stays decided, what was
// kept stays kept, and a drop may become a keep. A fingerprint stays, as the youngest, when its
// trace is remembered in full again; the two meet when the full entry grows old.

import { assert } from "../base/assert.ts";
import { SHARDS, shardOf } from "../hash/shard-of.ts";
import { hashTraceId } from "../hash/trace-hash.ts";
import {
  PART_END_HIGH, PART_END_LOW, PART_SPANS, PART_START_HIGH, PART_START_LOW,
} from "../part/part-layout.ts";
import { VOTE_WORDS } from "../part/decision-layout.ts";
import { FingerprintRing } from "./fingerprint-ring.ts";
import { FullDecisions } from "./full-decisions.ts";
import {
  BATCH_FINGERPRINTS, BATCH_FULL, BATCH_HEADER_WORDS, BATCH_VERSION, FINGERPRINT_CHECK,
  FINGERPRINT_HASH, FINGERPRINT_MASKS, FINGERPRINT_WORDS, MEMORY_AT_S, MEMORY_CHANGE,
  MEMORY_DURATION_US, MEMORY_ID_0, MEMORY_MASKS, MEMORY_REASON, MEMORY_SINCE_MS, MEMORY_SPANS,
  MEMORY_VOTES_0, MEMORY_WORDS, REASON_FLAGS_MASK, REASON_POLICY_SET_MASK,
} from "./memory-layout.ts";

/** Answers of `lookup`. */
export const UNKNOWN = 0;
export const FULL = 1;
export const FINGERPRINT = 2;
export type Remembered = typeof UNKNOWN | typeof FULL | typeof FINGERPRINT;

/** Answers of `load`. All but the first leave the memory as it was. */
export const LOADED = 0;
export const LOAD_MALFORMED = 1;
export const LOAD_NEWER_VERSION = 2;
export const LOAD_OTHER_SEED = 3;
/** Fingerprints of version 1: their checks do not say the shard, so they would never be found. */
export const LOAD_OLDER_VERSION = 4;
export type LoadAnswer = typeof LOADED | typeof LOAD_MALFORMED | typeof LOAD_NEWER_VERSION
  | typeof LOAD_OTHER_SEED | typeof LOAD_OLDER_VERSION;

const SAMPLERS_MASK = 0xffff;
const U32_MAX = 0xffffffff;
const NS_PER_US = 1000;
const U32_RANGE = 2 ** 32;
// Check of a fingerprint, u32: [0..19] low bits of the seeded check hash | [20..31] shard
/** What the shard leaves. With the hash 52 bits are secret: see FingerprintRing for the odds. */
const CHECK_SHARD_SHIFT = 20;
const CHECK_SECRET_MASK = (1 << CHECK_SHARD_SHIFT) - 1;
assert(SHARDS === 2 ** (32 - CHECK_SHARD_SHIFT), "a check has room for every shard, and no more");

/**
 * Shard of the trace that a fingerprint is of, so that whoever owns it now can be given it.
 * @param check as i32 or u32.
 */
export function shardOfFingerprint(check: number): number {
  return check >>> CHECK_SHARD_SHIFT;
}

export interface DecisionMemoryOptions {
  /** Decisions remembered in full at most; beyond it the oldest become fingerprints early. */
  readonly fullMax: number;
  /** How long a decision is remembered in full. */
  readonly fullMs: number;
  /** Memory for fingerprints and their index; beyond it the oldest are forgotten. */
  readonly fingerprintBytes: number;
  /** Secret of the data directory, so that exported fingerprints survive a restart. */
  readonly seed: number;
}

/** Decisions of one lane's shards; only that lane touches it. */
export class DecisionMemory {
  readonly fullMs: number;
  readonly seed: number;
  readonly checkSeed: number;
  /** Says in a batch under which seed its fingerprints were made, without saying the seed. */
  readonly seedProof: number;
  readonly full: FullDecisions;
  readonly fingerprints: FingerprintRing;
  /** What the last `lookup` found, in memory layout; of a fingerprint only id and masks. */
  readonly found = new Uint32Array(MEMORY_WORDS);
  /** Place to put together what `remember` takes; see `beginDraft`. */
  readonly draft = new Uint32Array(MEMORY_WORDS);
  /** Decisions remembered or merged so far; the low 32 bits number the changes. */
  changes = 0;
  /** Full entries that became fingerprints, and those among them that had to before `fullMs`. */
  demotedTotal = 0;
  demotedEarlyTotal = 0;
  /**
   * Merges of two decisions of which one keeps what the other drops, for a sampler that both have
   * decided; keep wins. A drop that is told again after a keep counts again.
   */
  conflicts = 0;

  constructor(options: DecisionMemoryOptions) {
    assert(Number.isInteger(options.fullMax), "fullMax is a whole number");
    assert(options.fullMax >= 1, "something is remembered in full");
    assert(options.fullMs >= 0, "fullMs is not negative");
    assert(options.fullMs < 2 ** 31, "an age is told apart from a time to come");
    this.fullMs = options.fullMs;
    this.seed = options.seed >>> 0;
    this.checkSeed = ~options.seed >>> 0;
    this.seedProof = DecisionMemory.proofOf(this.seed);
    this.full = new FullDecisions(options.fullMax);
    this.fingerprints = new FingerprintRing(options.fingerprintBytes);
  }

  /**
   * The second word of a fingerprint of the trace at `words[at..at+3]`, as i32; the first is
   * `hashTraceId` under `seed`.
   */
  checkOf(words: Uint32Array, at: number): number {
    return (hashTraceId(words, at, this.checkSeed) & CHECK_SECRET_MASK)
      | (shardOf(words, at) << CHECK_SHARD_SHIFT);
  }

  /** See seedProof. */
  static proofOf(seed: number): number {
    return hashTraceId(new Uint32Array(4), 0, seed >>> 0) >>> 0;
  }

  /** Bytes that a memory of this size reserves. */
  static bytesFor(fullMax: number, fingerprintBytes: number): number {
    return FullDecisions.bytesFor(fullMax) + fingerprintBytes;
  }

  /** Fingerprints forgotten to make room: their traces would be judged as new ones. */
  get evictedTotal(): number {
    return this.fingerprints.evictedTotal;
  }

  /** Samplers (by forwarder slot) that have decided on the trace found last. */
  get decidedMask(): number {
    return this.found[MEMORY_MASKS]! & SAMPLERS_MASK;
  }

  /** Forwarders (by slot) that get the trace found last. */
  get keepMask(): number {
    return this.found[MEMORY_MASKS]! >>> 16;
  }

  /** What is remembered of the trace whose id is at `words[at..at+3]`; the data is in `found`. */
  lookup(words: Uint32Array, at: number): Remembered {
    const hash = hashTraceId(words, at, this.seed);
    const entry = this.full.find(words, at, hash);
    const fingerprint = this.fingerprints.count === 0 ? 0
      : this.fingerprints.find(hash, this.checkOf(words, at));
    if (entry === 0 && fingerprint === 0) return UNKNOWN;
    const masks = fingerprint === 0 ? 0 : this.fingerprints.masksOf(fingerprint);
    const found = this.found;
    if (entry === 0) {
      found.fill(0);
      for (let word = 0; word < 4; word++) found[word] = words[at + word]!;
      found[MEMORY_MASKS] = masks;
      return FINGERPRINT;
    }
    const own = this.full.words;
    const entryAt = entry * MEMORY_WORDS;
    for (let word = 0; word < MEMORY_SINCE_MS; word++) found[word] = own[entryAt + word]!;
    found[MEMORY_MASKS] = found[MEMORY_MASKS]! | masks;
    return FULL;
  }

  /**
   * Starts `draft` with what a part or a row (`words[at..]`) says: id, spans, duration. The caller
   * adds masks, votes, reason and time, then remembers it.
   */
  beginDraft(words: Uint32Array, at: number): void {
    const draft = this.draft;
    draft.fill(0);
    for (let word = 0; word < 4; word++) draft[word] = words[at + word]!;
    draft[MEMORY_SPANS] = words[at + PART_SPANS]!;
    const startHigh = words[at + PART_START_HIGH]!;
    const startLow = words[at + PART_START_LOW]!;
    if (startHigh === 0 && startLow === 0) return;
    const highs = words[at + PART_END_HIGH]! - startHigh;
    const ns = highs * U32_RANGE + (words[at + PART_END_LOW]! - startLow);
    const us = Math.floor(ns / NS_PER_US);
    draft[MEMORY_DURATION_US] = us < 0 ? 0 : us > U32_MAX ? U32_MAX : us;
  }

  /**
   * Remembers the decision at `words[at..]` (memory layout), merged with what is remembered of its
   * trace already: masks are ORed, and so are votes under the same policy set; the younger policy
   * set wins when it voted; trigger and time follow a decision that added something.
   */
  remember(words: Uint32Array, at: number, nowMs: number): void {
    this.rememberSince(words, at, nowMs >>> 0);
  }

  rememberSince(words: Uint32Array, at: number, sinceMs: number): void {
    assert(words[at + MEMORY_MASKS] !== 0, "a decision decides something");
    const hash = hashTraceId(words, at, this.seed);
    let entry = this.full.find(words, at, hash);
    this.changes++;
    if (entry === 0) {
      if (this.full.count === this.full.entriesMax) {
        this.demoteOldest();
        this.demotedEarlyTotal++;
      }
      const check = this.checkOf(words, at);
      entry = this.full.append(words, at, hash, sinceMs);
      if (entry === 0) { // no slot in the index: the least that can be remembered of it
        this.demotedTotal++;
        this.demotedEarlyTotal++;
        this.loadFingerprint(hash, check, words[at + MEMORY_MASKS]!);
        return;
      }
      const fingerprint = this.fingerprints.find(hash, check);
      if (fingerprint !== 0) this.absorb(entry, fingerprint, hash, check);
    } else {
      const known = this.full.words[entry * MEMORY_WORDS + MEMORY_MASKS]!;
      if (differ(known, words[at + MEMORY_MASKS]!)) this.conflicts++;
      mergeEntry(this.full.words, entry * MEMORY_WORDS, words, at);
    }
    this.full.words[entry * MEMORY_WORDS + MEMORY_CHANGE] = this.changes; // its low 32 bits
  }

  /** Merges a fingerprint into the entry and renews it: the log may know its masks only by it. */
  absorb(entry: number, fingerprint: number, hash: number, check: number): void {
    const masks = this.fingerprints.masksOf(fingerprint);
    const masksAt = entry * MEMORY_WORDS + MEMORY_MASKS;
    const own = this.full.words[masksAt]!;
    if (differ(own, masks)) this.conflicts++;
    this.full.words[masksAt] = own | masks;
    this.fingerprints.put(hash, check, masks);
  }

  /** Turns at most `countMax` entries older than `fullMs` into fingerprints; answers how many. */
  age(nowMs: number, countMax: number): number {
    let count = 0;
    while (count < countMax && this.full.oldest !== 0) {
      const sinceMs = this.full.words[this.full.oldest * MEMORY_WORDS + MEMORY_SINCE_MS]!;
      if (((nowMs - sinceMs) | 0) < this.fullMs) break; // right across the wrap of the clock
      this.demoteOldest();
      count++;
    }
    return count;
  }

  demoteOldest(): void {
    const words = this.full.words;
    const at = this.full.oldest * MEMORY_WORDS;
    const hash = hashTraceId(words, at, this.seed);
    this.fingerprints.put(hash, this.checkOf(words, at), words[at + MEMORY_MASKS]!);
    this.full.removeOldest(hash);
    this.demotedTotal++;
  }

  /**
   * Takes in the batch at `words[at..end-1]`, as a MemorySweep made it in this run or an earlier
   * one. Entries go on ageing from where they were by the wall clock. Loading twice changes
   * nothing.
   */
  load(words: Uint32Array, at: number, end: number, nowMs: number, nowS: number): LoadAnswer {
    const refusal = this.checkBatch(words, at, end);
    if (refusal !== LOADED) return refusal;
    const count = words[at]! >>> 16;
    let entryAt = at + BATCH_HEADER_WORDS;
    const full = (words[at]! & 0xff) === BATCH_FULL;
    for (let index = 0; index < count; index++) {
      if (full) {
        this.loadEntry(words, entryAt, nowMs, nowS);
        entryAt += MEMORY_WORDS;
      } else {
        this.loadFingerprint(
          words[entryAt + FINGERPRINT_HASH]!, words[entryAt + FINGERPRINT_CHECK]!,
          words[entryAt + FINGERPRINT_MASKS]!,
        );
        entryAt += FINGERPRINT_WORDS;
      }
    }
    return LOADED;
  }

  /** Takes in one decision of an earlier run, in memory layout: a batch's or the decision log's. */
  loadEntry(words: Uint32Array, at: number, nowMs: number, nowS: number): void {
    const ageMs = Math.max(0, nowS - words[at + MEMORY_AT_S]!) * 1000;
    if (ageMs < this.fullMs) {
      this.rememberSince(words, at, (nowMs - ageMs) >>> 0);
      return;
    }
    const hash = hashTraceId(words, at, this.seed);
    if (this.full.find(words, at, hash) !== 0) this.rememberSince(words, at, nowMs >>> 0);
    else {
      this.loadFingerprint(hash, this.checkOf(words, at), words[at + MEMORY_MASKS]!);
    }
  }

  /**
   * Takes in one fingerprint made under the same seed, as the youngest, merged with the one that is
   * there. A full entry of the trace gets the masks too: the ring may forget them before it does.
   * @param hash as i32 or u32, and so is check.
   * @param masks not 0: who has them from outside has checked that, as `checkBatch` does.
   */
  loadFingerprint(hash: number, check: number, masks: number): void {
    const full = this.full.words;
    const entry = this.findFull(hash | 0, check | 0);
    const known = entry === 0 ? this.fingerprints.find(hash | 0, check | 0) : 0;
    // Where there are both, the full entry has all that the fingerprint has.
    const before = entry !== 0 ? full[entry * MEMORY_WORDS + MEMORY_MASKS]!
      : known !== 0 ? this.fingerprints.masksOf(known) : 0;
    if (differ(before, masks)) this.conflicts++;
    if (entry !== 0) full[entry * MEMORY_WORDS + MEMORY_MASKS] = before | masks;
    this.fingerprints.put(hash | 0, check | 0, masks);
  }

  /** The full entry of the trace with this fingerprint (hashes as i32), 0 = none. */
  findFull(hash: number, check: number): number {
    const { words, index } = this.full;
    let entry = index.first(hash);
    while (entry !== 0) {
      const at = entry * MEMORY_WORDS;
      if (hashTraceId(words, at, this.seed) === hash && this.checkOf(words, at) === check) break;
      entry = index.next();
    }
    return entry;
  }

  /** LOADED when every entry of the batch may be taken in: all or none are. */
  checkBatch(words: Uint32Array, at: number, end: number): LoadAnswer {
    if (end - at < BATCH_HEADER_WORDS) return LOAD_MALFORMED;
    const kind = words[at]! & 0xff;
    const version = (words[at]! >>> 8) & 0xff;
    if (version > BATCH_VERSION) return LOAD_NEWER_VERSION;
    if (kind !== BATCH_FULL && kind !== BATCH_FINGERPRINTS) return LOAD_MALFORMED;
    if (kind === BATCH_FINGERPRINTS && version < BATCH_VERSION) return LOAD_OLDER_VERSION;
    const entryWords = kind === BATCH_FULL ? MEMORY_WORDS : FINGERPRINT_WORDS;
    const masksAt = kind === BATCH_FULL ? MEMORY_MASKS : FINGERPRINT_MASKS;
    const count = words[at]! >>> 16;
    if (end - at !== BATCH_HEADER_WORDS + count * entryWords) return LOAD_MALFORMED;
    if (kind === BATCH_FINGERPRINTS && words[at + 1] !== this.seedProof) return LOAD_OTHER_SEED;
    for (let entryAt = at + BATCH_HEADER_WORDS; entryAt < end; entryAt += entryWords) {
      if (words[entryAt + masksAt] === 0) return LOAD_MALFORMED;
      if (kind === BATCH_FULL && isZeroId(words, entryAt)) return LOAD_MALFORMED;
    }
    return LOADED;
  }

  bytes(): number {
    return this.full.bytes() + this.fingerprints.bytes();
  }
}

/** Both masks decide on a sampler, one keeps and the other drops. */
function differ(left: number, right: number): boolean {
  return (((left ^ right) >>> 16) & left & right & SAMPLERS_MASK) !== 0;
}

function isZeroId(words: Uint32Array, at: number): boolean {
  return (words[at + MEMORY_ID_0]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0;
}

/** Merges the decision at `from[fromAt..]` into the remembered one of the same trace. */
function mergeEntry(own: Uint32Array, at: number, from: Uint32Array, fromAt: number): void {
  const masks = own[at + MEMORY_MASKS]!;
  const added = (from[fromAt + MEMORY_MASKS]! & ~masks) !== 0;
  own[at + MEMORY_MASKS] = masks | from[fromAt + MEMORY_MASKS]!;
  mergeVotes(own, at, from, fromAt);
  if (!added) return;
  const reason = own[at + MEMORY_REASON]!;
  const younger = from[fromAt + MEMORY_REASON]!;
  const flags = (reason | younger) & REASON_FLAGS_MASK;
  own[at + MEMORY_REASON] = flags | (reason & REASON_POLICY_SET_MASK) | (younger & 0xff);
  own[at + MEMORY_AT_S] = Math.max(own[at + MEMORY_AT_S]!, from[fromAt + MEMORY_AT_S]!);
  own[at + MEMORY_SPANS] = Math.max(own[at + MEMORY_SPANS]!, from[fromAt + MEMORY_SPANS]!);
  own[at + MEMORY_DURATION_US] =
    Math.max(own[at + MEMORY_DURATION_US]!, from[fromAt + MEMORY_DURATION_US]!);
}

/** Votes have a meaning only with their policy set: ORed under one, else the younger that voted. */
function mergeVotes(own: Uint32Array, at: number, from: Uint32Array, fromAt: number): void {
  const reason = own[at + MEMORY_REASON]!;
  const policySet = from[fromAt + MEMORY_REASON]! & REASON_POLICY_SET_MASK;
  const same = (reason & REASON_POLICY_SET_MASK) === policySet;
  let voted = 0;
  for (let word = 0; word < VOTE_WORDS; word++) voted |= from[fromAt + MEMORY_VOTES_0 + word]!;
  if (voted === 0) return;
  for (let word = MEMORY_VOTES_0; word < MEMORY_VOTES_0 + VOTE_WORDS; word++) {
    own[at + word] = same ? own[at + word]! | from[fromAt + word]! : from[fromAt + word]!;
  }
  own[at + MEMORY_REASON] = (reason & ~REASON_POLICY_SET_MASK) | policySet;
}
