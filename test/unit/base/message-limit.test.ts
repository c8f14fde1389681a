import { describe, expect, it } from "vitest";
import {
  LINES_PER_PERIOD, MESSAGES_MAX, MessageLimit, PERIOD_MS, SUPPRESSED,
} from "../../../engine/base/message-limit.ts";

function limitAt(): { limit: MessageLimit; clock: { nowMs: number } } {
  const clock = { nowMs: 1_000 };
  const limit = new MessageLimit({ monotonicMs: () => clock.nowMs, wallMs: () => 0 });
  return { limit, clock };
}

function admit(limit: MessageLimit, message: string, times: number): number[] {
  return Array.from({ length: times }, () => limit.admit(message));
}

describe("a message", () => {
  it("goes out so many times a period, and the next one tells how many did not", () => {
    const { limit, clock } = limitAt();
    const first = admit(limit, "full", LINES_PER_PERIOD + 7);
    expect(first).toEqual([
      ...new Array<number>(LINES_PER_PERIOD).fill(0), ...new Array<number>(7).fill(SUPPRESSED),
    ]);
    clock.nowMs += PERIOD_MS - 1;
    expect(limit.admit("full")).toBe(SUPPRESSED);
    clock.nowMs += 1;
    expect(admit(limit, "full", 2)).toEqual([8, 0]);
  });

  it("does not silence another one", () => {
    const { limit } = limitAt();
    admit(limit, "full", 100);
    expect(limit.admit("other")).toBe(0);
  });

  it("that nobody repeats is told of at the end, once", () => {
    const { limit } = limitAt();
    admit(limit, "full", LINES_PER_PERIOD + 3);
    expect(limit.unsaid()).toEqual([{ message: "full", suppressed: 3 }]);
    expect(limit.unsaid()).toEqual([]);
  });
});

describe("messages beyond the number remembered", () => {
  it("share one place, and their lines are counted", () => {
    const { limit } = limitAt();
    for (let n = 0; n < MESSAGES_MAX; n++) limit.admit(`message ${n}`);
    const answers = Array.from({ length: 50 }, (_, n) => limit.admit(`more ${n}`));
    expect(answers.filter((answer) => answer === 0)).toHaveLength(LINES_PER_PERIOD);
    expect(limit.unsaid()).toEqual([{ message: "", suppressed: 50 - LINES_PER_PERIOD }]);
    expect(limit.admit("message 0")).toBe(0);
  });

  it("take the place of those not heard of for a period", () => {
    const { limit, clock } = limitAt();
    for (let n = 0; n < MESSAGES_MAX; n++) limit.admit(`message ${n}`);
    clock.nowMs += PERIOD_MS;
    const answers = Array.from({ length: 100 }, (_, n) => limit.admit(`more ${n}`));
    expect(answers).toEqual(new Array<number>(100).fill(0));
  });
});
