// What every JSON scanner must stand: legal payloads however they are written, cut and changed
// ones, and any surroundings in memory. An oracle says what is right.

import { expect, it } from "vitest";
import type { AttributeMatcher } from "../../engine/part/attribute-matcher.ts";
import { RecordIndex } from "../../engine/wire/record-index.ts";
import { SCAN_OK, SCAN_REASONS } from "../../engine/wire/scan-codes.ts";
import type { OracleResult } from "./otlp-oracle.ts";
import type { Random } from "./random.ts";
import { CHECK_PREDICATES, checkMatcher, expectIndex } from "./scan-check.ts";

export type JsonScan = (
  bytes: Uint8Array, start: number, end: number, matcher: AttributeMatcher, index: RecordIndex,
) => number;

const SURROUNDINGS = [
  { poison: 0x22, before: 5 }, { poison: 0x30, before: 64 }, { poison: 0x00, before: 1 },
  { poison: 0x5c, before: 3 }, { poison: 0x7d, before: 2 }, { poison: 0xff, before: 7 },
] as const;
const SHORT_BYTES_MAX = 2_000;
const PAYLOADS = 300;
const CHANGED_PAYLOADS = 8;
const LIMIT_MS = 60_000;
/** Bytes that mean something in JSON. */
const SIGNS = [..."{}[]\",:\\ \n\t0123456789.eE+-ntrufalsexX/"].map((sign) => sign.charCodeAt(0));

/** One scanner and its oracle. */
export class JsonTrial<Result extends OracleResult> {
  readonly index: RecordIndex;
  readonly matcher: AttributeMatcher;
  readonly #scan: JsonScan;
  readonly #oracle: (payload: Uint8Array) => Result | null;
  readonly #more: (index: RecordIndex, payload: Uint8Array, result: Result) => void;
  readonly #again: RecordIndex;

  /** @param more expects what a format's index has besides parts and spans. */
  constructor(
    scan: JsonScan, oracle: (payload: Uint8Array) => Result | null,
    more: (index: RecordIndex, payload: Uint8Array, result: Result) => void,
  ) {
    this.index = new RecordIndex({ spansMax: 1_000, hashSeed: 1 });
    this.matcher = checkMatcher();
    this.#again = new RecordIndex({ spansMax: 1_000, hashSeed: 2 });
    this.#scan = scan;
    this.#oracle = oracle;
    this.#more = more;
  }

  /** Scans the payload and compares with the oracle; the scan code. */
  check(payload: Uint8Array): number {
    const expected = this.#oracle(payload);
    const code = this.#scan(payload, 0, payload.length, this.matcher, this.index);
    expect(SCAN_REASONS[code]).toBeDefined();
    const told = `${SCAN_REASONS[code]}: ${Buffer.from(payload).toString("latin1")}`;
    expect(code === SCAN_OK, told).toBe(expected !== null);
    if (expected !== null) {
      expectIndex(this.index, payload, expected, CHECK_PREDICATES);
      this.#more(this.index, payload, expected);
    }
    return code;
  }

  /** The same wherever the payload lies: what is around it must not matter. */
  checkSurrounded(payload: Uint8Array): number {
    const code = this.check(payload);
    const expected = this.#oracle(payload);
    for (const { poison, before } of SURROUNDINGS) {
      const memory = new Uint8Array(new SharedArrayBuffer(before + payload.length + 40));
      memory.fill(poison);
      memory.set(payload, before);
      const end = before + payload.length;
      expect(this.#scan(memory, before, end, this.matcher, this.#again)).toBe(code);
      if (expected === null) continue;
      expectIndex(this.#again, payload, expected, CHECK_PREDICATES);
      expect(this.#again.groups.slice(0, this.#again.groupCount * 8))
        .toEqual(this.index.groups.slice(0, this.index.groupCount * 8));
    }
    return code;
  }

  /** Memory that ends with the payload: a read past it through a view throws, one by index too. */
  checkGuarded(payload: Uint8Array): void {
    const before = 16;
    const whole = new Uint8Array(before + payload.length);
    whole.set(payload, before);
    const bytes = guarded(whole, before);
    const code = this.#scan(bytes, before, whole.length, checkMatcher(), this.#again);
    expect(code === SCAN_OK).toBe(this.#oracle(payload) !== null);
  }
}

/**
 * The tests of a scanner.
 * @param make a legal payload of some size.
 * @param bytesMax of a payload that are cut at, or changed, one by one.
 */
export function fuzzScanner<Result extends OracleResult>(
  trial: JsonTrial<Result>, random: Random, make: (size: number) => Uint8Array, bytesMax: number,
): void {
  it("agrees with the oracle about payloads however they are written", () => {
    let accepted = 0;
    for (let number = 0; number < PAYLOADS; number++) {
      if (trial.checkSurrounded(make(12)) === SCAN_OK) accepted++;
    }
    expect(accepted).toBe(PAYLOADS);
  }, LIMIT_MS);

  it("agrees with the oracle about payloads cut at every byte", () => {
    for (let number = 0; number < CHANGED_PAYLOADS; number++) {
      const payload = make(2).subarray(0, bytesMax);
      for (let end = 0; end <= payload.length; end++) trial.checkSurrounded(payload.slice(0, end));
    }
  }, LIMIT_MS);

  it("agrees with the oracle about payloads with any one byte changed", () => {
    let accepted = 0;
    for (let number = 0; number < CHANGED_PAYLOADS * 2; number++) {
      const payload = shortOf(() => make(3));
      for (let at = 0; at < Math.min(payload.length, bytesMax); at++) {
        if (trial.check(changedAt(random, payload, at)) === SCAN_OK) accepted++;
      }
    }
    expect(accepted).toBeGreaterThan(0);
  }, LIMIT_MS);

  it("agrees with the oracle about payloads cut up and put together again", () => {
    for (let number = 0; number < 3_000; number++) {
      trial.check(mutated(random, make(2)));
    }
  }, LIMIT_MS);

  it("reads no byte outside of the payload", () => {
    for (let number = 0; number < 30; number++) {
      const whole = make(3);
      trial.checkGuarded(whole);
      for (let cut = 0; cut < 20; cut++) {
        trial.checkGuarded(whole.subarray(0, random.below(whole.length + 1)));
      }
    }
  }, LIMIT_MS);
}

/** The first payload made that is short enough to be read once for each of its bytes. */
function shortOf(make: () => Uint8Array): Uint8Array {
  for (;;) {
    const payload = make();
    if (payload.length <= SHORT_BYTES_MAX) return payload;
  }
}

/** The payload with one byte changed. */
function changedAt(random: Random, payload: Uint8Array, at: number): Uint8Array {
  const changed = payload.slice();
  const byte = [random.below(256), changed[at]! ^ (1 << random.below(8)),
    SIGNS[random.below(SIGNS.length)]!][random.below(3)]!;
  changed[at] = byte;
  return changed;
}

/** The payload after a few cuts, insertions and repetitions of its own pieces. */
function mutated(random: Random, payload: Uint8Array): Uint8Array {
  let bytes = Buffer.from(payload);
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(bytes.length + 1);
    const piece = random.chance(0.5) ? Buffer.of(SIGNS[random.below(SIGNS.length)]!)
      : pieceOf(random, bytes);
    const skipped = random.chance(0.5) ? random.below(4) : 0;
    bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + skipped)]);
  }
  return new Uint8Array(bytes);
}

function pieceOf(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  return bytes.subarray(at, at + random.below(40));
}

/** The bytes, throwing when one outside [start, length) is read by index. */
function guarded(bytes: Uint8Array, start: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, property) {
      const at = typeof property === "string" && /^[0-9]+$/.test(property) ? Number(property) : -1;
      if (at >= 0 && (at < start || at >= target.length)) throw new Error(`read ${at}`);
      return Reflect.get(target, property, target);
    },
  });
}
