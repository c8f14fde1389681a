import { describe, expect, it } from "vitest";
import { encodeSuffix } from "../../../../engine/wire/otlp-proto/suffix.ts";
import { readAttributes } from "../../../support/otlp-builder.ts";
import { readFields } from "../../../support/proto-wire.ts";

describe("encodeSuffix", () => {
  it("says which policy kept the span, at what rate and when", () => {
    const suffix = encodeSuffix({
      policy: "errors först", sampleRate: 12.5, trigger: "root", incompleteReason: null,
    });
    expect(readFields(suffix).every(({ field, wireType }) => field === 9 && wireType === 2))
      .toBe(true);
    expect(readAttributes(readFields(suffix), 9)).toEqual({
      "tailrace.policy": "errors först", "tailrace.sample_rate": { double: 12.5 },
      "tailrace.trigger": "root",
    });
  });

  it("says why a trace was judged on part of its spans", () => {
    const suffix = encodeSuffix({
      policy: "p", sampleRate: 1, trigger: "late_span", incompleteReason: "decision_forgotten",
    });
    expect(readAttributes(readFields(suffix), 9)).toEqual({
      "tailrace.policy": "p", "tailrace.sample_rate": { double: 1 },
      "tailrace.trigger": "late_span", "tailrace.complete": false,
      "tailrace.incomplete_reason": "decision_forgotten",
    });
  });

  it("takes names of any size", () => {
    for (const size of [0, 100, 127, 128, 200, 20_000]) {
      const policy = "p".repeat(size);
      const suffix = encodeSuffix({ policy, sampleRate: 1, trigger: "", incompleteReason: null });
      expect(readAttributes(readFields(suffix), 9)["tailrace.policy"]).toBe(policy);
    }
  });
});
