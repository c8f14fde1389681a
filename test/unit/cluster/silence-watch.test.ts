import { describe, expect, it } from "vitest";
import { SilenceWatch } from "../../../engine/cluster/silence-watch.ts";

/** A watch of one member, looked at every second. */
class Looked {
  readonly watch = new SilenceWatch();
  nowMs = 50_000;

  look(isWaitedFor: boolean, progress = "0", passedMs = 1_000): number | null {
    this.nowMs += passedMs;
    this.watch.look([{ incarnation: "x", isWaitedFor, progress }], this.nowMs);
    return this.watch.waitedMs("x", this.nowMs);
  }
}

describe("a member", () => {
  it("is silent from the first look on at which it was waited for", () => {
    const looked = new Looked();
    expect(looked.look(false)).toBeNull();
    expect(looked.look(true)).toBe(0);
    expect(looked.look(true)).toBe(1_000);
    expect(looked.look(true)).toBe(2_000);
    expect(looked.watch.waitedMs("y", looked.nowMs)).toBeNull();
  });

  it("is not silent while it makes progress", () => {
    const looked = new Looked();
    for (let step = 0; step < 100; step++) {
      expect(looked.look(true, String(step >> 2))).toBeLessThanOrEqual(3_000);
    }
  });

  it("begins anew when it was not waited for, or is another process", () => {
    const looked = new Looked();
    looked.look(true);
    expect(looked.look(true)).toBe(1_000);
    expect(looked.look(false)).toBeNull();
    expect(looked.look(true)).toBe(0);
    looked.watch.look([], looked.nowMs + 1_000);
    expect(looked.watch.waitedMs("x", looked.nowMs + 1_000)).toBeNull();
  });

  it("is not silent for the time that this thread stood still", () => {
    const looked = new Looked();
    looked.look(true);
    looked.look(true);
    expect(looked.look(true, "0", 600_000)).toBe(1_000);
    expect(looked.look(true)).toBe(2_000);
  });
});
