import { beforeEach, describe, expect, it } from "vitest";
import {
  ClusterWords, createClusterWords, createShardColumns, NO_SET,
} from "../../../engine/cluster/cluster-words.ts";
import { PolicySetBoard } from "../../../engine/cluster/policy-set-board.ts";
import { ForeignSets, OWN_BITS, UNKNOWN_BITS } from "../../../engine/lane/foreign-sets.ts";
import { PolicySets } from "../../../engine/lane/policy-sets.ts";
import { AttributeMatcher } from "../../../engine/part/attribute-matcher.ts";
import { compilePolicySet, type SamplerInput } from "../../../engine/sampling/compile.ts";
import { writePolicySet } from "../../../engine/sampling/policy-set-text.ts";
import { POLICY_SET_UNKNOWN } from "../../../engine/traces/memory-layout.ts";
import { and, exact, probabilistic } from "../sampling/policy-builders.ts";

const NODE = 4;
const ERRORS = { name: "errors", ...exact("error", "yes") };
const OWN: SamplerInput[] = [{ slot: 0, forwarder: "backend", policies: [ERRORS] }];

function names(...some: string[]): string[] {
  return Array.from({ length: 16 }, (_, slot) => some[slot] ?? "");
}

let board: PolicySetBoard;
let words: ClusterWords;
let policySets: PolicySets;
let numbered: number;
let foreign: ForeignSets;
let epoch: number;

beforeEach(() => {
  const memory = createClusterWords();
  board = new PolicySetBoard(memory);
  words = new ClusterWords(memory);
  policySets = new PolicySets(compilePolicySet(OWN));
  numbered = 0;
  epoch = 0;
  foreign = new ForeignSets({
    board, own: new AttributeMatcher(policySets.current.predicates), policySets,
    slotNames: names("backend", "archive"), numbered: () => numbered++,
  }, 0);
});

function adopt(set: number): void {
  const columns = createShardColumns();
  columns.members[NODE] = 1;
  columns.sets[NODE] = set;
  words.publish(++epoch, columns);
  const adopted = createShardColumns();
  words.read(adopted);
  foreign.adopted(adopted);
}

function offer(number: number, samplers: readonly SamplerInput[], slotNames: string[]): void {
  board.offer({ number, text: writePolicySet(samplers, slotNames).text });
  foreign.take();
  expect(board.isTaken(1)).toBe(true);
}

describe("a lane's sets of other nodes", () => {
  it("are unknown until they were offered, whichever comes first", () => {
    expect(foreign.bits[NODE]).toBe(OWN_BITS);
    adopt(2);
    expect(foreign.bits[NODE]).toBe(UNKNOWN_BITS);
    offer(2, [{ slot: 1, forwarder: "backend", policies: [
      { name: "first", ...exact("k", "v") }, ERRORS,
    ] }], names("", "backend"));
    expect(foreign.bits[NODE]).toBe(2);
    expect(foreign.samplers[NODE]).toBe(0b01);
    adopt(3);
    expect(foreign.bits[NODE]).toBe(UNKNOWN_BITS);
    adopt(2); // forgotten in between
    expect(foreign.bits[NODE]).toBe(UNKNOWN_BITS);
    adopt(NO_SET);
    expect(foreign.bits[NODE]).toBe(UNKNOWN_BITS);
    adopt(0);
    expect(foreign.bits[NODE]).toBe(OWN_BITS);
  });

  it("of the same predicates need no folding of their own", () => {
    adopt(2);
    offer(2, [{ slot: 7, forwarder: "archive", policies: [
      { name: "some errors", ...and(exact("error", "yes"), probabilistic(10)) },
    ] }], names("", "", "", "", "", "", "", "archive"));
    expect(foreign.bits[NODE]).toBe(OWN_BITS);
    expect(foreign.numberOf(NODE)).toBe(2);
    expect(foreign.samplers[NODE]).toBe(0b10);
  });

  it("tell what votes mean: the policy's name, its rate, for the forwarder of that name", () => {
    adopt(2);
    offer(2, [{ slot: 7, forwarder: "archive", policies: [
      { name: "some", ...probabilistic(10) }, { name: "more", ...probabilistic(50) },
    ] }], names("", "", "", "", "", "", "", "archive"));
    expect(numbered).toBe(1);
    const reason = Uint32Array.of(2 << 8, 0, 9 << 8, NO_SET << 8);
    for (let word = 0; word < reason.length; word++) foreign.renumber(reason, word);
    expect([...reason].map((word) => word >>> 8))
      .toEqual([1, 0, POLICY_SET_UNKNOWN, POLICY_SET_UNKNOWN]);
    const both = Uint32Array.of(0b11, 0, 0, 0);
    const policy = policySets.firstSampled(1, both, 0, 1);
    expect(policySets.nameOf(1, policy)).toBe("some");
    expect(policySets.sampleRate(1, both, 0, 1)).toBe(2);
    expect(policySets.sampleRate(1, Uint32Array.of(0b01, 0, 0, 0), 0, 1)).toBe(10);
    expect(policySets.sampleRate(1, both, 0, 0)).toBe(1);
    offer(2, [{ slot: 7, forwarder: "archive", policies: [
      { name: "some", ...probabilistic(10) }, { name: "more", ...probabilistic(50) },
    ] }], names("", "", "", "", "", "", "", "archive"));
    expect(numbered).toBe(1); // the log knows it
  });
});
