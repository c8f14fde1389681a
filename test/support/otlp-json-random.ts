// Random OTLP JSON payloads, nearly all of them legal.

import {
  JsonScribe, Literal, Members, oddInteger, pick, shuffled, unknownMembers, type JsonInput,
} from "./json-random.ts";
import type { Random } from "./random.ts";

type Member = readonly [string, JsonInput];

const KEYS = ["http.status", "peer", "a", "", "retry", "pear", "k".repeat(130), "K".repeat(300)];
const TEXTS = [
  "", "GET", "checkout-7", "checkout-", "x".repeat(127), "y".repeat(128), "é/ü", "GETs",
  "a \"b\"\n",
];
const INTEGERS = [
  0n, 1n, 200n, 499n, 500n, 599n, -1n, 2n ** 31n, 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n),
  -(2n ** 32n), -(2n ** 32n) - 1n,
];
const DOUBLES = ["1.5", "-7", "\"NaN\"", "\"-Infinity\"", "\"Infinity\"", "\"2.5\"", "1e400"];
const TIMES = [0n, 1n, 2n ** 64n - 1n, 10n ** 19n, 9_999_999_999_999_999_999n, 2n ** 53n + 1n];

/** Bytes of a request with up to `spansMax` spans, a few of them without valid ids. */
export function randomOtlpJson(random: Random, spansMax: number): Uint8Array {
  const traceIds = Array.from({ length: 1 + random.below(4) }, () => random.hex(16));
  const keys = shuffled(random, KEYS).slice(0, random.below(6));
  let spansLeft = random.below(spansMax + 1);
  const resourceSpans: JsonInput[] = [];
  while (spansLeft > 0 && resourceSpans.length < 20) {
    const scopeSpans = Array.from({ length: random.below(3) }, () => {
      const spans = Array.from({ length: Math.min(spansLeft, random.below(6)) }, () =>
        randomSpan(random, traceIds, keys));
      spansLeft -= spans.length;
      return new Members([
        ...sometimes(random, 0.7, (): Member => ["scope", scope(random)]),
        ...(spans.length > 0 ? [["spans", spans] as const] : []),
        ...schemaUrl(random), ...unknownMembers(random),
      ]);
    });
    resourceSpans.push(new Members([
      ...sometimes(random, 0.8, (): Member => ["resource", resource(random, keys)]),
      ["scopeSpans", scopeSpans], ...schemaUrl(random), ...unknownMembers(random),
    ]));
  }
  const value = resourceSpans.length === 0 && random.chance(0.3) ? null : resourceSpans;
  const request = new Members([["resourceSpans", value], ...unknownMembers(random)]);
  return new Uint8Array(Buffer.from(new JsonScribe(random).write(request)));
}

function resource(random: Random, keys: readonly string[]): JsonInput {
  if (random.chance(0.05)) return null;
  return new Members([
    ...sometimes(random, 0.9, (): Member => ["attributes", attributes(random, keys)]),
    ...sometimes(random, 0.1, (): Member => ["droppedAttributesCount", integer(random, 3n)]),
    ...unknownMembers(random),
  ]);
}

function scope(random: Random): JsonInput {
  if (random.chance(0.1)) return null;
  return new Members([
    ["name", "lib"], ["version", pick(random, ["1", null])],
    ...sometimes(random, 0.2, (): Member => ["attributes", attributes(random, KEYS)]),
  ]);
}

function schemaUrl(random: Random): Member[] {
  return sometimes(random, 0.3, (): Member =>
    ["schemaUrl", pick(random, ["https://schema.example/1", "", null, "a\"b"])]);
}

function randomSpan(
  random: Random, traceIds: readonly string[], keys: readonly string[],
): Members {
  const members: Member[] = [
    ["traceId", random.chance(0.97) ? pick(random, traceIds) : oddId(random)],
    ["spanId", random.chance(0.97) ? random.hex(8) : oddId(random)],
    ...sometimes(random, 0.5, (): Member =>
      ["parentSpanId", random.chance(0.9) ? random.hex(8) : oddId(random)]),
    ["name", pick(random, ["GET /", "", null])],
    ...sometimes(random, 0.8, (): Member => ["kind", pick(random, [2, "SPAN_KIND_SERVER", null])]),
    ...sometimes(random, 0.9, (): Member => ["startTimeUnixNano", time(random)]),
    ...sometimes(random, 0.9, (): Member => ["endTimeUnixNano", time(random)]),
    ...sometimes(random, 0.9, (): Member => ["attributes", attributes(random, keys)]),
    ...sometimes(random, 0.5, (): Member => ["status", status(random)]),
    ...sometimes(random, 0.3, (): Member => ["events", events(random)]),
    ...sometimes(random, 0.3, (): Member => ["links", links(random)]),
    ...sometimes(random, 0.2, (): Member => ["flags", integer(random, 257n)]),
    ...sometimes(random, 0.2, (): Member => ["traceState", pick(random, ["a=b", "", null])]),
    ...sometimes(random, 0.1, (): Member => ["droppedEventsCount", integer(random, 0n)]),
    ...unknownMembers(random),
  ];
  if (random.chance(0.05)) members.push(["spanId", random.hex(8)]);
  if (random.chance(0.05)) members.push(["endTimeUnixNano", time(random)]);
  return new Members(members);
}

function status(random: Random): JsonInput {
  if (random.chance(0.1)) return null;
  const codes: JsonInput[] = [
    0, 1, 2, 3, -1, null, new Literal("2.0"), "STATUS_CODE_ERROR", "STATUS_CODE_OK", "ERROR",
  ];
  return new Members([
    ...sometimes(random, 0.3, (): Member => ["message", pick(random, ["no", null])]),
    ...sometimes(random, 0.8, (): Member => ["code", pick(random, codes)]),
    ...sometimes(random, 0.1, (): Member => ["code", pick(random, codes)]),
  ]);
}

function events(random: Random): JsonInput {
  return Array.from({ length: random.below(3) }, () => new Members([
    ["timeUnixNano", time(random)], ["name", "event"], ["attributes", attributes(random, KEYS)],
    ...unknownMembers(random),
  ]));
}

function links(random: Random): JsonInput {
  return Array.from({ length: random.below(3) }, () => new Members([
    ["traceId", random.chance(0.9) ? random.hex(16) : oddId(random)],
    ["spanId", random.chance(0.9) ? random.hex(8) : pick(random, ["", null, oddId(random)])],
    ...sometimes(random, 0.2, (): Member => ["attributes", attributes(random, KEYS)]),
  ]));
}

function attributes(random: Random, keys: readonly string[]): JsonInput {
  if (random.chance(0.05)) return null;
  const chosen = random.chance(0.5) ? keys
    : Array.from({ length: random.chance(0.02) ? 70 : random.below(5) }, () => pick(random, KEYS));
  return chosen.map((key) => new Members([
    ...sometimes(random, 0.97, (): Member => ["key", key]),
    ...sometimes(random, 0.97, (): Member => ["value", anyValue(random, 0)]),
    ...sometimes(random, 0.02, (): Member => ["key", pick(random, ["peer", null])]),
    ...unknownMembers(random),
  ]));
}

function anyValue(random: Random, depth: number): JsonInput {
  if (random.chance(0.03)) return null;
  return new Members([
    ...(random.chance(0.05) ? [["intValue", null] as const] : []),
    ...value(random, depth), ...unknownMembers(random),
  ]);
}

function value(random: Random, depth: number): Member[] {
  switch (random.below(depth > 3 ? 6 : 9)) {
    case 0: return [];
    case 1: return [["boolValue", random.chance(0.5)]];
    case 2:
    case 3: return [["intValue", integer(random, pick(random, INTEGERS))]];
    case 4: return [["doubleValue", new Literal(pick(random, DOUBLES))]];
    case 5: return [["stringValue", pick(random, TEXTS)]];
    case 6: return [["arrayValue", new Members([["values", Array.from(
      { length: random.below(3) }, () => new Members(value(random, depth + 1)),
    )]])]];
    case 7: return [["kvlistValue", new Members([["values", [new Members([
      ["key", "peer"], ["value", new Members(value(random, depth + 1))],
    ])]]])]];
    default: return [["bytesValue", pick(random, ["", "AQI="])]];
  }
}

function integer(random: Random, value: bigint): JsonInput {
  const literal = random.chance(0.7) ? new Literal(String(value)) : oddInteger(random, value);
  return random.chance(0.4) ? literal : new Literal(`"${literal.text}"`);
}

function time(random: Random): JsonInput {
  if (random.chance(0.05)) return null;
  const start = 1_790_000_000_000_000_000n + BigInt(random.word());
  return integer(random, random.chance(0.8) ? start : pick(random, TIMES));
}

function oddId(random: Random): JsonInput {
  return pick(random, [
    "", null, "0".repeat(16), "0".repeat(32), "x".repeat(16), "0", "F".repeat(16), "F".repeat(32),
    "f".repeat(33), `${"a".repeat(15)}\u0011`, `${"a".repeat(31)}\u0011`, `${"0".repeat(31)}G`,
  ]);
}

function sometimes(random: Random, probability: number, member: () => Member): Member[] {
  return random.chance(probability) ? [member()] : [];
}
