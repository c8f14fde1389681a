import { describe, expect, it } from "vitest";
import { KIND_DECISIONS, KIND_MEMORY } from "../../../engine/log/entry-layout.ts";
import { Generation } from "../../../engine/log/generation.ts";
import { LOG_OK } from "../../../engine/log/log-status.ts";
import { planRetirement } from "../../../engine/log/retirement.ts";
import { openLog, recordParts, temporaryDirectory } from "../../support/log-fixture.ts";

interface Sketch {
  readonly id: number;
  readonly state?: number;
  readonly statesOf?: readonly number[];
  readonly keptOf?: readonly number[];
  readonly decisions?: boolean;
}

function generations(sketches: readonly Sketch[]): Generation[] {
  return sketches.map(({ id, state = 0, statesOf = [], keptOf = [], decisions = false }) => {
    const generation = new Generation({
      id, directory: "/nowhere", durability: "process", bytes: 4096,
      hint: { entries: 0, parts: 0 },
    });
    generation.states.addRecord(2, recordParts([1]).parts, 1, state);
    generation.sealed = true;
    for (const of of statesOf) generation.statesOf.add(of);
    for (const of of keptOf) generation.keptOf.add(of);
    generation.hasDecisions = decisions;
    return generation;
  });
}

function plan(sketches: readonly Sketch[], memoryGeneration = 0, removedMax = 10) {
  const planned = planRetirement(generations(sketches), memoryGeneration, removedMax);
  return {
    removed: planned.removed.map(({ id }) => id),
    statesOf: planned.statesOf.map(({ id }) => id),
    keptOf: planned.keptOf.map(({ id }) => id),
    memory: planned.memory,
  };
}

describe("a plan of retirement", () => {
  it("takes settled generations, oldest first, and no more than it may", () => {
    const sketches = [{ id: 1 }, { id: 2, state: 1 }, { id: 3 }, { id: 4 }];
    expect(plan(sketches).removed).toEqual([1, 3, 4]);
    expect(plan(sketches, 0, 2).removed).toEqual([1, 3]);
  });

  it("leaves a generation whose end is not committed, and the open one", () => {
    const [dirty, open] = generations([{ id: 1, state: 1 }, { id: 2 }]);
    dirty!.states.clear(2, 0, 1);
    open!.sealed = false;
    expect(planRetirement([dirty!, open!], 0, 10).removed).toEqual([]);
  });

  it("carries states and kept decisions of the living only", () => {
    expect(plan([
      { id: 1, state: 0x0001_0000 }, { id: 2 }, { id: 3, state: 1 },
      { id: 4, statesOf: [1, 2], keptOf: [1, 2, 3] },
    ])).toEqual({ removed: [2, 4], statesOf: [1], keptOf: [1], memory: false });
  });

  it("asks for the memory unless a complete one is younger than all that goes", () => {
    const sketches = [{ id: 1, decisions: true }, { id: 2 }, { id: 3, state: 1, decisions: true }];
    expect(plan(sketches, 0).memory).toBe(true);
    expect(plan(sketches, 1).memory).toBe(true);
    expect(plan(sketches, 2).memory).toBe(false);
  });
});

describe("a memory that is exported over several commits", () => {
  it("lets generations with decisions go once the export that began after them is complete", () => {
    const root = temporaryDirectory();
    const { log } = openLog(root.path);
    const carrier = { appendKept: () => undefined };
    const settle = () => {
      log.transact(() => {
        log.appendRecord(new Uint8Array(9), 0, 9, recordParts([1]), 0);
        log.appendWords(KIND_DECISIONS, new Uint32Array(16), 16);
      });
      log.seal();
    };
    settle();
    settle();
    expect(log.waitsForMemory()).toBe(true);
    expect(log.retire(carrier, 10)).toBe(LOG_OK);
    expect(log.generations()).toEqual([1, 2]);
    log.transact(() => log.appendWords(KIND_MEMORY, new Uint32Array(4), 4));
    const beganIn = log.openGeneration;
    log.seal();
    log.transact(() => log.appendWords(KIND_MEMORY, new Uint32Array(4), 4));
    log.memoryExported(beganIn);
    expect(log.retire(carrier, 10)).toBe(LOG_OK);
    expect(log.generations()).toEqual([3, 4]);
    log.close();
    root.remove();
  });
});
