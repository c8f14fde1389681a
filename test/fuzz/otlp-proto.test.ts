import { describe, expect, it } from "vitest";
import { OtlpRenderer } from "../../engine/wire/otlp-proto/render.ts";
import { scanOtlpProto } from "../../engine/wire/otlp-proto/scan.ts";
import { encodeSuffix } from "../../engine/wire/otlp-proto/suffix.ts";
import { RecordIndex } from "../../engine/wire/record-index.ts";
import { SCAN_OK, SCAN_REASONS } from "../../engine/wire/scan-codes.ts";
import { oracleScan } from "../support/otlp-oracle.ts";
import { randomRequest } from "../support/otlp-random.ts";
import { Random } from "../support/random.ts";
import { CHECK_PREDICATES, checkMatcher, expectIndex } from "../support/scan-check.ts";

const random = Random.fromEnvironment();
console.log(`otlp-proto fuzz: TAILRACE_SEED=${random.seed}`);

const PAYLOADS = 300;
const MUTATED_PAYLOADS = 25;
const matcher = checkMatcher();
const index = new RecordIndex({ spansMax: 1_000, hashSeed: random.word() });
const again = new RecordIndex({ spansMax: 1_000, hashSeed: random.word() });
const renderer = new OtlpRenderer();
const SUFFIX = encodeSuffix({
  policy: "errors", sampleRate: 1, trigger: "decision_wait", incompleteReason: null,
});

/** The payload in larger memory filled with a byte; what lies around it must not matter. */
function surrounded(payload: Uint8Array, poison: number, before: number): Uint8Array {
  const bytes = new Uint8Array(before + payload.length + 64).fill(poison);
  bytes.set(payload, before);
  return bytes;
}

/** The payload's bytes, throwing when one outside [start, end) is read by index. */
function guarded(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, property) {
      const at = typeof property === "string" && /^[0-9]+$/.test(property) ? Number(property) : -1;
      if (at >= 0 && (at < start || at >= end)) throw new Error(`read ${at} of [${start}, ${end})`);
      return Reflect.get(target, property, target);
    },
  });
}

/** Compares with the oracle in several surroundings; what is accepted must survive rendering. */
function checkPayload(payload: Uint8Array): boolean {
  const expected = oracleScan(payload);
  const code = scanOtlpProto(payload, 0, payload.length, matcher, index);
  expect(SCAN_REASONS[code]).toBeDefined();
  expect(code === SCAN_OK).toBe(expected !== null);
  for (const [poison, before] of [[0x0a, 5], [0xff, 64], [0x00, 1]] as const) {
    const bytes = surrounded(payload, poison, before);
    const end = before + payload.length;
    expect(scanOtlpProto(bytes, before, end, matcher, again)).toBe(code);
    if (expected !== null) expectIndex(again, payload, expected, CHECK_PREDICATES);
  }
  if (expected === null) return false;
  checkRendering(payload, expected.spans.length);
  return true;
}

function checkRendering(payload: Uint8Array, spans: number): void {
  scanOtlpProto(payload, 0, payload.length, matcher, index);
  const wanted = Uint32Array.from({ length: index.partCount }, () => random.below(3));
  const end = random.below(index.spanCount + 1);
  renderer.prepare(payload, 0, payload.length, index, wanted, [SUFFIX, new Uint8Array(0)]);
  const firstBytes = renderer.measure(0, end);
  let wantedSpans = renderer.spanCount;
  const output = Buffer.alloc(firstBytes + payload.length * 2 + spans * SUFFIX.length * 2);
  const next = renderer.write(output, 0);
  expect(next).toBe(firstBytes);
  const secondBytes = renderer.measure(end, index.spanCount);
  wantedSpans += renderer.spanCount;
  const all = output.subarray(0, renderer.write(output, next));
  expect(all.length).toBe(firstBytes + secondBytes);
  const rendered = oracleScan(all);
  const source = oracleScan(payload)!;
  const traceIds = [...new Set(source.spans.map((span) => span.traceId))];
  const keptSpans = source.spans.filter((span) => wanted[traceIds.indexOf(span.traceId)] !== 0);
  expect(wantedSpans).toBe(keptSpans.length);
  expect(rendered?.refusedSpans).toBe(0);
  expect(rendered?.spans.length).toBe(keptSpans.length);
  rendered?.spans.forEach((span, number) => {
    const before = keptSpans[number]!;
    const suffix = wanted[traceIds.indexOf(span.traceId)] === 1 ? SUFFIX : new Uint8Array(0);
    expect(Buffer.compare(span.bytes, Buffer.concat([before.bytes, suffix]))).toBe(0);
    expect(span.attributes.slice(0, before.attributes.length)).toEqual(before.attributes);
  });
  expect(scanOtlpProto(all, 0, all.length, matcher, again)).toBe(SCAN_OK);
  expect(again.spanCount).toBe(keptSpans.length);
}

describe("the OTLP protobuf scanner, fuzzed", () => {
  it("agrees with the oracle about legal payloads however they are written", () => {
    for (let number = 0; number < PAYLOADS; number++) {
      expect(checkPayload(randomRequest(random, 12)), `payload ${number}`).toBe(true);
    }
  }, 60_000);

  it("agrees with the oracle about payloads cut at every byte", () => {
    for (let number = 0; number < MUTATED_PAYLOADS; number++) {
      const payload = randomRequest(random, 2).subarray(0, 600);
      for (let end = 0; end <= payload.length; end++) checkPayload(payload.slice(0, end));
    }
  }, 60_000);

  it("agrees with the oracle about payloads with any one byte changed", () => {
    let accepted = 0;
    for (let number = 0; number < MUTATED_PAYLOADS; number++) {
      const payload = randomRequest(random, 2).slice(0, 600);
      for (let at = 0; at < payload.length; at++) {
        const changed = payload.slice();
        const bit = 1 << random.below(8);
        changed[at] = random.chance(0.5) ? random.below(256) : changed[at]! ^ bit;
        if (checkPayload(changed)) accepted++;
      }
    }
    expect(accepted).toBeGreaterThan(0);
  }, 60_000);

  it("agrees with the oracle about noise", () => {
    for (let number = 0; number < 2_000; number++) {
      const size = random.below(60);
      const tags = [0x0a, 0x12, 0x4a, 0x08, 0x39, 0x80, 0x01, 0x02, 0x03, 0x0b, 0x0c];
      checkPayload(Uint8Array.from({ length: size }, () =>
        random.chance(0.5) ? tags[random.below(tags.length)]! : random.below(256)));
    }
  }, 60_000);

  it("reads no byte outside of the payload", () => {
    for (let number = 0; number < 40; number++) {
      const whole = randomRequest(random, 3);
      const bytes = surrounded(whole, 0x0a, 16);
      for (let cut = 0; cut < 20; cut++) {
        const size = cut === 0 ? whole.length : random.below(whole.length + 1);
        const end = 16 + size;
        const code = scanOtlpProto(guarded(bytes, 16, end), 16, end, checkMatcher(), again);
        expect(code === SCAN_OK).toBe(oracleScan(whole.subarray(0, size)) !== null);
      }
    }
  }, 60_000);
});
