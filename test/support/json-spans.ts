// Random spans as JSON: what clients send, and the odd ways to write it.

import type { Random } from "./random.ts";
import type { ZipkinEndpoint, ZipkinSpan } from "./zipkin-model.ts";

const TEXTS = [
  "", "a", "GET /", "naïve – 数 🚀", "\u0000\u001f", "\" \\ /", "\ud83d", "x\udc00y", "true",
  "false", "e".repeat(200), "long ".repeat(700), "1.2.3.4", "OK", "ERROR", "internal", "\ufffd",
];
const TAG_KEYS = [
  "http.path", "error", "otel.status_code", "otel.status_description", "span.kind",
  "w3c.tracestate", "otel.scope.name", "otel.scope.version", "otel.library.name",
  "otel.library.version", "network.local.address", "network.local.port", "service.peer.name",
  "network.peer.address", "network.peer.port", "k".repeat(150), "é", "", "a", "b", "c",
];

export function randomText(random: Random): string {
  return TEXTS[random.below(TEXTS.length)]!;
}

/** A span whose id is `number`, with any of its members. */
export function randomZipkinSpan(random: Random, number: number): ZipkinSpan {
  const maybe = <T>(value: T): T | undefined => random.chance(0.6) ? value : undefined;
  const kinds = ["CLIENT", "SERVER", "PRODUCER", "CONSUMER"];
  const tags = Array.from({ length: random.below(12) }, () => [
    TAG_KEYS[random.below(TAG_KEYS.length)]!,
    random.chance(0.2) ? "8080" : randomText(random),
  ]);
  const span: Record<string, unknown> = {
    traceId: random.hex(random.chance(0.5) ? 16 : 8), id: (number + 1).toString(16),
    parentId: maybe(random.chance(0.1) ? (number + 1).toString(16) : random.hex(8)),
    kind: maybe(kinds[random.below(4)]), name: maybe(randomText(random)),
    timestamp: maybe(randomTime(random)), duration: maybe(randomTime(random)),
    localEndpoint: maybe(randomEndpoint(random)), remoteEndpoint: maybe(randomEndpoint(random)),
    annotations: maybe(Array.from({ length: random.below(4) }, () => ({
      timestamp: maybe(random.word()), value: maybe(randomText(random)),
    }))),
    tags: maybe(Object.fromEntries(tags)), debug: maybe(random.chance(0.5)),
    shared: maybe(random.chance(0.5)),
  };
  const members = Object.entries(span).filter(([, value]) => value !== undefined);
  return Object.fromEntries(shuffled(random, members)) as unknown as ZipkinSpan;
}

/**
 * JSON text with white space and escapes that JSON.stringify would not write. Texts that are the
 * same are written the same.
 */
export function writeOddly(random: Random, value: unknown): string {
  const salt = random.word();
  const gap = (): string => random.chance(0.1) ? [" ", "\n", "\t", " \r\n "][random.below(4)]! : "";
  const write = (part: unknown): string => {
    if (typeof part === "string") return oddString(part, salt);
    if (Array.isArray(part)) return `[${gap()}${part.map(write).join(`${gap()},`)}${gap()}]`;
    if (part === null || typeof part !== "object") return JSON.stringify(part);
    const members = Object.entries(part).filter(([, each]) => each !== undefined);
    return `{${gap()}${members.map(([key, each]) =>
      `${oddString(key, salt)}${gap()}:${gap()}${write(each)}`)
      .join(`${gap()},${gap()}`)}${gap()}}`;
  };
  return write(value);
}

/** One change to a few bytes: overwritten, taken out, put in, swapped. */
export function mutated(random: Random, body: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(body);
  const punctuation = [
    0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a, 0x2d, 0x75, 0x30, 0x80, 0xed,
  ];
  for (let times = 1 + random.below(6); times > 0; times--) {
    const at = random.below(bytes.length);
    const size = 1 + random.below(random.chance(0.1) ? 60 : 4);
    switch (random.below(5)) {
      case 0: bytes[at] = random.below(256); break;
      case 1: bytes[at] = punctuation[random.below(punctuation.length)]!; break;
      case 2: bytes.copyWithin(at, at + size); break;
      case 3: bytes.copyWithin(at + size, at); break;
      default: bytes.copyWithin(at, random.below(bytes.length), bytes.length - size);
    }
  }
  return bytes;
}

/** Some of all texts, others with another salt, in escapes only. */
function oddString(text: string, salt: number): string {
  const units = text.split("");
  const sum = units.reduce((total, unit) => total * 31 + unit.charCodeAt(0) >>> 0, salt);
  if (sum % 10 !== 0) return JSON.stringify(text);
  return `"${units.map((unit) =>
    `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`;
}

function randomTime(random: Random): number {
  switch (random.below(5)) {
    case 0: return 0;
    case 1: return -1 - random.below(5);
    case 2: return random.below(1_000_000) + 0.5;
    case 3: return random.word();
    default: return 1_790_000_000_000_000 + random.word();
  }
}

function randomEndpoint(random: Random): ZipkinEndpoint {
  const members: [string, unknown][] = [
    ["serviceName", ["shop", "web", "", "é"][random.below(4)]],
    ["ipv4", ["1.2.3.4", ""][random.below(2)]], ["ipv6", ["::1", "2001:db8::1"][random.below(2)]],
    ["port", [0, 80, 8080, -1][random.below(4)]],
  ];
  return Object.fromEntries(shuffled(random, members).filter(() => random.chance(0.6)));
}

function shuffled<T>(random: Random, values: readonly T[]): T[] {
  const order = [...values];
  for (let index = order.length - 1; index > 0; index--) {
    const other = random.below(index + 1);
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  return order;
}
