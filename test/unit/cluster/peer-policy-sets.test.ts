import { beforeEach, describe, expect, it } from "vitest";
import { createClusterWords, NO_SET, OWN_SET } from "../../../engine/cluster/cluster-words.ts";
import { FOREIGN_SETS_MAX, PeerPolicySets } from "../../../engine/cluster/peer-policy-sets.ts";
import { PolicySetBoard } from "../../../engine/cluster/policy-set-board.ts";
import { planMap, type ShardMap } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";

const LANES = 2;
const RETRY_MS = 1_000;
const NAMES = Array.from({ length: 16 }, (_, slot) => slot === 0 ? "backend" : "");

let board: PolicySetBoard;
let nowMs: number;
let asked: { hash: string; take: (text: string | null | Error) => void }[];
let told: string[];
let known: number;
let sets: PeerPolicySets;

beforeEach(() => {
  board = new PolicySetBoard(createClusterWords());
  nowMs = 10_000;
  asked = [];
  told = [];
  known = 0;
  sets = new PeerPolicySets({ ownHash: "own", slotNames: NAMES, lanes: LANES }, {
    board, clock: { monotonicMs: () => nowMs },
    fetch: (hash, take) => asked.push({ hash, take }),
    read: (_, text) => {
      if (text === "newer") throw new Error("a newer format");
      return { slotNames: NAMES, samplersMask: 1, hasSamePolicies: text === "same" };
    },
    log: (_, message, { node }) => told.push(`${String(node)}: ${message}`),
    known: () => known++,
    wake: () => undefined,
  });
});

/** A map of this node and one for each of these sets. */
function mapOf(...hashes: string[]): ShardMap {
  return planMap(null, [mapMember("self", { policySet: "own" }),
    ...hashes.map((policySet, index) => mapMember(`node-${index}`, { policySet }))]);
}

function stateOf(hash: string): { number: number; isKnown: boolean } {
  const { number, isKnown } = sets.of(mapMember("any", { policySet: hash }));
  return { number, isKnown };
}

function lanesTake(): void {
  for (let lane = 0; lane < LANES; lane++) board.took(lane, board.offers);
}

describe("a policy set of another node", () => {
  it("is known when its text was fetched and every lane has compiled it", () => {
    sets.takeMap(mapOf("own", "other"));
    expect(sets.of(mapMember("any", { policySet: "own" })).slots).toBeNull();
    expect(stateOf("own")).toEqual({ number: OWN_SET, isKnown: true });
    expect(stateOf("other")).toEqual({ number: 1, isKnown: false });
    sets.run();
    expect(asked.map(({ hash }) => hash)).toEqual(["other"]);
    asked[0]!.take("text ü");
    sets.run();
    expect(board.read()).toEqual({ number: 1, text: "text ü" });
    board.took(0, board.offers);
    sets.run();
    expect(stateOf("other").isKnown).toBe(false);
    lanesTake();
    sets.run();
    expect(stateOf("other")).toEqual({ number: 1, isKnown: true });
    expect(known).toBe(1);
    expect(told).toHaveLength(1);
  });

  it("that is the same but for numbers of forwarders is not told of", () => {
    sets.takeMap(mapOf("other"));
    sets.run();
    asked[0]!.take("same");
    sets.run();
    lanesTake();
    sets.run();
    expect(sets.of(mapMember("any", { policySet: "other" })))
      .toMatchObject({ number: 1, isKnown: true, hasSamePolicies: true });
    expect(told).toEqual([]);
  });

  it("is asked for again when etcd did not answer, and told of once", () => {
    sets.takeMap(mapOf("other"));
    for (const answer of [new Error("no answer"), null, new Error("no answer"), "text"]) {
      sets.run();
      sets.run();
      asked.shift()!.take(answer);
      expect(asked).toEqual([]);
      nowMs += RETRY_MS;
    }
    sets.run();
    expect(board.read().text).toBe("text");
    expect(told).toEqual([expect.stringContaining("etcd has not given their text")]);
  });

  it("that cannot be read stays unknown, and is told of once", () => {
    sets.takeMap(mapOf("newer"));
    sets.run();
    asked.shift()!.take("newer");
    for (let run = 0; run < 3; run++) {
      nowMs += RETRY_MS;
      sets.run();
      sets.takeMap(mapOf("newer"));
    }
    expect(stateOf("newer").isKnown).toBe(false);
    expect(asked).toEqual([]);
    expect(told).toEqual([expect.stringContaining("this version cannot read")]);
  });

  it("comes to the lanes one at a time", () => {
    sets.takeMap(mapOf("a", "b"));
    sets.run();
    for (const { hash, take } of asked) take(`text of ${hash}`);
    sets.run();
    sets.run();
    expect(board.read().text).toBe("text of a");
    lanesTake();
    sets.run();
    expect(board.read().text).toBe("text of b");
    expect([stateOf("a").isKnown, stateOf("b").isKnown]).toEqual([true, false]);
  });

  it("keeps its number when it comes back, and is learned anew", () => {
    sets.takeMap(mapOf("a", "b"));
    sets.run();
    asked[0]!.take("text");
    sets.takeMap(mapOf("b"));
    expect(stateOf("a")).toEqual({ number: NO_SET, isKnown: false });
    asked[1]!.take("text");
    sets.run();
    expect(board.read().number).toBe(2);
    lanesTake();
    sets.takeMap(mapOf("a"));
    expect(stateOf("a")).toEqual({ number: 1, isKnown: false });
    sets.run();
    asked.pop()!.take("text");
    sets.run();
    lanesTake();
    sets.run();
    expect(stateOf("a")).toEqual({ number: 1, isKnown: true });
  });

  it("beyond the limit is not known until another one is gone", () => {
    const hashes = Array.from({ length: FOREIGN_SETS_MAX + 1 }, (_, index) => `set-${index}`);
    sets.takeMap(mapOf(...hashes));
    expect(stateOf(hashes.at(-1)!)).toEqual({ number: NO_SET, isKnown: false });
    expect(told).toEqual([expect.stringContaining("as many other sets as it can")]);
    sets.takeMap(mapOf(...hashes.slice(1)));
    expect(stateOf(hashes.at(-1)!).number).toBe(FOREIGN_SETS_MAX + 1);
  });
});
