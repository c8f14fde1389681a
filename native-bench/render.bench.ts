// Rendering on one core: a record read from the log to a forwarder's ring, one trace in ten kept.

import { AttributeMatcher } from "../engine/part/attribute-matcher.ts";
import { OtlpRenderer } from "../engine/wire/otlp-proto/render.ts";
import { scanOtlpProto } from "../engine/wire/otlp-proto/scan.ts";
import { encodeSuffix } from "../engine/wire/otlp-proto/suffix.ts";
import { RecordIndex } from "../engine/wire/record-index.ts";
import { otlpPayload } from "./load/payload.ts";
import { type BenchOptions, type BenchResult, runWhenMain } from "./result.ts";

const SEED = 20_260_917;
const SPANS = 1_000;
const KEEP_EVERY = 10;
const TARGET_BYTES = 4 * 1024 * 1024;

/** Kept spans rendered a second; `detail` has ns a kept span and a hash of the output. */
export function run(options: BenchOptions): BenchResult {
  const { body: payload } = otlpPayload({
    spans: SPANS, spansPerTrace: 4, resources: 8, errorEvery: 25, seed: SEED,
  });
  const index = new RecordIndex({ spansMax: SPANS, hashSeed: SEED });
  scanOtlpProto(payload, 0, payload.length, new AttributeMatcher([]), index);
  const suffix = encodeSuffix({
    policy: "errors", sampleRate: 1, trigger: "decision_wait", incompleteReason: null,
  });
  const wanted = Uint32Array.from(
    { length: index.partCount }, (_, part) => part % KEEP_EVERY === 0 ? 1 : 0,
  );
  const renderer = new OtlpRenderer();
  const target = Buffer.from(new SharedArrayBuffer(TARGET_BYTES));
  const rounds = options.smoke ? 2 : 20_000;
  let keptSpans = 0;
  let outputBytes = 0;
  let began = process.hrtime.bigint();
  for (let round = -rounds / 10; round < rounds; round++) {
    if (round === 0) {
      began = process.hrtime.bigint();
      keptSpans = 0;
    }
    renderer.prepare(payload, 0, payload.length, index, wanted, [suffix]);
    const end = renderer.planEnd(0, TARGET_BYTES);
    outputBytes = renderer.measure(0, end);
    renderer.write(target, 0);
    keptSpans += renderer.spanCount;
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  let resultHash = 0;
  for (let at = 0; at < outputBytes; at++) {
    resultHash = (Math.imul(resultHash, 31) + target[at]!) >>> 0;
  }
  return {
    name: "render-otlp-proto",
    spansPerSecond: Math.round(keptSpans / seconds),
    detail: {
      seed: SEED, spansPerRecord: SPANS, keptSpans, outputBytes,
      nanosecondsPerKeptSpan: Math.round((seconds * 1e9) / keptSpans), resultHash,
    },
  };
}

await runWhenMain(import.meta.url, run);
