import { describe, expect, it } from "vitest";
import {
  FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PART_ID_3,
} from "../../../engine/part/part-layout.ts";
import { compilePolicySet } from "../../../engine/sampling/compile.ts";
import type { PolicyBody, PolicyConfig } from "../../../engine/sampling/policy-config.ts";
import {
  ALWAYS, NEVER, and, compileOne, dropOf, flagged, foldOf, keeps, latency, named, not,
  probabilistic, spanCount, timed,
} from "./policy-builders.ts";

describe("precedence", () => {
  // [drop matches, inverted test is matched, plain policy samples] -> kept; null: no such policy
  it.each<[boolean | null, boolean | null, boolean | null, boolean]>([
    [null, null, false, false], [null, null, true, true],
    [null, false, null, true], [null, true, null, false],
    [null, false, false, false], [null, false, true, true],
    [null, true, false, false], [null, true, true, false],
    [true, null, true, false], [true, false, null, false], [true, true, true, false],
    [false, null, true, true], [false, null, false, false],
    [false, false, null, true], [false, true, true, false],
    [true, null, null, false], [false, null, null, false],
  ])("drop %s, inverted match %s, sample %s: kept %s", (drop, matched, sample, kept) => {
    const policies: PolicyConfig[] = [];
    if (sample !== null) policies.push({ name: "sample", ...(sample ? ALWAYS : NEVER) });
    if (matched !== null) policies.push({ name: "inverted", ...flagged("k", true) });
    if (drop !== null) policies.push(dropOf("drop", drop ? ALWAYS : NEVER));
    expect(keeps(compileOne(...policies), foldOf({ bits0: matched === true ? 1 : 0 }))).toBe(kept);
  });

  it("treats an inverted policy as any other when invert decisions are off", () => {
    const policies: PolicyConfig[] = [
      { name: "inverted", ...flagged("k", true) }, { name: "sample", ...flagged("s") },
    ];
    const sampler = { slot: 0, forwarder: "backend", policies };
    const vetoing = compilePolicySet([sampler]);
    const plain = compilePolicySet([{ ...sampler, invertDecisions: false }]);
    const bothMatched = foldOf({ bits0: 3 }); // rule 2 against rule 3
    expect([keeps(vetoing, bothMatched), keeps(plain, bothMatched)]).toEqual([false, true]);
    const noneMatched = foldOf(); // rule 4: somebody said "not sampled"
    expect([keeps(vetoing, noneMatched), keeps(plain, noneMatched)]).toEqual([false, true]);
    expect(vetoing.hash).not.toBe(plain.hash);
  });

  it("gives an inverted test inside and, not and drop no veto", () => {
    const inverted = flagged("k", true);
    const inAnd = compileOne(
      named("and", and(inverted)), named("all", ALWAYS),
    );
    expect(keeps(inAnd, foldOf({ bits0: 1 }))).toBe(true);
    const inNot = compileOne(named("not", not(inverted)));
    expect([keeps(inNot, foldOf({ bits0: 1 })), keeps(inNot, foldOf())]).toEqual([true, false]);
    const inDrop = compileOne(dropOf("drop", inverted), named("all", ALWAYS));
    expect([keeps(inDrop, foldOf({ bits0: 1 })), keeps(inDrop, foldOf())]).toEqual([true, false]);
  });

  it("wants all sub policies of and, and all of drop", () => {
    const subs = [flagged("a"), flagged("b"), flagged("c")];
    const all = compileOne(named("and", and(...subs)));
    const veto = compileOne(dropOf("drop", ...subs), named("all", ALWAYS));
    for (let bits0 = 0; bits0 < 8; bits0++) {
      expect(keeps(all, foldOf({ bits0 })), `and ${bits0}`).toBe(bits0 === 7);
      expect(keeps(veto, foldOf({ bits0 })), `drop ${bits0}`).toBe(bits0 !== 7);
    }
  });
});

describe("latency", () => {
  const slow = (above: number, upTo?: number): PolicyConfig => named("slow", latency(above, upTo));
  const START = 1_700_000_000_123_456_789n;
  const MS = 1_000_000n;

  it.each<[bigint, boolean]>([
    [0n, false], [500n * MS, false], [501n * MS - 1n, false], [501n * MS, true],
    [60_000n * MS, true], [2n ** 40n * MS, true],
  ])("without an upper bound is exclusive in whole ms: %s ns, kept %s", (duration, kept) => {
    expect(keeps(compileOne(slow(500)), timed(START, START + duration))).toBe(kept);
    expect(keeps(compileOne(slow(500, 0)), timed(START, START + duration))).toBe(kept);
  });

  it.each<[bigint, boolean]>([
    [500n * MS, false], [501n * MS - 1n, false], [501n * MS, true], [900n * MS, true],
    [901n * MS - 1n, true], [901n * MS, false],
  ])("with an upper bound includes that: %s ns, kept %s", (duration, kept) => {
    expect(keeps(compileOne(slow(500, 900)), timed(START, START + duration))).toBe(kept);
  });

  it("is exact where the halves borrow", () => {
    const set = compileOne(slow(0));
    const start = 5n * 2n ** 32n - 1n;
    expect(keeps(set, timed(start, start + MS - 1n))).toBe(false);
    expect(keeps(set, timed(start, start + MS))).toBe(true);
  });

  it("never holds for a trace without a start, or one that ends before it starts", () => {
    const set = compileOne(slow(0));
    expect(keeps(set, timed(0n, START))).toBe(false);
    expect(keeps(set, timed(START, 0n))).toBe(false);
    expect(keeps(set, timed(START, START - 1n))).toBe(false);
    expect(keeps(set, timed(START, START - 2n ** 33n))).toBe(false);
  });

  it("takes thresholds longer than 64 bits of ns can say", () => {
    const longest = timed(1n, 2n ** 64n - 1n);
    expect(keeps(compileOne(slow(Number.MAX_SAFE_INTEGER)), longest)).toBe(false);
    expect(keeps(compileOne(slow(0, Number.MAX_SAFE_INTEGER)), longest)).toBe(true);
  });
});

describe("span_count and status_code", () => {
  it("count inclusively, 0 as no bound", () => {
    const kept = (min_spans: number, max_spans: number): number[] => {
      const set = compileOne(named("n", spanCount(min_spans, max_spans)));
      return [1, 2, 3, 4, 2 ** 32 - 1].filter((spans) => keeps(set, foldOf({ spans })));
    };
    expect(kept(2, 3)).toEqual([2, 3]);
    expect(kept(3, 0)).toEqual([3, 4, 2 ** 32 - 1]);
    expect(kept(0, 2)).toEqual([1, 2]);
  });

  it("look for any span of any listed status", () => {
    const set = compileOne({
      name: "status", type: "status_code", status_code: { status_codes: ["ERROR", "UNSET"] },
    });
    expect(keeps(set, foldOf({ flags: FLAG_STATUS_OK }))).toBe(false);
    expect(keeps(set, foldOf({ flags: FLAG_STATUS_OK | FLAG_STATUS_UNSET }))).toBe(true);
    expect(keeps(set, foldOf({ flags: FLAG_STATUS_ERROR }))).toBe(true);
    expect(keeps(set, foldOf({ flags: 1 }))).toBe(false); // FLAG_ROOT
  });
});

describe("the probabilistic policy", () => {
  it("keeps all at 100 % and, but for a hash of 0, nothing at 0 %", () => {
    const all = compileOne({ name: "p", ...probabilistic(100) });
    const none = compileOne({ name: "p", ...probabilistic(0) });
    for (let id = 1; id < 200; id++) {
      const fold = foldOf();
      fold[PART_ID_3] = id;
      expect([keeps(all, fold), keeps(none, fold)]).toEqual([true, false]);
    }
  });
});

describe("settling early", () => {
  const always = named("all", ALWAYS);

  it("needs a drop that matches, by tests that cannot turn", () => {
    const set = compileOne(dropOf("drop", flagged("a"), flagged("b")), always);
    expect(set.canSettleEarly(foldOf({ bits0: 1 }), 0, 0)).toBe(false);
    expect(set.canSettleEarly(foldOf({ bits0: 3 }), 0, 0)).toBe(true);
    expect(compileOne(always).canSettleEarly(foldOf(), 0, 0)).toBe(false);
  });

  it.each<[string, PolicyBody, boolean]>([
    ["an upper bound of spans", spanCount(0, 5), false],
    ["a lower bound of spans", spanCount(1, 0), true],
    ["a missing attribute", flagged("k", true), false],
    ["a share of ids", probabilistic(100), true],
    ["more spans than", not(spanCount(0, 1)), true],
    ["no errors", not({ type: "status_code", status_code: { status_codes: ["ERROR"] } }), false],
  ])("of a drop by %s", (_, body, settles) => {
    const set = compileOne(dropOf("drop", body), always);
    const fold = foldOf({ spans: 3 });
    expect(keeps(set, fold)).toBe(false);
    expect(set.canSettleEarly(fold, 0, 0)).toBe(settles);
  });

  it("settles a latency drop only without an upper bound", () => {
    const fold = timed(1n, 10_000_000n);
    const open = compileOne(dropOf("drop", latency(2)), always);
    const closed = compileOne(dropOf("drop", latency(2, 20)), always);
    expect([keeps(open, fold), keeps(closed, fold)]).toEqual([false, false]);
    expect(open.canSettleEarly(fold, 0, 0)).toBe(true);
    expect(closed.canSettleEarly(fold, 0, 0)).toBe(false);
  });

  it("is also for an inverted policy that met its match, unless invert decisions are off", () => {
    const policies = [named("i", flagged("k", true)), always];
    const sampler = { slot: 0, forwarder: "f", policies };
    const matched = foldOf({ bits0: 1 });
    expect(compilePolicySet([sampler]).canSettleEarly(matched, 0, 0)).toBe(true);
    expect(compilePolicySet([sampler]).canSettleEarly(foldOf(), 0, 0)).toBe(false);
    const plain = compilePolicySet([{ ...sampler, invertDecisions: false }]);
    expect(plain.canSettleEarly(matched, 0, 0)).toBe(false);
  });
});
