// Scan and fold on one core: bytes in shared memory, as in a lane's ring, to a record index.
// Target: 3 M spans/s of 436 bytes with ten attributes and three keys named by policies.

import { AttributeMatcher } from "../engine/part/attribute-matcher.ts";
import { PART_BITS_0, PART_END_LOW, PART_WORDS } from "../engine/part/part-layout.ts";
import { RecordIndex } from "../engine/wire/record-index.ts";
import { SCAN_OK, scanOtlpProto } from "../engine/wire/otlp-proto/scan.ts";
import { otlpPayload } from "./load/payload.ts";
import { type BenchOptions, type BenchResult, runWhenMain } from "./result.ts";

const SEED = 20_260_917;
const SPANS = 100;
const PAYLOADS = 16;

/** Spans scanned a second; `detail` has ns a span and a hash over all parts. */
export function run(options: BenchOptions): BenchResult {
  const payloads = sharedPayloads();
  const matcher = new AttributeMatcher([
    { kind: "number", key: "http.response.status_code", min: 500n, max: 599n },
    { kind: "regex", key: "url.path", patterns: ["^/api/v[0-9]+/baskets/"], cacheSize: 128 },
    { kind: "string", key: "service.name", values: ["baskets-0", "baskets-3"] },
  ]);
  const index = new RecordIndex({ spansMax: 10_000, hashSeed: SEED });
  const rounds = options.smoke ? 2 : 20_000;
  scanAll(payloads, matcher, index, options.smoke ? 1 : 2_000);
  const began = process.hrtime.bigint();
  const resultHash = scanAll(payloads, matcher, index, rounds);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const spans = rounds * SPANS;
  const payloadBytes = payloads.reduce((sum, payload) => sum + payload.length, 0) / PAYLOADS;
  return {
    name: "scan-otlp-proto",
    spansPerSecond: Math.round(spans / seconds),
    detail: {
      seed: SEED, spans, spansPerPayload: SPANS, bytesPerSpan: Math.round(payloadBytes / SPANS),
      nanosecondsPerSpan: Math.round((seconds * 1e9) / spans), resultHash,
    },
  };
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

/** Scans payloads in turn; answers a hash over the parts' bits and ends. */
function scanAll(
  payloads: readonly Uint8Array[], matcher: AttributeMatcher, index: RecordIndex, rounds: number,
): number {
  let hash = 0;
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
