import { describe, expect, it } from "vitest";
import {
  decideUntilMs, FENCE_MARGIN_MS, FROZEN_MAX_MS, type FenceInput,
} from "../../../engine/cluster/fence.ts";
import { NEVER_MS } from "../../../engine/cluster/lease-keeper.ts";

const TTL_MS = 10_000;
const HELD: FenceInput = {
  acknowledgedSentMs: 50_000, leaseTtlMs: TTL_MS, isMember: true, grantedUntilMs: NEVER_MS,
};

describe("a node may decide", () => {
  it("until its lease could have ended, less the margin, counted from when it was renewed", () => {
    expect(decideUntilMs(HELD)).toBe(50_000 + TTL_MS - FENCE_MARGIN_MS);
  });

  it("longer while the map is frozen, and no shorter by grants that end before", () => {
    expect(decideUntilMs({ ...HELD, grantedUntilMs: 90_000 })).toBe(90_000);
    expect(decideUntilMs({ ...HELD, grantedUntilMs: 55_000 })).toBe(decideUntilMs(HELD));
  });

  it("by a frozen map only for so long", () => {
    const until = decideUntilMs({ ...HELD, grantedUntilMs: Number.MAX_SAFE_INTEGER });
    expect(until).toBe(50_000 + FROZEN_MAX_MS);
  });
});

describe("a node decides nothing", () => {
  it("while the map in force is without it", () => {
    expect(decideUntilMs({ ...HELD, isMember: false, grantedUntilMs: 90_000 })).toBe(NEVER_MS);
  });

  it("without a lease, whatever others grant", () => {
    const lost = { ...HELD, acknowledgedSentMs: NEVER_MS, leaseTtlMs: 0 };
    expect(decideUntilMs({ ...lost, grantedUntilMs: 90_000 })).toBe(NEVER_MS);
  });
});
