// Seeded histories of a cluster whose lanes, logs and exchanges are the real ones; see world.ts.
// After and during each of them:
//
//   - no acknowledged span of a trace that is to be kept is lost, and none is delivered twice by
//     one process;
//   - a trace of which one span says "keep" is delivered whole or not at all;
//   - holders carry out one decision for each trace, never two that differ;
//   - everything settles when all is well again.

import { afterAll, expect, it } from "vitest";
import { Random } from "../support/random.ts";
import foundSeeds from "./found-seeds.json" with { type: "json" };
import { World } from "./world.ts";

/** Each takes about a second of one core; TAILRACE_HISTORIES asks for more. */
const HISTORIES = Number(process.env["TAILRACE_HISTORIES"] ?? 40);
const GIVEN = process.env["TAILRACE_SEED"];
const HISTORY_MS_MAX = 2_000;

/** A simulation that shows nothing proves nothing. */
const shown = { histories: 0, acknowledged: 0, delivered: 0, epochs: 0, disagreements: 0 };
const events = new Map<string, number>();

function play(seed: number): void {
  const outcome = new World(seed).run();
  shown.histories++;
  shown.acknowledged += outcome.acknowledged;
  shown.delivered += outcome.delivered;
  shown.epochs += outcome.epochs;
  shown.disagreements += outcome.disagreements;
  for (const [name, count] of outcome.events) events.set(name, (events.get(name) ?? 0) + count);
  if (outcome.faults.length === 0) return;
  expect.fail(`TAILRACE_SEED=${seed} TAILRACE_HISTORIES=1\n${outcome.faults.join("\n")}\n`
    + outcome.story.join("\n"));
}

afterAll(() => {
  process.stdout.write(`${JSON.stringify(shown)} ${JSON.stringify(Object.fromEntries(events))}\n`);
});

/** Histories that broke a cluster, or one without a part of what keeps its promises. */
it.each(foundSeeds)("keeps its promises in history $seed, which fails $fails", ({ seed }) => {
  play(seed);
});

it("keeps its promises through random histories", () => {
  const first = GIVEN === undefined ? Random.fromEnvironment().word() : Number(GIVEN) >>> 0;
  process.stdout.write(`seed of the first history: ${first}\n`);
  for (let index = 0; index < HISTORIES; index++) play((first + index) >>> 0);
}, 60_000 + HISTORIES * HISTORY_MS_MAX);
