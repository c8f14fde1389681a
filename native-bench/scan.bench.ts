// Scan and fold on one core: bytes in shared memory, as in a lane's ring, to a record index.
// Target: 3 M spans/s of some 450 bytes with ten attributes and three keys named by policies.
// Timed in short slices and reported by their median, because cores are shared.

import { AttributeMatcher, type AttributePredicate } from "../engine/part/attribute-matcher.ts";
import { PART_BITS_0, PART_END_LOW, PART_WORDS } from "../engine/part/part-layout.ts";
import { RecordIndex } from "../engine/wire/record-index.ts";
import { SCAN_OK, scanOtlpProto } from "../engine/wire/otlp-proto/scan.ts";
import { otlpPayload } from "./load/payload.ts";
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

/** Spans scanned a second with three keys; `detail` has other policies, and a hash of all parts. */
export function run(options: BenchOptions): BenchResult {
  const payloads = sharedPayloads();
  const slices = options.smoke ? 1 : 300;
  const rounds = options.smoke ? 2 : ROUNDS_PER_SLICE;
  const index = new RecordIndex({ spansMax: 10_000, hashSeed: SEED });
  let resultHash = 0;
  const timed = (predicates: readonly AttributePredicate[]): number[] => {
    const matcher = new AttributeMatcher(predicates);
    const nanoseconds: number[] = [];
    for (let slice = 0; slice < slices; slice++) {
      const began = process.hrtime.bigint();
      resultHash = scanAll(payloads, matcher, index, rounds, resultHash);
      nanoseconds.push(Number(process.hrtime.bigint() - began) / (rounds * SPANS));
    }
    return nanoseconds.sort((one, other) => one - other);
  };
  timed([STATUS, PATH_REGEX, SERVICE]); // warms up
  const three = timed([STATUS, PATH, SERVICE]);
  const regex = timed([STATUS, PATH_REGEX, SERVICE]);
  const none = timed([]);
  const payloadBytes = payloads.reduce((sum, payload) => sum + payload.length, 0);
  return {
    name: "scan-otlp-proto",
    spansPerSecond: Math.round(1e9 / median(three)),
    detail: {
      seed: SEED, spansPerPayload: SPANS, spansTimed: slices * rounds * SPANS,
      bytesPerSpan: Math.round(payloadBytes / (SPANS * PAYLOADS)),
      nanosecondsPerSpan: Math.round(median(three)),
      nanosecondsPerSpanFastest: Math.round(three[0]!),
      nanosecondsPerSpanWithRegex: Math.round(median(regex)),
      nanosecondsPerSpanWithoutKeys: Math.round(median(none)),
      resultHash,
    },
  };
}

function median(ascending: readonly number[]): number {
  return ascending[ascending.length >> 1]!;
}

function sharedPayloads(): Uint8Array[] {
  return Array.from({ length: PAYLOADS }, (_, number) => {
    const { body } = otlpPayload({
      spans: SPANS, spansPerTrace: 2, resources: 4, errorEvery: 25, seed: SEED + number,
    });
    const shared = new Uint8Array(new SharedArrayBuffer(body.length));
    shared.set(body);
    return shared;
  });
}

/** Scans payloads in turn; goes on with a hash over the parts' bits and ends. */
function scanAll(
  payloads: readonly Uint8Array[], matcher: AttributeMatcher, index: RecordIndex, rounds: number,
  hashBefore: number,
): number {
  let hash = hashBefore;
  for (let round = 0; round < rounds; round++) {
    const payload = payloads[round % PAYLOADS]!;
    const code = scanOtlpProto(payload, 0, payload.length, matcher, index);
    if (code !== SCAN_OK) throw new Error(`the bench's payload was refused with code ${code}`);
    for (let at = 0; at < index.partCount * PART_WORDS; at += PART_WORDS) {
      hash = (Math.imul(hash, 31) + index.parts[at + PART_BITS_0]!) | 0;
      hash = (hash + index.parts[at + PART_END_LOW]!) | 0;
    }
  }
  return hash >>> 0;
}

await runWhenMain(import.meta.url, run);
