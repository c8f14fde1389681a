import { describe, expect, it } from "vitest";
import { RETURN_PAUSE_MAX_MS, ReturnPause } from "../../../engine/cluster/return-pause.ts";

const TTL_MS = 10_000;

describe("a node that was taken out", () => {
  it("stays away for more than a TTL, then until it reaches the others", () => {
    const pause = new ReturnPause(TTL_MS);
    expect(pause.mayReturn(0, false)).toBe(true); // nobody took it out
    expect(pause.isOut).toBe(false);
    const pauseMs = pause.takenOut(1_000);
    expect(pauseMs).toBeGreaterThan(TTL_MS + 2_000);
    expect(pause.isOut).toBe(true);
    expect(pause.mayReturn(1_000 + pauseMs - 1, true)).toBe(false);
    expect(pause.mayReturn(1_000 + pauseMs, true)).toBe(true);
    expect(pause.mayReturn(1_000 + pauseMs, false)).toBe(false);
    expect(pause.mayReturn(1_000 + RETURN_PAUSE_MAX_MS, false)).toBe(true);
  });

  it("stays away for twice as long each time, up to a bound", () => {
    const pause = new ReturnPause(TTL_MS);
    const pauses: number[] = [];
    let nowMs = 0;
    for (let time = 0; time < 10; time++) {
      const pauseMs = pause.takenOut(nowMs);
      pauses.push(pauseMs);
      nowMs += pauseMs;
      pause.registered(nowMs);
      nowMs += 30_000;
    }
    expect(pauses.slice(0, 3)).toEqual([15_000, 30_000, 60_000]);
    expect(pauses.at(-1)).toBe(RETURN_PAUSE_MAX_MS);
  });

  it("begins with the first pause again when it was well for long", () => {
    const pause = new ReturnPause(TTL_MS);
    const firstMs = pause.takenOut(0);
    pause.registered(firstMs);
    expect(pause.takenOut(firstMs + RETURN_PAUSE_MAX_MS - 1)).toBe(2 * firstMs);
    pause.registered(1_000_000);
    expect(pause.takenOut(1_000_000 + RETURN_PAUSE_MAX_MS)).toBe(firstMs);
  });

  it("and came back is as any other: a lease that it loses needs no pause", () => {
    const pause = new ReturnPause(TTL_MS);
    pause.registered(20_000 + pause.takenOut(0));
    expect(pause.isOut).toBe(false);
    expect(pause.mayReturn(40_000, false)).toBe(true);
  });
});
