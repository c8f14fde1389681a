import { describe, expect, it } from "vitest";
import { shardOf } from "../../../engine/hash/shard-of.ts";
import { hashTraceId } from "../../../engine/hash/trace-hash.ts";
import {
  DecisionMemory, FINGERPRINT, FULL, UNKNOWN, shardOfFingerprint,
} from "../../../engine/traces/decision-memory.ts";
import {
  MEMORY_AT_S, MEMORY_DURATION_US, MEMORY_REASON, MEMORY_SINCE_MS, MEMORY_SPANS,
  MEMORY_VOTES_0, MEMORY_WORDS,
} from "../../../engine/traces/memory-layout.ts";
import { Random } from "../../support/random.ts";
import { buildDecision, buildPart, type DecisionFacts } from "./table-builders.ts";

interface Size { fullMax: number; fullMs: number; bytes: number }

const build = (options: Partial<Size> = {}, seed = 0x5eed) =>
  new DecisionMemory({
    fullMax: options.fullMax ?? 10, fullMs: options.fullMs ?? 1_000,
    fingerprintBytes: options.bytes ?? 4_000, seed,
  });

const remember = (memory: DecisionMemory, trace: number, facts: DecisionFacts = {}, nowMs = 0) =>
  memory.remember(buildDecision(trace, facts), 0, nowMs);

const lookup = (memory: DecisionMemory, trace: number) => memory.lookup(buildPart(trace), 0);

/** Hash and check of a trace's fingerprint, as u32 like those that come from a log or a node. */
function fingerprintOf(memory: DecisionMemory, trace: number): [hash: number, check: number] {
  const words = buildPart(trace);
  return [hashTraceId(words, 0, memory.seed) >>> 0, memory.checkOf(words, 0) >>> 0];
}

describe("a remembered decision", () => {
  it("is found in full with everything it said, at any offset", () => {
    const memory = build();
    const decision = buildDecision(7, {
      decided: 0x8001, keep: 0x8002, votes: [1, 0x80000000, 3, 4], trigger: 2, policySet: 9,
      flags: 3, atS: 0xfffffff0, spans: 12, durationUs: 345,
    });
    const words = new Uint32Array(40);
    words.set(decision, 5);
    memory.remember(words, 5, 10);
    expect(memory.lookup(words, 5)).toBe(FULL);
    expect([...memory.found.subarray(0, MEMORY_SINCE_MS)])
      .toEqual([...decision.subarray(0, MEMORY_SINCE_MS)]);
    expect(memory.decidedMask).toBe(0x8001);
    expect(memory.keepMask).toBe(0x8002);
    expect(lookup(memory, 8)).toBe(UNKNOWN);
  });

  it("must decide something", () => {
    expect(() => remember(build(), 1, { decided: 0 })).toThrow("decides something");
  });

  it("starts from what the row says", () => {
    const memory = build();
    memory.draft.fill(0xffffffff);
    memory.beginDraft(buildPart([1, 2, 3, 4], {
      start: 0x17d0_ffff_ffff_ff00n, end: 0x17d1_0000_0000_0000n + 5_000_000n, spans: 9,
    }), 0);
    const expected = new Uint32Array(MEMORY_WORDS);
    expected.set([1, 2, 3, 4]);
    expected[MEMORY_SPANS] = 9;
    expected[MEMORY_DURATION_US] = Math.floor((5_000_000 + 0x100) / 1000);
    expect([...memory.draft]).toEqual([...expected]);
  });

  it.each([
    ["no start", 0n, 5n, 0],
    ["an end before its start", 9_000n, 5_000n, 0],
    ["two hours", 1n, 1n + 7_200_000_000_000n, 0xffffffff],
    ["999 ns", 1n, 1_000n, 0],
  ])("has a duration also with %s", (_what, start, end, durationUs) => {
    const memory = build();
    memory.beginDraft(buildPart(1, { start, end }), 0);
    expect(memory.draft[MEMORY_DURATION_US]).toBe(durationUs);
  });
});

describe("two decisions on one trace", () => {
  it("merge: what is decided stays decided, keep wins over drop", () => {
    const memory = build();
    remember(memory, 1, { decided: 0b0001, keep: 0b0000, votes: [0b01], spans: 5, atS: 50 });
    remember(memory, 1, {
      decided: 0b0010, keep: 0b0010, votes: [0b10, 0x80000000], trigger: 9, flags: 1, spans: 3,
      durationUs: 8, atS: 60,
    });
    remember(memory, 1, { decided: 0b0001, keep: 0b0001, flags: 2, spans: 6, atS: 55 });
    expect(lookup(memory, 1)).toBe(FULL);
    expect([memory.decidedMask, memory.keepMask]).toEqual([0b0011, 0b0011]);
    expect([...memory.found.subarray(MEMORY_VOTES_0, MEMORY_VOTES_0 + 2)]).toEqual([3, 0x80000000]);
    expect(memory.found[MEMORY_REASON]).toBe(1 | (3 << 16));
    expect(memory.found[MEMORY_AT_S]).toBe(60);
    expect([memory.found[MEMORY_SPANS], memory.found[MEMORY_DURATION_US]]).toEqual([6, 8]);
    expect(memory.full.count).toBe(1);
  });

  it("keep trigger and time of the first when the second adds nothing", () => {
    const memory = build();
    remember(memory, 1, { decided: 3, keep: 1, trigger: 2, atS: 50, spans: 5 });
    remember(memory, 1, { decided: 1, keep: 0, trigger: 8, atS: 90, spans: 9 });
    lookup(memory, 1);
    expect(memory.found[MEMORY_REASON]! & 0xff).toBe(2);
    expect([memory.found[MEMORY_AT_S], memory.found[MEMORY_SPANS]]).toEqual([50, 5]);
  });

  it("never mix votes of two policy sets: the younger that voted wins", () => {
    const memory = build();
    remember(memory, 1, { policySet: 1, votes: [1, 2, 3, 4] });
    remember(memory, 1, { decided: 2, policySet: 2, votes: [] });
    lookup(memory, 1);
    expect([...memory.found.subarray(MEMORY_VOTES_0, MEMORY_VOTES_0 + 4)]).toEqual([1, 2, 3, 4]);
    expect((memory.found[MEMORY_REASON]! >>> 8) & 0xff).toBe(1);
    remember(memory, 1, { decided: 4, policySet: 3, votes: [0, 0, 0, 8] });
    lookup(memory, 1);
    expect([...memory.found.subarray(MEMORY_VOTES_0, MEMORY_VOTES_0 + 4)]).toEqual([0, 0, 0, 8]);
    expect((memory.found[MEMORY_REASON]! >>> 8) & 0xff).toBe(3);
  });
});

describe("growing old", () => {
  it("turns a decision into a fingerprint after fullMs, with its masks", () => {
    const memory = build({ fullMs: 1_000 });
    remember(memory, 1, { decided: 0xffff, keep: 0x8001, votes: [1] }, 100);
    remember(memory, 2, {}, 101);
    expect(memory.age(1_099, 10)).toBe(0);
    expect(memory.age(1_100, 10)).toBe(1);
    expect(lookup(memory, 1)).toBe(FINGERPRINT);
    expect([memory.decidedMask, memory.keepMask]).toEqual([0xffff, 0x8001]);
    expect([...memory.found.subarray(0, 4)]).toEqual([0, 0, 0, 1]);
    expect(memory.found[MEMORY_VOTES_0]).toBe(0);
    expect(lookup(memory, 2)).toBe(FULL);
    expect([memory.demotedTotal, memory.demotedEarlyTotal]).toEqual([1, 0]);
  });

  it("does no more than its quota at a time", () => {
    const memory = build();
    for (let trace = 1; trace <= 9; trace++) remember(memory, trace);
    expect(memory.age(5_000, 4)).toBe(4);
    expect(memory.full.count).toBe(5);
    expect(memory.age(5_000, 100)).toBe(5);
    expect(memory.age(5_000, 100)).toBe(0);
  });

  it("goes on across the wrap of the millisecond clock", () => {
    const memory = build({ fullMs: 1_000 });
    remember(memory, 1, {}, 2 ** 32 - 400);
    expect(memory.age(2 ** 32 + 500, 10)).toBe(0);
    expect(memory.age(599, 10)).toBe(0);
    expect(memory.age(600, 10)).toBe(1);
  });

  it("comes early, and is counted, when more than fullMax are remembered", () => {
    const memory = build({ fullMax: 3 });
    for (let trace = 1; trace <= 5; trace++) remember(memory, trace, { keep: trace });
    expect([1, 2, 3, 4, 5].map((trace) => lookup(memory, trace)))
      .toEqual([FINGERPRINT, FINGERPRINT, FULL, FULL, FULL]);
    expect(memory.demotedEarlyTotal).toBe(2);
    lookup(memory, 2);
    expect(memory.keepMask).toBe(2);
  });

  it("ends by making room for younger fingerprints, and is counted", () => {
    const memory = build({ fullMax: 1, bytes: 1_500 });
    const { entriesMax } = memory.fingerprints;
    for (let trace = 1; trace <= entriesMax + 4; trace++) remember(memory, trace);
    expect(memory.evictedTotal).toBe(3);
    expect([1, 2, 3].map((trace) => lookup(memory, trace))).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
    expect(lookup(memory, 4)).toBe(FINGERPRINT);
    expect(memory.fingerprints.count).toBe(entriesMax);
  });

  it("keeps both when a trace known by its fingerprint is decided again", () => {
    const memory = build();
    remember(memory, 1, { decided: 1, keep: 0x100 }, 0);
    memory.age(2_000, 10);
    remember(memory, 1, { decided: 2, keep: 0x200 }, 2_000);
    expect(lookup(memory, 1)).toBe(FULL);
    expect([memory.decidedMask, memory.keepMask]).toEqual([3, 0x300]);
    memory.age(4_000, 10);
    expect(lookup(memory, 1)).toBe(FINGERPRINT);
    expect([memory.decidedMask, memory.keepMask]).toEqual([3, 0x300]);
    expect(memory.fingerprints.count).toBe(1);
    expect(memory.evictedTotal).toBe(0);
  });

  it("touches little memory while few decisions are live at once", () => {
    const memory = build({ fullMax: 10_000, fullMs: 5 });
    for (let trace = 1; trace <= 5_000; trace++) {
      remember(memory, trace, {}, trace);
      memory.age(trace, 10);
    }
    expect(memory.full.touched).toBeLessThanOrEqual(6);
  });

  it("forgets the fingerprint at once when no slot of the index takes it, and counts", () => {
    const memory = build({ bytes: 20_000 });
    for (let check = 0; check < 300; check++) memory.fingerprints.put(5, check, 1);
    expect(memory.fingerprints.count).toBe(256);
    expect(memory.evictedTotal).toBe(44);
    expect(memory.fingerprints.find(5, 255)).not.toBe(0);
    expect(memory.fingerprints.find(5, 256)).toBe(0);
  });
});

describe("a fingerprint", () => {
  it("says the shard of its trace, and 20 more bits that depend on the seed", () => {
    const random = Random.fromEnvironment();
    console.log(`fingerprint seed ${random.seed} (TAILRACE_SEED repeats it)`);
    const memory = build();
    const other = build({}, 0x5eee);
    let same = 0;
    let secretBits = 0;
    for (let trace = 0; trace < 2_000; trace++) {
      const words = Uint32Array.from({ length: 7 }, () => random.word());
      const check = memory.checkOf(words, 3);
      expect(check).toBe(check | 0);
      expect(shardOfFingerprint(check)).toBe(shardOf(words, 3));
      expect(shardOfFingerprint(check >>> 0)).toBe(shardOf(words, 3));
      expect(shardOfFingerprint(other.checkOf(words, 3))).toBe(shardOf(words, 3));
      if (other.checkOf(words, 3) === check) same++;
      secretBits |= check;
    }
    expect(same).toBeLessThan(10); // 0.002 are to be expected
    expect(secretBits | 0).toBe(-1);
  });

  it("can be taken in alone, and merges with the one that is there", () => {
    const memory = build();
    const [hash, check] = fingerprintOf(memory, 7);
    memory.loadFingerprint(hash, check, (0x4000_0001 | (0x8000 << 16)) >>> 0);
    expect(lookup(memory, 7)).toBe(FINGERPRINT);
    expect([memory.decidedMask, memory.keepMask]).toEqual([1, 0xc000]);
    memory.loadFingerprint(hash | 0, check | 0, 2);
    expect(lookup(memory, 7)).toBe(FINGERPRINT);
    expect([memory.decidedMask, memory.keepMask]).toEqual([3, 0xc000]);
    expect(memory.fingerprints.count).toBe(1);
    expect(lookup(memory, 8)).toBe(UNKNOWN);
    expect(memory.conflicts).toBe(0);
  });

  it("can be taken in when its trace is remembered in full, which then knows its masks", () => {
    const memory = build();
    remember(memory, 7, { decided: 1, keep: 1 });
    memory.loadFingerprint(...fingerprintOf(memory, 7), 2 | (2 << 16));
    const check = () => {
      expect([memory.decidedMask, memory.keepMask]).toEqual([3, 3]);
    };
    expect(lookup(memory, 7)).toBe(FULL);
    check();
    // The ring turns over: the fingerprint is gone, the decision in full is not.
    const turn = memory.fingerprints.entriesMax;
    for (let other = 1; other <= turn; other++) memory.loadFingerprint(other, other, 1);
    expect(memory.evictedTotal).toBe(1);
    expect(lookup(memory, 7)).toBe(FULL);
    check();
    memory.age(5_000, 10);
    expect(lookup(memory, 7)).toBe(FINGERPRINT);
    check();
  });

  it("is not taken for that of a trace in full with the same hash", () => {
    const memory = build();
    remember(memory, 7, { decided: 1 });
    const [hash, check] = fingerprintOf(memory, 7);
    memory.loadFingerprint(hash, check ^ 1, 2);
    memory.loadFingerprint(hash, (check ^ (1 << 20)) >>> 0, 4);
    memory.loadFingerprint((hash ^ 1) >>> 0, check, 8);
    lookup(memory, 7);
    expect([memory.decidedMask, memory.fingerprints.count]).toEqual([1, 3]);
  });

  it("decides something", () => {
    const memory = build();
    expect(() => memory.loadFingerprint(1, 2, 0)).toThrow("decides something");
  });
});

describe("two decisions that differ", () => {
  const KEEP = { decided: 1, keep: 1 };
  const DROP = { decided: 1, keep: 0 };
  const cases: [string, (memory: DecisionMemory, facts: typeof KEEP) => void][] = [
    ["remembered", (memory, facts) => remember(memory, 1, facts)],
    ["of an earlier run", (memory, facts) => {
      memory.loadEntry(buildDecision(1, { ...facts, atS: 1_000 }), 0, 0, 1_000);
    }],
    ["of an earlier run, too old for full", (memory, facts) => {
      memory.loadEntry(buildDecision(1, { ...facts, atS: 1 }), 0, 0, 1_000);
    }],
    ["a fingerprint", (memory, { decided, keep }) => {
      memory.loadFingerprint(...fingerprintOf(memory, 1), decided | (keep << 16));
    }],
  ];

  it.each(cases)("are counted when the second is %s, once, and keep wins", (_what, tell) => {
    for (const [first, second] of [[KEEP, DROP], [DROP, KEEP]] as const) {
      for (const aged of [false, true]) {
        const memory = build();
        remember(memory, 1, first);
        if (aged) memory.age(5_000, 10);
        tell(memory, first);
        expect(memory.conflicts).toBe(0);
        if (aged) memory.age(10_000, 10);
        tell(memory, second);
        expect(memory.conflicts).toBe(1);
        expect(lookup(memory, 1)).not.toBe(UNKNOWN);
        expect([memory.decidedMask, memory.keepMask]).toEqual([1, 1]);
        memory.age(15_000, 10);
        expect(lookup(memory, 1)).toBe(FINGERPRINT);
        expect([memory.decidedMask, memory.keepMask]).toEqual([1, 1]);
        expect(memory.conflicts).toBe(1);
      }
    }
  });


  it.each([
    ["of two samplers", { decided: 1, keep: 1 }, { decided: 2, keep: 0 }],
    ["for a forwarder without a sampler", { decided: 1, keep: 0x8001 }, { decided: 1, keep: 1 }],
    ["that are the same", { decided: 0xffff, keep: 0xffff }, { decided: 0xffff, keep: 0xffff }],
    ["where only one side has decided", { decided: 1, keep: 2 }, { decided: 3, keep: 0 }],
  ])("are not those %s", (_what, first, second) => {
    for (const [one, other] of [[first, second], [second, first]] as const) {
      const memory = build();
      remember(memory, 1, one);
      remember(memory, 1, other);
      expect(memory.conflicts).toBe(0);
    }
  });

  it("are found in the highest sampler too", () => {
    const memory = build();
    remember(memory, 1, { decided: 0x8000, keep: 0x8000 });
    remember(memory, 1, { decided: 0x8000, keep: 0 });
    expect(memory.conflicts).toBe(1);
  });
});

describe("its size", () => {
  it("is 64 bytes a decision and 12 a fingerprint, with an index of 6 bytes each", () => {
    const fullMax = 100_000;
    const memory = build({ fullMax, bytes: 1_000_000 });
    expect(memory.full.bytes()).toBeLessThan(fullMax * 70 + 4_096);
    expect(memory.fingerprints.bytes()).toBeLessThanOrEqual(1_000_000);
    expect(memory.fingerprints.entriesMax).toBeGreaterThan(1_000_000 / 18);
    expect(memory.bytes()).toBeLessThanOrEqual(DecisionMemory.bytesFor(fullMax, 1_000_000));
  });

  it("has limits", () => {
    expect(() => build({ fullMax: 0 })).toThrow("in full");
    expect(() => build({ fullMax: 2 ** 24 })).toThrow("FULL_MAX");
    expect(() => build({ fullMs: 2 ** 31 })).toThrow("an age");
    expect(build({ bytes: 0 }).fingerprints.entriesMax).toBe(1);
  });
});
