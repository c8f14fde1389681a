// Scan and fold on one core: bytes in shared memory, as in a lane's ring, to a record index.
// Target: 3 M spans/s of some 450 bytes with ten attributes and three keys named by policies.
// The same spans as Zipkin JSON and OTLP JSON: 0.7 and 1.1 µs each at most, also where no value
// repeats that of the span before.
// Timed in short slices and reported by their median, because cores are shared.

import { AttributeMatcher, type AttributePredicate } from "../engine/part/attribute-matcher.ts";
import { PART_BITS_0, PART_END_LOW, PART_WORDS } from "../engine/part/part-layout.ts";
import { RecordIndex } from "../engine/wire/record-index.ts";
import { scanOtlpJson } from "../engine/wire/otlp-json/scan.ts";
import { SCAN_OK, scanOtlpProto } from "../engine/wire/otlp-proto/scan.ts";
import { scanZipkinJson } from "../engine/wire/zipkin-json/scan.ts";
import { otlpJsonPayload, zipkinPayload } from "./load/json-payload.ts";
import { otlpPayload, type Payload, type PayloadShape } from "./load/payload.ts";
import { type BenchOptions, type BenchResult, runWhenMain } from "./result.ts";

const SEED = 20_260_917;
const SPANS = 100;
const PAYLOADS = 16;
const ROUNDS_PER_SLICE = 160;

const STATUS: AttributePredicate = {
  kind: "number", key: "http.response.status_code", min: 500n, max: 599n,
};
const SERVICE: AttributePredicate = {
  kind: "string", key: "service.name", values: ["baskets-0", "baskets-3"],
};
const PATH: AttributePredicate = { kind: "string", key: "url.path", values: ["/api/v2/pay"] };
const PATH_REGEX: AttributePredicate = {
  kind: "regex", key: "url.path", patterns: ["^/api/v[0-9]+/baskets/"], cacheSize: 128,
};

type Scan = typeof scanOtlpProto;

/** Spans scanned a second with three keys; `detail` has other policies and formats, and a hash of
 *  all parts. */
export function run(options: BenchOptions): BenchResult {
  const bodies = payloads((shape) => otlpPayload(shape).body);
  const slices = options.smoke ? 1 : 300;
  const jsonSlices = options.smoke ? 1 : 100;
  const rounds = options.smoke ? 2 : ROUNDS_PER_SLICE;
  const index = new RecordIndex({ spansMax: 10_000, hashSeed: SEED });
  let resultHash = 0;
  const timed = (
    predicates: readonly AttributePredicate[], scan: Scan, scanned: readonly Uint8Array[],
    slicesWanted = slices,
  ): number[] => {
    const matcher = new AttributeMatcher(predicates);
    const nanoseconds: number[] = [];
    for (let slice = 0; slice < slicesWanted; slice++) {
      const began = process.hrtime.bigint();
      resultHash = scanAll(scan, scanned, matcher, index, rounds, resultHash);
      nanoseconds.push(Number(process.hrtime.bigint() - began) / (rounds * SPANS));
    }
    return nanoseconds.sort((one, other) => one - other);
  };
  timed([STATUS, PATH_REGEX, SERVICE], scanOtlpProto, bodies); // warms up
  const three = timed([STATUS, PATH, SERVICE], scanOtlpProto, bodies);
  const regex = timed([STATUS, PATH_REGEX, SERVICE], scanOtlpProto, bodies);
  const none = timed([], scanOtlpProto, bodies);
  const protoHash = resultHash;
  const json = (scan: Scan, write: (shape: PayloadShape) => Payload): JsonFigures => {
    const repeat = payloads((shape) => write(shape).body);
    timed([STATUS, PATH_REGEX, SERVICE], scan, repeat, jsonSlices); // warms up
    const differ = payloads((shape) => write({ ...shape, valuesDiffer: true }).body);
    return {
      bytes: bytesPerSpan(repeat),
      repeat: timed([STATUS, PATH, SERVICE], scan, repeat, jsonSlices),
      differ: timed([STATUS, PATH, SERVICE], scan, differ, jsonSlices),
    };
  };
  const zipkin = json(scanZipkinJson, zipkinPayload);
  const otlp = json(scanOtlpJson, otlpJsonPayload);
  return {
    name: "scan-otlp-proto",
    spansPerSecond: Math.round(1e9 / median(three)),
    detail: {
      seed: SEED, spansPerPayload: SPANS, spansTimed: slices * rounds * SPANS,
      bytesPerSpan: bytesPerSpan(bodies),
      nanosecondsPerSpan: Math.round(median(three)),
      nanosecondsPerSpanFastest: Math.round(three[0]!),
      nanosecondsPerSpanWithRegex: Math.round(median(regex)),
      nanosecondsPerSpanWithoutKeys: Math.round(median(none)),
      resultHash: protoHash,
      ...jsonDetail("zipkinJson", zipkin), ...jsonDetail("otlpJson", otlp),
      jsonResultHash: resultHash,
    },
  };
}

/** Nanoseconds a span of one JSON format, ascending. */
interface JsonFigures {
  readonly bytes: number;
  readonly repeat: readonly number[];
  /** With values that differ from those of the span before. */
  readonly differ: readonly number[];
}

function jsonDetail(format: string, figures: JsonFigures): Record<string, number> {
  return {
    [`${format}BytesPerSpan`]: figures.bytes,
    [`${format}NanosecondsPerSpan`]: Math.round(median(figures.repeat)),
    [`${format}NanosecondsPerSpanFastest`]: Math.round(figures.repeat[0]!),
    [`${format}NanosecondsPerSpanValuesDiffer`]: Math.round(median(figures.differ)),
  };
}

function bytesPerSpan(scanned: readonly Uint8Array[]): number {
  return Math.round(scanned.reduce((sum, payload) => sum + payload.length, 0) / (SPANS * PAYLOADS));
}

function median(ascending: readonly number[]): number {
  return ascending[ascending.length >> 1]!;
}

/** Bodies in shared memory, as in a lane's ring. */
function payloads(write: (shape: PayloadShape) => Uint8Array): Uint8Array[] {
  return Array.from({ length: PAYLOADS }, (_, number) => {
    const body = write({
      spans: SPANS, spansPerTrace: 2, resources: 4, errorEvery: 25, seed: SEED + number,
    });
    const shared = new Uint8Array(new SharedArrayBuffer(body.length));
    shared.set(body);
    return shared;
  });
}

/** Scans payloads in turn; goes on with a hash over the parts' bits and ends. */
function scanAll(
  scan: Scan, scanned: readonly Uint8Array[], matcher: AttributeMatcher, index: RecordIndex,
  rounds: number, hashBefore: number,
): number {
  let hash = hashBefore;
  for (let round = 0; round < rounds; round++) {
    const payload = scanned[round % PAYLOADS]!;
    const code = scan(payload, 0, payload.length, matcher, index);
    if (code !== SCAN_OK) throw new Error(`the bench's payload was refused with code ${code}`);
    for (let at = 0; at < index.partCount * PART_WORDS; at += PART_WORDS) {
      hash = (Math.imul(hash, 31) + index.parts[at + PART_BITS_0]!) | 0;
      hash = (hash + index.parts[at + PART_END_LOW]!) | 0;
    }
  }
  return hash >>> 0;
}

await runWhenMain(import.meta.url, run);
