// Rendering on one core: a record read from the log to a forwarder's ring, one trace in ten kept.

import { AttributeMatcher } from "../engine/part/attribute-matcher.ts";
import {
  FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON,
} from "../engine/ring/payload-layout.ts";
import { encodeSuffix } from "../engine/wire/otlp-proto/suffix.ts";
import { RecordIndex } from "../engine/wire/record-index.ts";
import { Renderers } from "../engine/wire/renderer.ts";
import { SCAN_OK } from "../engine/wire/scan-codes.ts";
import { scanPayload } from "../engine/wire/scan-payload.ts";
import { otlpJsonPayload, zipkinPayload } from "./load/json-payload.ts";
import { otlpPayload, type Payload, type PayloadShape } from "./load/payload.ts";
import { type BenchOptions, type BenchResult, runWhenMain } from "./result.ts";

const SEED = 20_260_917;
const SPANS = 1_000;
const SHAPE: PayloadShape = {
  spans: SPANS, spansPerTrace: 4, resources: 8, errorEvery: 25, seed: SEED,
};
const KEEP_EVERY = 10;
const TARGET_BYTES = 4 * 1024 * 1024;
const ROUNDS = 20_000;
/** Rounds of a format that has to be decoded. */
const ROUNDS_JSON = 4_000;
const SMOKE_ROUNDS = 2;

interface Measured {
  readonly keptSpans: number;
  readonly spansPerSecond: number;
  readonly outputBytes: number;
  readonly resultHash: number;
}

/**
 * Kept spans rendered a second, of OTLP protobuf; `detail` has ns a kept span, the figures of the
 * JSON formats, and a hash of the outputs.
 */
export function run(options: BenchOptions): BenchResult {
  const rounds = options.smoke ? SMOKE_ROUNDS : ROUNDS;
  const proto = measure(FORMAT_OTLP_PROTO, otlpPayload(SHAPE), rounds);
  const jsonRounds = options.smoke ? SMOKE_ROUNDS : ROUNDS_JSON;
  const json = measure(FORMAT_OTLP_JSON, otlpJsonPayload(SHAPE), jsonRounds);
  const zipkin = measure(FORMAT_ZIPKIN_JSON, zipkinPayload(SHAPE), jsonRounds);
  return {
    name: "render-otlp-proto",
    spansPerSecond: proto.spansPerSecond,
    detail: {
      seed: SEED, spansPerRecord: SPANS, keptSpans: proto.keptSpans,
      outputBytes: proto.outputBytes,
      nanosecondsPerKeptSpan: Math.round(1e9 / proto.spansPerSecond),
      otlpJsonSpansPerSecond: json.spansPerSecond,
      otlpJsonNanosecondsPerSpan: Math.round(1e9 / json.spansPerSecond),
      zipkinJsonSpansPerSecond: zipkin.spansPerSecond,
      zipkinJsonNanosecondsPerSpan: Math.round(1e9 / zipkin.spansPerSecond),
      resultHash: (proto.resultHash ^ json.resultHash ^ zipkin.resultHash) >>> 0,
    },
  };
}

function measure(format: number, { body }: Payload, rounds: number): Measured {
  const index = new RecordIndex({ spansMax: SPANS, hashSeed: SEED });
  const code = scanPayload(format, body, 0, body.length, new AttributeMatcher([]), index);
  if (code !== SCAN_OK) throw new Error(`the bench's payload was refused with code ${code}`);
  const suffix = encodeSuffix({
    policy: "errors", sampleRate: 1, trigger: "decision_wait", incompleteReason: null,
  });
  const wanted = Uint32Array.from(
    { length: index.partCount }, (_, part) => part % KEEP_EVERY === 0 ? 1 : 0,
  );
  const renderer = new Renderers().of(format);
  const target = Buffer.from(new SharedArrayBuffer(TARGET_BYTES));
  let keptSpans = 0;
  let outputBytes = 0;
  let began = process.hrtime.bigint();
  for (let round = -rounds / 10; round < rounds; round++) {
    if (round === 0) {
      began = process.hrtime.bigint();
      keptSpans = 0;
    }
    renderer.prepare(body, 0, body.length, index, wanted, [suffix]);
    const end = renderer.planEnd(0, TARGET_BYTES);
    outputBytes = renderer.measure(0, end);
    renderer.write(target, 0);
    keptSpans += renderer.spanCount;
    renderer.release();
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  let resultHash = 0;
  for (let at = 0; at < outputBytes; at++) {
    resultHash = (Math.imul(resultHash, 31) + target[at]!) >>> 0;
  }
  return { keptSpans, spansPerSecond: Math.round(keptSpans / seconds), outputBytes, resultHash };
}

await runWhenMain(import.meta.url, run);
