// Random OTLP payloads as no exporter writes them, and all of them legal protobuf: fields in any
// order and more than once, unknown fields, groups, long varints, known fields with another wire
// type, ids of any size, values nested in values.

import { ProtoWriter } from "./proto-wire.ts";
import type { Random } from "./random.ts";

/** Keys and values that tests' predicates name; few, so that they meet. */
const RANDOM_KEYS = [
  "http.status", "peer", "a", "", "retry", "pear", "k".repeat(130), "K".repeat(300),
];
const RANDOM_TEXTS = [
  "", "GET", "checkout-7", "checkout-", "x".repeat(127), "y".repeat(128), "é", "GETs",
];
const RANDOM_INTEGERS = [
  0n, 1n, 200n, 499n, 500n, 599n, -1n, 2n ** 31n, 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n),
];

/** Bytes of a legal request with up to `spansMax` spans, a few of them without valid ids. */
export function randomRequest(random: Random, spansMax: number): Uint8Array {
  const traceIds = Array.from({ length: 1 + random.below(6) }, () => randomBytes(random, 16));
  let spansLeft = random.below(spansMax + 1);
  const request: Uint8Array[] = [];
  while (spansLeft > 0 || random.chance(0.3)) {
    const scopes: Uint8Array[] = [];
    for (let scope = random.below(4); scope > 0; scope--) {
      const parts: Uint8Array[] = [];
      for (let span = Math.min(spansLeft, random.below(6)); span > 0; span--) {
        parts.push(lengthField(random, 2, randomSpan(random, traceIds)));
        spansLeft--;
      }
      for (let piece = random.below(3); piece > 0; piece--) {
        parts.push(lengthField(random, 1, shuffled(random, [
          textField(1, "scope"), textField(2, "1.0"), ...keyValues(random, 3), ...noise(random, 9),
        ])));
      }
      scopes.push(lengthField(random, 2, shuffled(random, [...parts, ...noise(random, 4)])));
    }
    for (let piece = random.below(3); piece > 0; piece--) {
      const resource = [...keyValues(random, 1), ...noise(random, 9)];
      if (random.chance(0.2)) resource.push(lengthField(random, 3, textField(2, "host")));
      scopes.push(lengthField(random, 1, shuffled(random, resource)));
    }
    scopes.push(textField(3, "https://schema.example/1"), ...noise(random, 4));
    request.push(lengthField(random, 1, shuffled(random, scopes)));
    if (request.length > 30) break;
  }
  return shuffled(random, [...request, ...noise(random, 2)]);
}

function randomSpan(random: Random, traceIds: readonly Uint8Array[]): Uint8Array {
  const fields = [
    lengthField(random, 1, traceIds[random.below(traceIds.length)]!),
    lengthField(random, 2, randomBytes(random, 8)),
    ...keyValues(random, 9), ...noise(random, 17),
  ];
  if (random.chance(0.03)) {
    const size = random.below(18);
    const id = random.chance(0.3) ? new Uint8Array(16) : randomBytes(random, size);
    fields.push(lengthField(random, 1, id));
  }
  if (random.chance(0.03)) fields.push(lengthField(random, 2, new Uint8Array(random.below(10))));
  if (random.chance(0.5)) {
    const size = random.chance(0.03) ? random.below(10) : 8;
    const parent = random.chance(0.2) ? new Uint8Array(size) : randomBytes(random, size);
    fields.push(lengthField(random, 4, parent));
  }
  for (let times = random.below(3); times > 0; times--) {
    const start = 1_790_000_000_000_000_000n + BigInt(random.word());
    fields.push(new ProtoWriter().fixed64(7, random.chance(0.1) ? 0n : start).build());
    fields.push(new ProtoWriter().fixed64(8, start + BigInt(random.word()) * 3n).build());
  }
  for (let times = random.below(2); times > 0; times--) {
    fields.push(lengthField(random, 15, shuffled(random, [
      textField(2, "failed"), new ProtoWriter().number(3, random.below(4)).build(),
    ])));
    if (random.chance(0.3)) fields.push(lengthField(random, 15, textField(2, "again")));
  }
  for (let times = random.below(2); times > 0; times--) fields.push(randomEvent(random));
  if (random.chance(0.2)) fields.push(randomLink(random));
  return shuffled(random, fields);
}

function randomEvent(random: Random): Uint8Array {
  return lengthField(random, 11, shuffled(random, [
    new ProtoWriter().fixed64(1, 1n).build(), textField(2, "event"), ...keyValues(random, 3),
  ]));
}

function randomLink(random: Random): Uint8Array {
  const traceIdBytes = random.chance(0.05) ? 3 : 16;
  return lengthField(random, 13, shuffled(random, [
    lengthField(random, 1, randomBytes(random, traceIdBytes)),
    lengthField(random, 2, randomBytes(random, random.chance(0.1) ? 0 : 8)),
    ...keyValues(random, 4),
  ]));
}

function keyValues(random: Random, field: number): Uint8Array[] {
  return Array.from({ length: random.below(5) }, () => {
    const parts = [textField(1, RANDOM_KEYS[random.below(RANDOM_KEYS.length)]!)];
    if (!random.chance(0.05)) parts.push(lengthField(random, 2, randomValue(random, 0)));
    if (random.chance(0.05)) parts.push(lengthField(random, 2, randomValue(random, 0)));
    if (random.chance(0.05)) parts.push(textField(1, "peer"));
    if (random.chance(0.05)) parts.push(...noise(random, 5));
    const ordered = random.chance(0.8) ? concatenated(parts) : shuffled(random, parts);
    return lengthField(random, field, ordered);
  });
}

function randomValue(random: Random, depth: number): Uint8Array {
  const writer = new ProtoWriter();
  if (random.chance(0.05)) writer.raw(concatenated(noise(random, 9)));
  if (random.chance(0.03)) writer.raw(randomValue(random, depth + 1));
  switch (random.below(depth > 4 ? 6 : 9)) {
    case 0: return writer.build();
    case 1: return writer.number(2, random.below(3)).build();
    case 2:
    case 3: return writer.number(3, RANDOM_INTEGERS[random.below(RANDOM_INTEGERS.length)]!).build();
    case 4: return writer.double(4, random.word() / 7).build();
    case 5: return writer.text(1, RANDOM_TEXTS[random.below(RANDOM_TEXTS.length)]!).build();
    case 6: {
      const element = lengthField(random, 1, randomValue(random, depth + 1));
      return writer.raw(lengthField(random, 5, element)).build();
    }
    case 7: {
      const inner = concatenated([
        textField(1, "peer"), lengthField(random, 2, randomValue(random, depth + 1)),
      ]);
      return writer.raw(lengthField(random, 6, lengthField(random, 1, inner))).build();
    }
    default: return writer.text(1, RANDOM_TEXTS[random.below(RANDOM_TEXTS.length)]!).build();
  }
}

/** Fields that a reader must pass over: unknown ones, and known ones with another wire type. */
function noise(random: Random, firstUnknown: number): Uint8Array[] {
  if (!random.chance(0.15)) return [];
  const unknown = firstUnknown + random.below(40);
  switch (random.below(6)) {
    case 0: return [new ProtoWriter().number(unknown, -1n).build()];
    case 1: return [new ProtoWriter().fixed64(unknown, 77n).build()];
    case 2: return [new ProtoWriter().fixed32(unknown, 77).build()];
    case 3: return [lengthField(random, unknown, randomBytes(random, random.below(200)))];
    case 4: return [new ProtoWriter().number(1 + random.below(2), random.word()).build()];
    default: {
      const inside = random.chance(0.5) ? concatenated(noise(random, firstUnknown)) : [];
      return [new ProtoWriter().tag(unknown, 3).raw(inside).tag(unknown, 4).build()];
    }
  }
}

/** A length-delimited field whose size is sometimes written longer than needed. */
function lengthField(random: Random, field: number, value: Uint8Array): Uint8Array {
  if (random.chance(0.9)) return new ProtoWriter().bytes(field, value).build();
  const size = [value.length & 127 | 128, value.length >>> 7 & 127 | 128, value.length >>> 14];
  return new ProtoWriter().tag(field, 2).raw(size).raw(value).build();
}

function textField(field: number, value: string): Uint8Array {
  return new ProtoWriter().text(field, value).build();
}

function shuffled(random: Random, parts: Uint8Array[]): Uint8Array {
  const order = [...parts];
  for (let index = order.length - 1; index > 0; index--) {
    const other = random.below(index + 1);
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  return concatenated(random.chance(0.5) ? order : parts);
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function randomBytes(random: Random, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => random.below(256));
}
