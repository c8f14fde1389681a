// Attribute predicates of the loaded policies, compiled so that a key nobody names costs one table
// look-up and a named value sets bits. Format independent: scanners hand it bytes and numbers.
//
// A predicate is a bit of `bits`, by its place in the list. It matches values of its own type only;
// an empty string matches nothing. Source: OpenTelemetry tail_sampling string_attribute,
// numeric_attribute and boolean_attribute (there an empty value matches no span either).

import { RE2JS } from "re2js";
import { assert } from "../base/assert.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { isPacked, packText, viewOf } from "./packed-text.ts";
import { PREDICATES_MAX } from "./part-layout.ts";
import { RegexCache } from "./regex-cache.ts";
import { scratchText, scratchTextView } from "./scratch-text.ts";
import { ValueSet } from "./value-set.ts";

/** A condition on one attribute of a span or of its resource. */
export type AttributePredicate =
  | { readonly kind: "string"; readonly key: string; readonly values: readonly string[] }
  | {
    readonly kind: "regex"; readonly key: string;
    /** RE2 syntax; a value matches when any pattern is found anywhere in it. */
    readonly patterns: readonly string[];
    /** Results to remember, see regex-cache. */
    readonly cacheSize: number;
  }
  | {
    readonly kind: "number"; readonly key: string;
    /** Inclusive, signed 64-bit; null has no bound. */
    readonly min: bigint | null; readonly max: bigint | null;
  }
  | { readonly kind: "boolean"; readonly key: string; readonly value: boolean };

/** A longer value is matched by no regex: text this long is a document, not a name. Counted. */
export const REGEX_VALUE_BYTES_MAX = 65_536;
/** Bytes of a value times instructions of the patterns. RE2's time is at worst proportional to it,
 *  10 to 40 ns each (its usual 10 ns a byte do not hold for values made to be slow), so a value
 *  costs 40 ms at most. A larger one is matched by no regex. Counted. */
export const REGEX_VALUE_WORK_MAX = 1_000_000;
/** Time that regexes may take in one payload; past it values of that payload are matched by none,
 *  so that no client holds up a lane. Counted. */
export const REGEX_PAYLOAD_MS_MAX = 200;

/** Bounds on regexes; tests make them small. */
export interface RegexLimits {
  readonly valueBytes: number;
  readonly valueWork: number;
  readonly payloadMs: number;
}
const REGEX_LIMITS: RegexLimits = {
  valueBytes: REGEX_VALUE_BYTES_MAX, valueWork: REGEX_VALUE_WORK_MAX,
  payloadMs: REGEX_PAYLOAD_MS_MAX,
};

const KEY_BYTES_LONG = 255;
/** Flipping it makes int32 order of a low half its unsigned order. */
const SIGN_BIT = 1 << 31;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Tests of one named key. */
interface KeyTests {
  readonly exact: ExactTest[];
  readonly regex: RegexTest[];
  readonly number: NumberTest[];
  readonly boolean: BooleanTest[];
}
interface ExactTest { readonly word: number; readonly bit: number; readonly values: ValueSet }
interface RegexTest {
  readonly word: number; readonly bit: number;
  readonly patterns: RE2JS[]; readonly cache: RegexCache; readonly valueBytesMax: number;
}
interface NumberTest {
  readonly word: number; readonly bit: number;
  readonly minHigh: number; readonly minLow: number;
  readonly maxHigh: number; readonly maxLow: number;
}
interface BooleanTest { readonly word: number; readonly bit: number; readonly value: boolean }

/** The predicates of one policy set. One thread. */
export class AttributeMatcher {
  /** Distinct keys that predicates name. */
  readonly keyCount: number;
  /** Predicates matched since the last begin; bit i of the pair is predicate i. */
  readonly bits: Uint32Array;
  /** Predicates that the resource of the next spans matched. */
  readonly resourceBits: Uint32Array;
  /** Values that no regex tested because they or their payload passed a bound. Only rises. */
  untestedValues: number;
  // Keys by size: heads[size] is the first key of that many bytes or -1, nextKeys[key] the next.
  // Sizes from KEY_BYTES_LONG up share one list.
  readonly heads: Int16Array;
  readonly nextKeys: Int16Array;
  readonly keys: Uint32Array[];
  readonly keyBytes: Uint32Array;
  readonly tests: KeyTests[];
  readonly regexPayloadMsMax: number;
  readonly clock: Clock;
  /** Time that regexes have taken in this payload. */
  regexMs: number;
  // The payload last asked about, to compare four bytes at a time.
  bytes: Uint8Array;
  view: DataView;

  constructor(
    predicates: readonly AttributePredicate[], limits: RegexLimits = REGEX_LIMITS,
    clock: Clock = systemClock,
  ) {
    assert(predicates.length <= PREDICATES_MAX, "predicates fit the bits of a part");
    this.bits = new Uint32Array(2);
    this.resourceBits = new Uint32Array(2);
    this.untestedValues = 0;
    this.heads = new Int16Array(KEY_BYTES_LONG + 1).fill(-1);
    this.nextKeys = new Int16Array(PREDICATES_MAX).fill(-1);
    this.keys = [];
    this.keyBytes = new Uint32Array(PREDICATES_MAX);
    this.tests = [];
    this.regexPayloadMsMax = limits.payloadMs;
    this.clock = clock;
    this.regexMs = 0;
    this.bytes = new Uint8Array(0);
    this.view = viewOf(this.bytes);
    const numbers = new Map<string, number>();
    predicates.forEach((predicate, index) => {
      const number = numbers.get(predicate.key) ?? this.#addKey(predicate.key);
      numbers.set(predicate.key, number);
      addTest(this.tests[number]!, predicate, index, limits);
    });
    this.keyCount = this.keys.length;
  }

  /** A payload begins: the time of its regexes is counted from here. */
  beginPayload(): void {
    this.regexMs = 0;
  }

  /** The attributes of a resource follow. */
  beginResource(): void {
    this.bits[0] = 0;
    this.bits[1] = 0;
  }

  /** The resource is complete: what it matched holds for each of its spans. */
  endResource(): void {
    this.resourceBits[0] = this.bits[0]!;
    this.resourceBits[1] = this.bits[1]!;
  }

  /** The attributes of a span of the last resource follow. */
  beginSpan(): void {
    this.bits[0] = this.resourceBits[0]!;
    this.bits[1] = this.resourceBits[1]!;
  }

  /** Number of the key bytes[at, end), or -1 when no predicate names it. */
  findKey(bytes: Uint8Array, at: number, end: number): number {
    const size = end - at;
    let key = this.heads[size < KEY_BYTES_LONG ? size : KEY_BYTES_LONG]!;
    if (key < 0) return -1;
    const view = this.#viewOf(bytes);
    while (key >= 0) {
      if (this.keyBytes[key] === size && isPacked(view, at, end, this.keys[key]!, 0)) return key;
      key = this.nextKeys[key]!;
    }
    return -1;
  }

  /** Tests the string bytes[at, end), UTF-8 as received, under a key that findKey() gave. */
  testString(key: number, bytes: Uint8Array, at: number, end: number): void {
    if (at === end) return;
    const view = this.#viewOf(bytes);
    const tests = this.tests[key]!;
    for (let index = 0; index < tests.exact.length; index++) {
      const test = tests.exact[index]!;
      if (!test.values.has(view, at, end)) continue;
      this.bits[test.word] = this.bits[test.word]! | test.bit;
    }
    for (let index = 0; index < tests.regex.length; index++) {
      this.#testRegex(tests.regex[index]!, view, at, end);
    }
  }

  /** Tests a signed 64-bit integer; halves as int32, so that none is allocated as an argument. */
  testInteger(key: number, high: number, low: number): void {
    const tests = this.tests[key]!.number;
    const lowOrder = low ^ SIGN_BIT;
    for (let index = 0; index < tests.length; index++) {
      const test = tests[index]!;
      if (high < test.minHigh || (high === test.minHigh && lowOrder < test.minLow)) continue;
      if (high > test.maxHigh || (high === test.maxHigh && lowOrder > test.maxLow)) continue;
      this.bits[test.word] = this.bits[test.word]! | test.bit;
    }
  }

  testBoolean(key: number, value: boolean): void {
    const tests = this.tests[key]!.boolean;
    for (let index = 0; index < tests.length; index++) {
      const test = tests[index]!;
      if (test.value === value) this.bits[test.word] = this.bits[test.word]! | test.bit;
    }
  }

  #testRegex(test: RegexTest, view: DataView, at: number, end: number): void {
    if ((this.bits[test.word]! & test.bit) !== 0) return;
    let result = test.cache.find(view, at, end);
    if (result < 0) {
      if (end - at > test.valueBytesMax || this.regexMs >= this.regexPayloadMsMax) {
        this.untestedValues++;
        return;
      }
      const began = this.clock.monotonicMs();
      result = findAny(test.patterns, view, at, end);
      this.regexMs += this.clock.monotonicMs() - began;
      test.cache.add(view, at, end, result);
    }
    if (result === 1) this.bits[test.word] = this.bits[test.word]! | test.bit;
  }

  #viewOf(bytes: Uint8Array): DataView {
    if (bytes === scratchText) return scratchTextView;
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = viewOf(bytes);
    }
    return this.view;
  }

  #addKey(key: string): number {
    const encoded = new TextEncoder().encode(key);
    const number = this.keys.length;
    const list = Math.min(encoded.length, KEY_BYTES_LONG);
    this.keys.push(packText(encoded));
    this.keyBytes[number] = encoded.length;
    this.tests.push({ exact: [], regex: [], number: [], boolean: [] });
    this.nextKeys[number] = this.heads[list]!;
    this.heads[list] = number;
    return number;
  }
}

function addTest(
  tests: KeyTests, predicate: AttributePredicate, index: number, limits: RegexLimits,
): void {
  const word = index >>> 5;
  const bit = 1 << (index & 31);
  switch (predicate.kind) {
    case "string":
      tests.exact.push({ word, bit, values: new ValueSet(predicate.values) });
      return;
    case "regex":
      tests.regex.push(regexTest(word, bit, predicate, limits));
      return;
    case "number":
      tests.number.push(numberTest(word, bit, predicate.min, predicate.max));
      return;
    case "boolean":
      tests.boolean.push({ word, bit, value: predicate.value });
      return;
  }
}

function regexTest(
  word: number, bit: number, predicate: AttributePredicate & { readonly kind: "regex" },
  limits: RegexLimits,
): RegexTest {
  const patterns = predicate.patterns.map((pattern) => RE2JS.compile(pattern));
  const instructions = patterns.reduce((sum, pattern) => sum + pattern.programSize(), 1);
  return {
    word, bit, patterns, cache: new RegexCache(predicate.cacheSize),
    valueBytesMax: Math.min(limits.valueBytes, Math.floor(limits.valueWork / instructions)),
  };
}

function numberTest(
  word: number, bit: number, min: bigint | null, max: bigint | null,
): NumberTest {
  const lowest = min ?? INT64_MIN;
  const highest = max ?? INT64_MAX;
  assert(BigInt.asIntN(64, lowest) === lowest, "a lower bound fits 64 bits");
  assert(BigInt.asIntN(64, highest) === highest, "an upper bound fits 64 bits");
  return {
    word, bit,
    minHigh: Number(lowest >> 32n), minLow: lowHalf(lowest),
    maxHigh: Number(highest >> 32n), maxLow: lowHalf(highest),
  };
}

/** Low half as testInteger() orders it. */
function lowHalf(value: bigint): number {
  return Number(BigInt.asIntN(32, value)) ^ SIGN_BIT;
}

/** The value is copied: the payload may lie in shared memory, which RE2JS is not made for. */
function findAny(patterns: RE2JS[], view: DataView, at: number, end: number): number {
  const value = new Uint8Array(end - at);
  for (let byte = at; byte < end; byte++) value[byte - at] = view.getUint8(byte);
  for (let index = 0; index < patterns.length; index++) {
    if (patterns[index]!.test(value)) return 1;
  }
  return 0;
}
