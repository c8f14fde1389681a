import { describe, expect, it } from "vitest";
import {
  AttributeMatcher, REGEX_VALUE_BYTES_MAX, type AttributePredicate,
} from "../../../engine/part/attribute-matcher.ts";

const encoder = new TextEncoder();
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Numbers of the predicates whose bits are set. */
function matched(matcher: AttributeMatcher): number[] {
  const bits = (BigInt(matcher.bits[1]!) << 32n) | BigInt(matcher.bits[0]!);
  return Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (bits >> BigInt(bit)) & 1n);
}

function keyOf(matcher: AttributeMatcher, key: string): number {
  const bytes = encoder.encode(`<${key}>`);
  return matcher.findKey(bytes, 1, bytes.length - 1);
}

function testText(matcher: AttributeMatcher, key: string, text: string): number[] {
  const bytes = encoder.encode(`<${text}>`);
  matcher.beginResource();
  matcher.testString(keyOf(matcher, key), bytes, 1, bytes.length - 1);
  return matched(matcher);
}

function testNumber(matcher: AttributeMatcher, key: string, value: bigint): number[] {
  matcher.beginResource();
  const low = Number(BigInt.asIntN(32, value));
  matcher.testInteger(keyOf(matcher, key), Number(value >> 32n), low);
  return matched(matcher);
}

describe("AttributeMatcher keys", () => {
  it("finds exactly the keys that predicates name, each once", () => {
    const long = "x".repeat(254);
    const keys = ["", "a", "b", "http.method", "http.metho", "HTTP.method", "é", long, `${long}y`,
      `${long}yz`, `${long}yy`];
    const predicates = [...keys, ...keys].map((key): AttributePredicate =>
      ({ kind: "boolean", key, value: true }));
    const matcher = new AttributeMatcher(predicates);
    expect(matcher.keyCount).toBe(keys.length);
    expect(new Set(keys.map((key) => keyOf(matcher, key))).size).toBe(keys.length);
    for (const key of keys) expect(keyOf(matcher, key)).toBeGreaterThanOrEqual(0);
    const zeroEnded = new AttributeMatcher([{ kind: "boolean", key: `${long}y\0`, value: true }]);
    expect(keyOf(zeroEnded, `${long}y`)).toBe(-1);
    expect(keyOf(zeroEnded, `${long}y\0`)).toBe(0);
    for (const key of ["c", "http.methoe", "ittp.method", `${long}z`, "e", "\0", "a\0", "x"]) {
      expect(keyOf(matcher, key)).toBe(-1);
    }
  });

  it("tells keys from those that differ in any one byte", () => {
    for (let size = 1; size < 20; size++) {
      const key = "k".repeat(size);
      const matcher = new AttributeMatcher([{ kind: "boolean", key, value: true }]);
      expect(keyOf(matcher, key)).toBe(0);
      for (let at = 0; at < size; at++) {
        expect(keyOf(matcher, `${key.slice(0, at)}x${key.slice(at + 1)}`)).toBe(-1);
      }
    }
  });

  it("follows the payload when the next one lies in other memory", () => {
    const matcher = new AttributeMatcher([{ kind: "boolean", key: "key", value: true }]);
    expect(matcher.findKey(encoder.encode("key"), 0, 3)).toBe(0);
    expect(matcher.findKey(encoder.encode("kex"), 0, 3)).toBe(-1);
    const shared = new Uint8Array(new SharedArrayBuffer(16), 5);
    shared.set(encoder.encode("..key.."));
    expect(matcher.findKey(shared, 2, 5)).toBe(0);
  });

  it("refuses more predicates than a part has bits", () => {
    const predicates = Array.from({ length: 65 }, (): AttributePredicate =>
      ({ kind: "boolean", key: "a", value: true }));
    expect(() => new AttributeMatcher(predicates)).toThrow("predicates fit the bits of a part");
    expect(new AttributeMatcher(predicates.slice(1)).keyCount).toBe(1);
  });
});

describe("AttributeMatcher values", () => {
  it("sets the bit of each predicate that matches, up to the 64th", () => {
    const predicates = Array.from({ length: 64 }, (_, number): AttributePredicate =>
      ({ kind: "string", key: "a", values: [`v${number}`, "all"] }));
    const matcher = new AttributeMatcher(predicates);
    for (const number of [0, 1, 31, 32, 62, 63]) {
      expect(testText(matcher, "a", `v${number}`)).toEqual([number]);
    }
    expect(testText(matcher, "a", "all").length).toBe(64);
    expect(testText(matcher, "a", "v64")).toEqual([]);
  });

  it("matches a string exactly, and never an empty one", () => {
    const matcher = new AttributeMatcher([
      { kind: "string", key: "a", values: ["GET", "", "ünï", "G".repeat(300)] },
      { kind: "string", key: "a", values: [""] },
      { kind: "regex", key: "a", patterns: [".*"], cacheSize: 8 },
    ]);
    expect(testText(matcher, "a", "GET")).toEqual([0, 2]);
    expect(testText(matcher, "a", "ünï")).toEqual([0, 2]);
    expect(testText(matcher, "a", "G".repeat(300))).toEqual([0, 2]);
    for (const text of ["get", "GE", "GETs", "GET\0", "G".repeat(299)]) {
      expect(testText(matcher, "a", text)).toEqual([2]);
    }
    expect(testText(matcher, "a", "")).toEqual([]);
  });

  it("finds a regex anywhere in the value unless it is anchored", () => {
    const matcher = new AttributeMatcher([
      { kind: "regex", key: "a", patterns: ["v[0-9]+", "^new$"], cacheSize: 8 },
      { kind: "regex", key: "a", patterns: ["(?i)VERSION"], cacheSize: 8 },
    ]);
    for (let round = 0; round < 2; round++) { // the second time from the cache
      expect(testText(matcher, "a", "/api/v10/x")).toEqual([0]);
      expect(testText(matcher, "a", "new")).toEqual([0]);
      expect(testText(matcher, "a", "news")).toEqual([]);
      expect(testText(matcher, "a", "version v2")).toEqual([0, 1]);
      expect(testText(matcher, "a", "v")).toEqual([]);
    }
  });

  it("refuses what RE2 has no linear time for", () => {
    for (const pattern of ["(?<=a)b", "(a)\\1", "(?=a)"]) {
      expect(() => new AttributeMatcher([
        { kind: "regex", key: "a", patterns: [pattern], cacheSize: 8 },
      ])).toThrow(/error parsing regexp/);
    }
  });

  it("compares integers exactly at every edge of 64 bits", () => {
    const edges = [
      INT64_MIN, INT64_MIN + 1n, -(2n ** 32n) - 1n, -(2n ** 32n), -(2n ** 31n), -1n, 0n, 1n,
      2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n, INT64_MAX - 1n,
      INT64_MAX,
    ];
    for (const min of [null, ...edges]) {
      for (const max of [null, ...edges]) {
        const matcher = new AttributeMatcher([{ kind: "number", key: "a", min, max }]);
        for (const value of edges) {
          const inRange = (min === null || value >= min) && (max === null || value <= max);
          expect(testNumber(matcher, "a", value).length === 1, `${min} ${value} ${max}`)
            .toBe(inRange);
        }
      }
    }
  });

  it("refuses bounds beyond 64 bits", () => {
    const matcherOf = (min: bigint | null, max: bigint | null): AttributeMatcher =>
      new AttributeMatcher([{ kind: "number", key: "a", min, max }]);
    expect(() => matcherOf(INT64_MIN - 1n, null)).toThrow("a lower bound fits 64 bits");
    expect(() => matcherOf(null, INT64_MAX + 1n)).toThrow("an upper bound fits 64 bits");
  });

  it("matches values of a predicate's own type only", () => {
    const matcher = new AttributeMatcher([
      { kind: "string", key: "a", values: ["1", "true"] },
      { kind: "number", key: "a", min: 1n, max: 1n },
      { kind: "boolean", key: "a", value: true },
      { kind: "boolean", key: "a", value: false },
    ]);
    expect(testText(matcher, "a", "1")).toEqual([0]);
    expect(testText(matcher, "a", "true")).toEqual([0]);
    expect(testNumber(matcher, "a", 1n)).toEqual([1]);
    matcher.beginResource();
    matcher.testBoolean(0, true);
    expect(matched(matcher)).toEqual([2]);
    matcher.beginResource();
    matcher.testBoolean(0, false);
    expect(matched(matcher)).toEqual([3]);
  });

  it("gives every span what its resource matched, and nothing of the span before", () => {
    const predicates = Array.from({ length: 40 }, (_, number): AttributePredicate =>
      ({ kind: "string", key: number % 2 === 0 ? "a" : "b", values: [`${number >> 1}`] }));
    const matcher = new AttributeMatcher(predicates);
    const test = (key: string, text: string): void => {
      const bytes = encoder.encode(text);
      matcher.testString(keyOf(matcher, key), bytes, 0, bytes.length);
    };
    matcher.beginResource();
    test("a", "0");
    test("a", "19");
    matcher.endResource();
    matcher.beginSpan();
    test("b", "0");
    test("b", "19");
    expect(matched(matcher)).toEqual([0, 1, 38, 39]);
    matcher.beginSpan();
    expect(matched(matcher)).toEqual([0, 38]);
    matcher.beginResource();
    matcher.endResource();
    matcher.beginSpan();
    expect(matched(matcher)).toEqual([]);
  });
});

describe("AttributeMatcher bounds", () => {
  const regex: AttributePredicate = { kind: "regex", key: "a", patterns: ["b$"], cacheSize: 8 };

  it("tests values up to the limit and counts longer ones, which never match", () => {
    const matcher = new AttributeMatcher([{ ...regex, patterns: ["b"] }]);
    expect(testText(matcher, "a", "a".repeat(REGEX_VALUE_BYTES_MAX - 1) + "b")).toEqual([0]);
    expect(matcher.untestedValues).toBe(0);
    expect(testText(matcher, "a", "a".repeat(REGEX_VALUE_BYTES_MAX) + "b")).toEqual([]);
    expect(matcher.untestedValues).toBe(1);
  });

  it("tests shorter values only with patterns of more instructions", () => {
    const slow: AttributePredicate = { ...regex, patterns: ["x[ab]{900}$"] };
    const matcher = new AttributeMatcher([slow]);
    expect(testText(matcher, "a", `x${"a".repeat(900)}`)).toEqual([0]);
    expect(testText(matcher, "a", `${"a".repeat(300)}x${"a".repeat(900)}`)).toEqual([]);
    expect(matcher.untestedValues).toBe(1);
  });

  it("stops testing when a payload has taken its time, and starts again with the next one", () => {
    let nowMs = 0;
    const clock = { monotonicMs: () => nowMs += 10, wallMs: () => 0 };
    const limits = { valueBytes: 100, valueWork: 1e6, payloadMs: 50 };
    const matcher = new AttributeMatcher([regex], limits, clock);
    const matches = (): number => Array.from({ length: 10 }, (_, number) =>
      testText(matcher, "a", `value ${number} b`).length).reduce((sum, one) => sum + one);
    matcher.beginPayload();
    expect(matches()).toBe(5); // each takes 10 ms
    expect(matcher.untestedValues).toBe(5);
    matcher.beginPayload();
    expect(matches()).toBe(10); // five are remembered
    expect(matcher.untestedValues).toBe(5);
  });

  it("does not test again a predicate that the resource has matched", () => {
    const limits = { valueBytes: 100, valueWork: 1e6, payloadMs: 0 };
    const matcher = new AttributeMatcher([regex], limits);
    matcher.beginResource();
    matcher.bits[0] = 1;
    const bytes = encoder.encode("xb");
    matcher.testString(0, bytes, 0, 2);
    expect(matcher.untestedValues).toBe(0);
  });
});
