import { expect, it } from "vitest";
import { DECISION_TICK_MS } from "../../../config/limits.ts";
import { LaneClock } from "../../../engine/lane/lane-clock.ts";

const WAITS_MS = [0, 1, 1_234, 30_000];
/** Between the two looks at clocks of one tick(). */
const APART_MS = 50;

it("has its decision ticks when the wall clock has them, whatever the longest wait", () => {
  for (const waitMs of WAITS_MS) {
    const clock = new LaneClock(waitMs);
    const apart = (clock.nowMs - clock.wallMs) % DECISION_TICK_MS;
    const fromTick = Math.min(Math.abs(apart), DECISION_TICK_MS - Math.abs(apart));
    expect(fromTick).toBeLessThan(APART_MS);
    expect(clock.nowMs).toBeGreaterThan(waitMs);
  }
});
