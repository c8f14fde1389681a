import { describe, expect, it } from "vitest";
import { planRemoval, type MemberSight } from "../../../engine/cluster/member-sweep.ts";
import { Random } from "../../support/random.ts";

const RULES = { selfId: "1", unhealthyTtlMs: 5_000, graceMs: 120_000 };
const NOW = 1_000_000;

/** Members 1, 2, ... known for ever; `unhealthyMs` is for how long each has been unhealthy. */
function sights(...unhealthyMs: (number | null)[]): MemberSight[] {
  return unhealthyMs.map((ms, index) => ({
    id: String(index + 1), isVoter: true, knownSinceMs: 0,
    unhealthySinceMs: ms === null ? null : NOW - ms,
  }));
}

describe("the member to remove", () => {
  it("is nobody while all are well", () => {
    expect(planRemoval(sights(null, null, null), RULES, NOW)).toBeNull();
  });

  it("is one that has been unhealthy for the whole time", () => {
    expect(planRemoval(sights(null, 5_000, null), RULES, NOW)).toBe("2");
    expect(planRemoval(sights(null, 4_999, null), RULES, NOW)).toBeNull();
  });

  it("is never this one", () => {
    expect(planRemoval(sights(60_000, null, null), RULES, NOW)).toBeNull();
  });

  it("is the one that has been unhealthy the longest, of several", () => {
    expect(planRemoval(sights(null, null, null, 6_000, 7_000), RULES, NOW)).toBe("5");
  });

  it("is nobody when there is no quorum to agree", () => {
    expect(planRemoval(sights(null, 60_000), RULES, NOW)).toBeNull();
    expect(planRemoval(sights(null, 60_000, 60_000), RULES, NOW)).toBeNull();
    expect(planRemoval(sights(null, null, 60_000, 60_000), RULES, NOW)).toBeNull();
  });

  it("is nobody who is new", () => {
    const [self, other, late] = sights(null, null, 60_000);
    const started = { ...late!, knownSinceMs: NOW - RULES.graceMs + 1 };
    expect(planRemoval([self!, other!, started], RULES, NOW)).toBeNull();
    expect(planRemoval([self!, other!, started], RULES, NOW + 1)).toBe("3");
  });

  it("may be one that never came to vote, and such a one counts in no quorum", () => {
    const [self, other] = sights(null, 60_000);
    expect(planRemoval([self!, { ...other!, isVoter: false }], RULES, NOW)).toBe("2");
  });

  it("leaves a quorum of healthy voters in every case", () => {
    const random = Random.fromEnvironment();
    process.stdout.write(`seed ${random.seed}\n`);
    for (let round = 0; round < 5_000; round++) {
      const members = sights(...Array.from({ length: 1 + random.below(9) }, () =>
        random.chance(0.5) ? null : random.below(10_000)));
      const removed = planRemoval(members, RULES, NOW);
      if (removed === null) continue;
      const rest = members.filter(({ id }) => id !== removed);
      const healthy = rest.filter(({ unhealthySinceMs }) => unhealthySinceMs === null).length;
      expect(removed).not.toBe(RULES.selfId);
      expect(healthy).toBeGreaterThanOrEqual(Math.floor(rest.length / 2) + 1);
      expect(healthy).toBeGreaterThanOrEqual(Math.floor(members.length / 2) + 1);
    }
  });
});
