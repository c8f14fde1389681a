import { expect, it } from "vitest";
import { EarlyBudget } from "../../../engine/lane/early-budget.ts";

it("grants each lane its share of what is too much, and what comes in, then waits for its effect",
  () => {
    const budget = new EarlyBudget(4);
    expect(budget.bytesAt(0, 0)).toBe(0);
    expect(budget.bytesAt(10, 4000)).toBe(1000);
    budget.spend(700);
    expect(budget.bytesAt(20, 4000)).toBe(300);
    budget.spend(900);
    expect(budget.bytesAt(30, 4000)).toBe(0);
    budget.stored(800);
    expect(budget.bytesAt(40, 4000)).toBe(600);
    budget.spend(600);
    expect(budget.bytesAt(509, 4000)).toBe(0);
    expect(budget.bytesAt(510, 2000)).toBe(500);
    expect(budget.bytesAt(520, 0)).toBe(0);
    budget.stored(50);
    expect(budget.bytesAt(530, 0)).toBe(0);
  });
