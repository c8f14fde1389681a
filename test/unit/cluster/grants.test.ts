import { describe, expect, it } from "vitest";
import { FENCE_MARGIN_MS } from "../../../engine/cluster/fence.ts";
import { ASK_MS, GRANT_MS, Grants, type EtcdState } from "../../../engine/cluster/grants.ts";
import { NEVER_MS } from "../../../engine/cluster/lease-keeper.ts";
import { mapMember } from "../../support/map-members.ts";

const LOST: EtcdState = { hasEtcd: false, hasOpenProposal: false, epoch: 7 };
const OTHERS = ["b", "c"].map((name) => mapMember(name));

function grants(name: string): Grants {
  return new Grants({ incarnation: mapMember(name).incarnation, firstNonce: 41 });
}

/** `asking` asks `others` at `nowMs`, whose clocks are elsewhere, and hears them at once. */
function askAll(asking: Grants, nowMs: number, others: Record<string, Grants>): void {
  const ask = asking.onTick(nowMs, LOST);
  if (ask === null) return;
  for (const [name, other] of Object.entries(others)) {
    const granted = other.onAsk(nowMs + 1e6, ask, LOST);
    if (granted !== null) asking.onGrant(name, granted);
  }
}

describe("a node that has lost etcd", () => {
  it("asks all others once a second, each time with another number", () => {
    const asking = grants("a");
    expect(asking.onTick(10_000, { ...LOST, hasEtcd: true })).toBeNull();
    expect(asking.onTick(10_100, LOST)).toEqual({ nonce: 42 });
    expect(asking.onTick(10_100 + ASK_MS - 1, LOST)).toBeNull();
    expect(asking.onTick(10_100 + ASK_MS, LOST)).toEqual({ nonce: 43 });
  });

  it("counts on through the largest number", () => {
    const asking = new Grants({ incarnation: "one", firstNonce: 0xffff_ffff });
    expect(asking.onTick(0, LOST)).toEqual({ nonce: 0 });
  });

  it("has a frozen map while it holds grants of all others, until the first ends", () => {
    const asking = grants("a");
    const [b, c] = [grants("b"), grants("c")];
    askAll(asking, 0, { b });
    expect(asking.frozenUntilMs(0, OTHERS, LOST)).toBe(NEVER_MS);
    askAll(asking, ASK_MS, { c });
    expect(asking.frozenUntilMs(ASK_MS, OTHERS, LOST)).toBe(GRANT_MS - FENCE_MARGIN_MS);
    askAll(asking, 2 * ASK_MS, { b, c });
    expect(asking.frozenUntilMs(2 * ASK_MS, OTHERS, LOST))
      .toBe(2 * ASK_MS + GRANT_MS - FENCE_MARGIN_MS);
    const endMs = 2 * ASK_MS + GRANT_MS - FENCE_MARGIN_MS;
    expect(asking.frozenUntilMs(endMs - 1, OTHERS, LOST)).toBe(endMs);
    expect(asking.frozenUntilMs(endMs, OTHERS, LOST)).toBe(NEVER_MS);
  });

  it("has none when etcd is back, and needs new grants when it is lost again", () => {
    const asking = grants("a");
    askAll(asking, 0, { b: grants("b"), c: grants("c") });
    const back = { ...LOST, hasEtcd: true };
    expect(asking.frozenUntilMs(100, OTHERS, back)).toBe(NEVER_MS);
    asking.onTick(100, back);
    expect(asking.frozenUntilMs(200, OTHERS, LOST)).toBe(NEVER_MS);
  });

  it("has none while a proposal of its own may come into force", () => {
    const asking = grants("a");
    askAll(asking, 0, { b: grants("b"), c: grants("c") });
    expect(asking.frozenUntilMs(1, OTHERS, { ...LOST, hasOpenProposal: true })).toBe(NEVER_MS);
  });

  it("has none alone, and none before the first map", () => {
    expect(grants("a").frozenUntilMs(0, [], LOST)).toBe(NEVER_MS);
    const asking = grants("a");
    askAll(asking, 0, { b: grants("b"), c: grants("c") });
    expect(asking.frozenUntilMs(1, OTHERS, { ...LOST, epoch: 0 })).toBe(NEVER_MS);
  });
});

describe("a grant", () => {
  it("counts from the question, however late the answer is", () => {
    const asking = grants("a");
    const ask = asking.onTick(0, LOST)!;
    const granted = grants("b").onAsk(0, ask, LOST)!;
    asking.onTick(ASK_MS, LOST);
    asking.onGrant("b", granted);
    expect(asking.frozenUntilMs(ASK_MS, OTHERS.slice(0, 1), LOST)).toBe(GRANT_MS - FENCE_MARGIN_MS);
  });

  it("that answers no question of late says nothing", () => {
    const asking = grants("a");
    const ask = asking.onTick(0, LOST)!;
    const granted = grants("b").onAsk(0, ask, LOST)!;
    asking.onGrant("b", { ...granted, nonce: 7 });
    expect(asking.frozenUntilMs(1, OTHERS.slice(0, 1), LOST)).toBe(NEVER_MS);
    for (let nowMs = ASK_MS; nowMs <= GRANT_MS + ASK_MS; nowMs += ASK_MS) {
      asking.onTick(nowMs, LOST);
    }
    asking.onGrant("b", granted);
    expect(asking.frozenUntilMs(1, OTHERS.slice(0, 1), LOST)).toBe(NEVER_MS);
  });

  it("that is overtaken on its way does not shorten the later one", () => {
    const asking = grants("a");
    const b = grants("b");
    const first = b.onAsk(0, asking.onTick(0, LOST)!, LOST)!;
    const second = b.onAsk(0, asking.onTick(ASK_MS, LOST)!, LOST)!;
    asking.onGrant("b", second);
    asking.onGrant("b", first);
    expect(asking.frozenUntilMs(ASK_MS, OTHERS.slice(0, 1), LOST))
      .toBe(ASK_MS + GRANT_MS - FENCE_MARGIN_MS);
  });

  it("counts for one epoch and one process", () => {
    const asking = grants("a");
    const ask = asking.onTick(0, LOST)!;
    const granted = grants("b").onAsk(0, ask, LOST)!;
    const frozen = (): number => asking.frozenUntilMs(1, OTHERS.slice(0, 1), LOST);
    asking.onGrant("b", { ...granted, epoch: 8 });
    expect(frozen()).toBe(NEVER_MS);
    asking.onGrant("b", { ...granted, incarnation: "another" });
    expect(frozen()).toBe(NEVER_MS);
    asking.onGrant("b", granted);
    expect(frozen()).toBeGreaterThan(1);
  });

  it("binds whoever gives it, for longer than the asking node counts on it", () => {
    const [asking, b] = [grants("a"), grants("b")];
    expect(b.blockedUntilMs).toBe(NEVER_MS);
    const ask = asking.onTick(0, LOST)!;
    const answeredMs = 500; // the same clock, so that the times can be compared
    asking.onGrant("b", b.onAsk(answeredMs, ask, LOST)!);
    expect(b.blockedUntilMs).toBe(answeredMs + GRANT_MS);
    expect(asking.frozenUntilMs(600, OTHERS.slice(0, 1), LOST)).toBeLessThan(b.blockedUntilMs);
    b.onAsk(answeredMs - 1, ask, LOST);
    expect(b.blockedUntilMs).toBe(answeredMs + GRANT_MS);
  });

  it.each<[string, Partial<EtcdState>]>([
    ["who has etcd", { hasEtcd: true }],
    ["whose own proposal may come into force", { hasOpenProposal: true }],
    ["who knows no map", { epoch: 0 }],
  ])("is not given by one %s", (_, changes) => {
    const asked = grants("b");
    expect(asked.onAsk(0, { nonce: 1 }, { ...LOST, ...changes })).toBeNull();
    expect(asked.blockedUntilMs).toBe(NEVER_MS);
  });
});
