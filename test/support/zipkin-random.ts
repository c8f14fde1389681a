// Random Zipkin v2 payloads, nearly all of them legal.

import {
  JsonScribe, Literal, Members, anything, pick, unknownMembers, type JsonInput,
} from "./json-random.ts";
import type { Random } from "./random.ts";

type Member = readonly [string, JsonInput];

/** Names and values that tests' predicates and the status know; few, so that they meet. */
const TAG_NAMES = [
  "peer", "a", "", "retry", "pear", "error", "otel.status_code", "http.status", "service.name",
  "K".repeat(300), "é", "errors", "ERROR",
];
const TAG_VALUES = [
  "", "GET", "checkout-7", "checkout-", "x".repeat(127), "y".repeat(128), "é/ü", "GETs", "OK",
  "ERROR", "false", "true", "Error", "STATUS_CODE_OK", "STATUS_CODE_ERROR", "Ok",
  "say \"no\"\n", "\ud83d\ude00 \\ /", "\ud800",
];
const MICROSECONDS = [
  "1790000000000000", "1790000000123456", "0", "-5", "-0", "1790000000000000.75", "1.79e15",
  "17900000000000000e-1", "18446744073709551", "18446744073709552", "18446744073709551.999",
  "1e400", "1e-400", "9007199254740993", "179000000000000012345", "0.9", "00e1".slice(1), "12",
];

/** Bytes of an array of up to `spansMax` spans, a few of them without valid ids. */
export function randomZipkin(random: Random, spansMax: number): Uint8Array {
  const traceIds = Array.from({ length: 1 + random.below(4) }, () =>
    random.hex(16).slice(0, pick(random, [32, 32, 16, 1 + random.below(32)])));
  const names = TAG_NAMES.slice(random.below(5), 5 + random.below(8));
  const spans = Array.from({ length: random.below(spansMax + 1) }, () =>
    randomSpan(random, traceIds, names));
  const value = spans.length === 0 && random.chance(0.2) ? null : spans;
  return new Uint8Array(Buffer.from(new JsonScribe(random).write(value)));
}

function randomSpan(
  random: Random, traceIds: readonly string[], names: readonly string[],
): Members {
  const members: Member[] = [
    ["traceId", random.chance(0.97) ? pick(random, traceIds) : oddId(random)],
    ["id", random.chance(0.97) ? random.hex(8) : oddId(random)],
    ...sometimes(random, 0.5, (): Member =>
      ["parentId", random.chance(0.9) ? random.hex(8) : oddId(random)]),
    ...sometimes(random, 0.8, (): Member => ["timestamp", time(random)]),
    ...sometimes(random, 0.8, (): Member => ["duration", time(random)]),
    ...sometimes(random, 0.7, (): Member => ["tags", randomTags(random, names)]),
    ...sometimes(random, 0.6, (): Member => ["localEndpoint", endpoint(random)]),
    ...sometimes(random, 0.3, (): Member => ["remoteEndpoint", endpoint(random)]),
    ...sometimes(random, 0.5, (): Member => ["kind", pick(random, ["CLIENT", "SERVER", "odd"])]),
    ...sometimes(random, 0.5, (): Member => ["name", pick(random, ["get /", "", null])]),
    ...sometimes(random, 0.2, (): Member => ["debug", pick(random, [true, false, null])]),
    ...sometimes(random, 0.2, (): Member => ["shared", pick(random, [true, false, null])]),
    ...sometimes(random, 0.2, (): Member => ["annotations", annotations(random)]),
    ...sometimes(random, 0.1, (): Member => ["binaryAnnotations", pick(random, [[], null])]),
    ...unknownMembers(random),
  ];
  if (random.chance(0.05)) members.push(["id", random.hex(8)]);
  if (random.chance(0.05)) members.push(["timestamp", time(random)]);
  return new Members(members);
}

function randomTags(random: Random, names: readonly string[]): JsonInput {
  if (random.chance(0.05)) return null;
  const isUsual = random.chance(0.5);
  const chosen = isUsual ? names
    : Array.from({ length: random.below(70) < 68 ? random.below(6) : 70 }, () =>
      pick(random, TAG_NAMES));
  return new Members(chosen.map((name) => [name, pick(random, TAG_VALUES)] as const));
}

function endpoint(random: Random): JsonInput {
  if (random.chance(0.05)) return null;
  return new Members([
    ...sometimes(random, 0.8, (): Member =>
      ["serviceName", pick(random, ["checkout-7", "GET", "", null, "checkout-\u00e9", "pay/me"])]),
    ...sometimes(random, 0.1, (): Member => ["serviceName", pick(random, ["GET", null])]),
    ...sometimes(random, 0.5, (): Member => ["ipv4", "10.0.0.1"]),
    ...sometimes(random, 0.2, (): Member => ["ipv6", "::1"]),
    ...sometimes(random, 0.5, (): Member => ["port", pick(random, [80, 0, null, 65_536])]),
    ...unknownMembers(random),
  ]);
}

function annotations(random: Random): JsonInput {
  if (random.chance(0.1)) return null;
  return Array.from({ length: random.below(3) }, () => new Members([
    ["timestamp", time(random)], ["value", pick(random, ["ws", "", null])],
    ...unknownMembers(random),
    ...sometimes(random, 0.2, (): Member => ["endpoint", anything(random, 2)]),
  ]));
}

function time(random: Random): JsonInput {
  if (random.chance(0.05)) return null;
  if (random.chance(0.5)) return 1_790_000_000_000_000 + random.word();
  return new Literal(pick(random, MICROSECONDS));
}

function oddId(random: Random): JsonInput {
  return pick(random, [
    "", null, "0", "0".repeat(16), "0".repeat(32), "x".repeat(16), "F".repeat(17), "f".repeat(33),
    `${"a".repeat(15)}\u0011`, `${"a".repeat(31)}\u0011`, "ABCDEF0123456789", "g", "1:",
    `${"0".repeat(15)}/`, `${"0".repeat(15)}@`, `${"0".repeat(15)}\``, "é".repeat(8),
  ]);
}

function sometimes(random: Random, probability: number, member: () => Member): Member[] {
  return random.chance(probability) ? [member()] : [];
}
