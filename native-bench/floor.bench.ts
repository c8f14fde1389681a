// Native lower bounds for the same payloads, in C on this machine: what memcpy, a walk over the
// protobuf fields and plain file writes cost. The table of `npm run bench` states the stages'
// figures as multiples of these.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { otlpPayload, referenceShape } from "./load/payload.ts";
import { nativeProgram } from "./native-program.ts";
import { runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

/** The first payload of scan.bench.ts. */
const SEED = 20_260_917;
const SPANS_PER_BODY = 100;
const ERROR_EVERY = 25;
const BODIES_PER_WRITE = 16;

/** What the programs print. */
interface FloorOutput {
  readonly seconds: number;
  readonly hash?: string;
  readonly spans?: number;
  readonly bytes?: number;
}

/** `spansPerSecond` is that of the walk. */
export function run(options: BenchOptions): BenchResult {
  const bodies = options.smoke ? 20 * BODIES_PER_WRITE : 6_000 * BODIES_PER_WRITE;
  const directory = mkdtempSync(join(tmpdir(), "tailrace-floor-"));
  try {
    const { body } = otlpPayload(referenceShape(SPANS_PER_BODY, ERROR_EVERY, SEED));
    const bodyFile = join(directory, "body");
    writeFileSync(bodyFile, body);
    const copy = runFloor("copy", [bodyFile, String(bodies)]);
    const walk = runFloor("walk", [bodyFile, String(bodies)]);
    const append = runFloor("append", [bodyFile, String(bodies), directory]);
    const perSecond = ({ seconds }: FloorOutput): number =>
      Math.round((bodies * SPANS_PER_BODY) / seconds);
    return {
      name: "floor",
      spansPerSecond: perSecond(walk),
      detail: {
        seed: SEED, bodies, bytesPerSpan: Math.round(body.length / SPANS_PER_BODY),
        copySpansPerSecond: perSecond(copy), walkSpansPerSecond: perSecond(walk),
        appendSpansPerSecond: perSecond(append),
        copyMibPerSecond: Math.round((bodies * body.length) / copy.seconds / 2 ** 20),
        appendMibPerSecond: Math.round((append.bytes ?? 0) / append.seconds / 2 ** 20),
        resultHash: `${copy.hash}-${walk.spans}-${walk.hash}-${append.bytes}`,
      },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function runFloor(name: string, words: readonly string[]): FloorOutput {
  const program = nativeProgram(`native-bench/floor/${name}.c`);
  return JSON.parse(execFileSync(program, words, { encoding: "utf8" })) as FloorOutput; // our own
}

await runWhenMain(import.meta.url, run);
