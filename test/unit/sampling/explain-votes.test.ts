import { describe, expect, it } from "vitest";
import {
  DECISION_INCOMPLETE, DECISION_LATE, TRIGGER_NAMES, TRIGGER_ROOT, TRIGGER_WAIT, VOTE_WORDS,
} from "../../../engine/part/decision-layout.ts";
import { PART_WORDS } from "../../../engine/part/part-layout.ts";
import { compilePolicySet } from "../../../engine/sampling/compile.ts";
import { explainDecision, triggerName } from "../../../engine/sampling/explain-votes.ts";
import { dropOf, flagged, named, probabilistic } from "./policy-builders.ts";

const SET = compilePolicySet([
  { slot: 1, forwarder: "apm", policies: [
    named("error", flagged("error")), dropOf("probes", flagged("probe")),
    named("tenth", probabilistic(10)), dropOf("bots", flagged("bot")),
  ] },
  { slot: 4, forwarder: "archive", policies: [named("internal", flagged("internal", true))] },
]);

function explain(votes: number, masks: number, reason: number = TRIGGER_WAIT) {
  const words = Uint32Array.of(7, votes, 0, 0, 0);
  return explainDecision(SET, { masks, votes: words, votesAt: 1, reason });
}

describe("an explained decision", () => {
  it("lists every policy of a sampler that kept the trace, and the one it is attributed to", () => {
    const explained = explain(0b10101, 0x0012_0012, TRIGGER_ROOT);
    expect(explained).toMatchObject({ trigger: "root", late: false, incomplete: false });
    expect(explained.samplers).toEqual([
      {
        forwarder: "apm", decided: true, kept: true, policy: "error", sampleRate: 1,
        votes: [
          { policy: "error", sampled: true, vote: "sampled" },
          { policy: "probes", sampled: false, vote: "not_sampled" },
          { policy: "tenth", sampled: true, vote: "sampled" },
          { policy: "bots", sampled: false, vote: "not_sampled" },
        ],
      },
      {
        forwarder: "archive", decided: true, kept: true, policy: "internal", sampleRate: 1,
        votes: [{ policy: "internal", sampled: true, vote: "inverted_sampled" }],
      },
    ]);
    const [apm] = explain(0b00100, 0x0002_0002).samplers;
    expect(apm).toMatchObject({ policy: "tenth", sampleRate: 10 });
  });

  it("says which drop it was, and that nothing after it was asked", () => {
    const [apm] = explain(0b01000, 0x0000_0002).samplers;
    expect(apm).toEqual({
      forwarder: "apm", decided: true, kept: false, policy: null, sampleRate: null,
      votes: [
        { policy: "error", sampled: false, vote: "not_evaluated" },
        { policy: "probes", sampled: false, vote: "not_sampled" },
        { policy: "tenth", sampled: false, vote: "not_evaluated" },
        { policy: "bots", sampled: false, vote: "dropped" },
      ],
    });
    const [first] = explain(0b00010, 0x0000_0002).samplers;
    expect(first!.votes.map(({ vote }) => vote))
      .toEqual(["not_evaluated", "dropped", "not_evaluated", "not_evaluated"]);
  });

  it("says nothing for a sampler that has not decided", () => {
    const [apm, archive] = explain(0, 0x0000_0010).samplers;
    expect(apm).toEqual({
      forwarder: "apm", decided: false, kept: false, policy: null, sampleRate: null, votes: [],
    });
    expect(archive!.votes).toEqual([
      { policy: "internal", sampled: false, vote: "inverted_not_sampled" },
    ]);
  });

  it("reads what evaluate wrote", () => {
    const words = new Uint32Array(PART_WORDS);
    words[8] = 0b001; // error
    const votes = new Uint32Array(VOTE_WORDS);
    const keep = SET.evaluate(words, 0, 1, votes);
    const masks = (keep << 17) | (1 << 1);
    const [apm] = explainDecision(SET, { masks, votes, votesAt: 0, reason: TRIGGER_WAIT }).samplers;
    expect(apm).toMatchObject({ decided: true, kept: true, policy: "error" });
  });

  it("names triggers and flags, and unknown ones as such", () => {
    const flags = (DECISION_LATE | DECISION_INCOMPLETE) << 16;
    expect(explain(0, 0, (flags | (3 << 8) | TRIGGER_WAIT) >>> 0))
      .toMatchObject({ trigger: "decision_wait", late: true, incomplete: true });
    for (let code = 1; code < TRIGGER_NAMES.length; code++) {
      expect(triggerName(code)).toMatch(/^[a-z_]+$/);
    }
    expect([triggerName(0), triggerName(200)]).toEqual(["unknown", "unknown"]);
  });
});
