// Bytes of the log that change while no process runs: what is damaged is lost and counted, nothing
// else, and the gateway starts and serves.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { RecordingBackend } from "../support/backend.ts";
import type { GatewayConfig, GatewayProcess } from "../support/gateway.ts";
import { reckonSampled } from "../support/reckoning.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { postSpans, spanKey, type SentSpan } from "../support/traffic.ts";

const TEST_MS = 60_000;
const BODIES = 20;
const SPANS_PER_BODY = 10;
/** LMDB's two meta pages, which are looked at before anything else. */
const META_BYTES = 2 * 4096;

function configFor(
  stage: Stage, backend: RecordingBackend, decisionWait: string,
): GatewayConfig {
  stage.run++;
  return stage.config(
    [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler(decisionWait) })],
    { Workers: 1 });
}

/** Data files of the log's generations. */
function dataFiles(stage: Stage): string[] {
  const log = path.join(stage.directory, "data", "log");
  return fs.readdirSync(log, { recursive: true, encoding: "utf8" })
    .filter((name) => path.basename(name) === "data.mdb" && !name.includes(".set-aside"))
    .map((name) => path.join(log, name));
}

/** Flips a bit of every place where `bytes` lie in the log. @returns how many. */
function damage(stage: Stage, bytes: Buffer): number {
  let places = 0;
  for (const file of dataFiles(stage)) {
    const content = fs.readFileSync(file);
    for (let at = content.indexOf(bytes); at >= 0; at = content.indexOf(bytes, at + 1)) {
      content[at + 3]! ^= 0x10; // within the match
      places++;
    }
    fs.writeFileSync(file, content);
  }
  return places;
}

/** Sends bodies of traces to be kept, each of its own traces. @returns their spans, by body. */
async function sendBodies(stage: Stage, gateway: GatewayProcess): Promise<SentSpan[][]> {
  const bodies: SentSpan[][] = [];
  for (let body = 0; body < BODIES; body++) {
    const spans = Array.from({ length: SPANS_PER_BODY }, (): SentSpan => ({
      traceId: stage.random.hex(16), spanId: stage.random.hex(8), fate: "keep", marked: false,
    }));
    expect(await postSpans(gateway.port, spans)).toBe(200);
    bodies.push(spans);
  }
  return bodies;
}

/** An id as the index of a record has it: four words, little-endian. */
function asWords(traceId: string): Buffer {
  const bytes = Buffer.from(traceId, "hex");
  return bytes.swap32();
}

/** Starts on a damaged log. A damaged page may end the process once; then it is set aside. */
async function startOnDamage(stage: Stage, next: () => GatewayConfig): Promise<GatewayProcess> {
  for (let attempt = 1; ; attempt++) {
    const gateway = await stage.launch(next());
    const failure = await gateway.ready().then(() => null, (error: unknown) => error);
    if (failure === null) return gateway;
    if (attempt === 3 || gateway.running) throw failure;
  }
}

describe("a flipped bit", () => {
  it.each([
    ["a payload", (span: SentSpan) => Buffer.from(span.spanId, "hex")],
    ["the index of a record", (span: SentSpan) => asWords(span.traceId)],
  ])("in %s loses that record alone, and says so", async (_, patternOf) => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const gateway = await stage.start(configFor(stage, backend, "10m"));
    const bodies = await sendBodies(stage, gateway);
    await gateway.kill();
    expect(damage(stage, patternOf(bodies[7]![4]!))).toBe(1);
    const again = await stage.start(configFor(stage, backend, "500ms"));
    await again.settled();
    const expected = bodies.filter((_spans, index) => index !== 7).flat().map(spanKey);
    expect([...backend.received.keys()].toSorted()).toEqual(expected.toSorted());
    const page = await again.scrape();
    expect(page.sum("tailrace_records_corrupt_total")).toBeGreaterThan(0);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    const { code } = await again.stop();
    expect(again.output).toContain("The balance closes");
    expect(code).toBe(3); // acknowledged spans were lost
    // Said once: the next run has nothing to do with it.
    const after = await stage.start(configFor(stage, backend, "500ms"));
    expect((await after.stop()).code).toBe(0);
  }, TEST_MS);
});

describe("a damaged file", () => {
  it.each([
    ["cut in the middle", (file: string) => fs.truncateSync(file, fs.statSync(file).size / 2)],
    ["with zeros for a head", (file: string) => {
      const handle = fs.openSync(file, "r+");
      fs.writeSync(handle, new Uint8Array(META_BYTES), 0, META_BYTES, 0);
      fs.closeSync(handle);
    }],
    ["of random bytes", (file: string) => {
      fs.writeFileSync(file, crypto.getRandomValues(new Uint8Array(65_536)));
    }],
  ])("%s is set aside, and the gateway serves", async (_, harm) => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const gateway = await stage.start(configFor(stage, backend, "10m"));
    await sendBodies(stage, gateway);
    await gateway.kill();
    const [file = "", ...others] = dataFiles(stage);
    expect(others).toEqual([]);
    harm(file);
    const again = await startOnDamage(stage, () => configFor(stage, backend, "500ms"));
    expect(again.output).toContain("set aside");
    expect(fs.existsSync(`${path.dirname(file)}.set-aside`)).toBe(true);
    const bodies = await sendBodies(stage, again);
    await again.settled();
    expect([...backend.received.keys()].toSorted())
      .toEqual(bodies.flat().map(spanKey).toSorted());
    expect((await again.stop()).code).toBe(3);
  }, TEST_MS);
});

it("bytes flipped at random never keep the gateway from serving, and nothing is lost in silence",
  async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const next = (): GatewayConfig => configFor(stage, backend, "1s");
    let gateway = await stage.start(next());
    const traffic = stage.traffic({ spansPerSecond: 2000 });
    let said = false;
    for (let round = 0; round < 3; round++) {
      await sleep(1200);
      await gateway.kill();
      for (const file of dataFiles(stage)) {
        const content = fs.readFileSync(file);
        const flips = 1 + stage.random.below(10);
        for (let flip = 0; flip < flips; flip++) {
          const at = META_BYTES + stage.random.below(content.length - META_BYTES);
          content[at]! ^= 1 << stage.random.below(8); // at < content.length
        }
        fs.writeFileSync(file, content);
      }
      gateway = await startOnDamage(stage, next);
      said ||= /failed their checksum|set aside/.test(gateway.output);
      const before = traffic.answersWith(200);
      await sleep(500);
      expect(traffic.answersWith(200)).toBeGreaterThan(before);
    }
    await traffic.stop();
    await gateway.settled();
    const page = await gateway.scrape();
    said ||= page.sum("tailrace_records_corrupt_total") > 0;
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    const { missing, unknown } = reckonSampled(traffic, backend, Infinity);
    expect(unknown).toEqual([]);
    if (missing.length > 0) expect(said).toBe(true);
    expect([0, 3]).toContain((await gateway.stop()).code);
    expect(gateway.output).toContain("The balance closes");
  }, TEST_MS);
