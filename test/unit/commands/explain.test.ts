import { describe, expect, it } from "vitest";
import { explain, traceIdOf } from "../../../engine/commands/explain.ts";
import { traceCard } from "../../../engine/commands/explain-card.ts";
import { explainTrace } from "../../../engine/lane/explain-trace.ts";
import type { TraceReport } from "../../../engine/telemetry/trace-report.ts";
import { inputOf, RecordedTerminal } from "./command-input.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const DECIDED_AT = "2030-01-02T03:04:05.000Z";
const LONG_AFTER = Date.parse(DECIDED_AT) + 60_000;

const DECIDED: TraceReport = {
  traceId: ID, shard: 1, lane: 0, state: "decided", known: "full", spans: 7, bytes: null,
  durationMs: 812.3456, rootSeen: null, errorSeen: null, parts: null, startedAt: null,
  seenMsAgo: null, decidesInMs: null, undecided: [], trigger: "decision_wait",
  decidedAt: DECIDED_AT, complete: true,
  decisions: [{
    forwarder: "backend", decision: "keep", policy: "slow", sampleRate: 1,
    votes: [
      { policy: "errors", vote: "not_sampled" }, { policy: "slow", vote: "sampled" },
      { policy: "gone", vote: "not_sampled" },
    ],
  }],
};
const FACTS = [
  {
    name: "backend", type: "otlp", destination: "http://127.0.0.1:1/", sampler: {
      decisionWaitMs: 1_000, policies: [
        { name: "errors", type: "status_code", status_code: { status_codes: ["ERROR"] } },
        { name: "slow", type: "latency", latency: { threshold_ms: 500 } },
      ],
    },
  },
  { name: "all", type: "file", destination: "/x", sampler: null },
];

function balanceWith(waiting: number, keptLost: number) {
  const account = {
    forwarder: "backend", received: 0, movedIn: 0, replayed: 0, kept: 0, keptByPolicy: [],
    dropped: 0, upgraded: 0, inFlight: 0, movedOut: 0, evicted: 0, evictedByReason: [],
    lost: 0, lostByReason: [], difference: 0,
    keptBefore: 0, acknowledged: 0, waiting, keptLost, keptLostByReason: [], deliveryDifference: 0,
  };
  return { balance: {
    received: 0, receivedByProtocol: [], refused: 0, refusedByReason: [], forwarders: [account],
  } };
}

function card(trace: TraceReport): string {
  return traceCard(trace, new RecordedTerminal());
}

describe("a trace id", () => {
  it.each([
    ID, ID.toUpperCase(), ` ${ID}\n`, "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", `0x${ID}`,
    `00-${ID}-00f067aa0ba902b7-01`,
  ])("is taken as people have it: %j", (text) => expect(traceIdOf(text)).toBe(ID));

  it("may have 64 bits", () => expect(traceIdOf("A3CE929D0E0E4736")).toBe("a3ce929d0e0e4736"));

  it.each(["", "-", "0".repeat(32), ID.slice(1), `${ID}0`, "g".repeat(32), "../../status"])(
    "is not %j", (text) => expect(traceIdOf(text)).toBeNull());
});

describe("the card of a trace", () => {
  it("shows every vote beside what its policy asks for: a golden page", () => {
    const told = explainTrace(DECIDED, FACTS, balanceWith(0, 0), LONG_AFTER);
    expect(card(told)).toBe(`Trace ${ID}

  state       judged
  has         7 spans, lasting 812 ms
  judged      ${DECIDED_AT}, because DecisionWait was over

backend: keep, by policy slow
  policy  vote  asks for                  trace has
  errors  no    a span with status ERROR
  slow    keep  a duration above 500 ms   812.346 ms
  gone    no
  Delivered: nothing waits for this forwarder.

all: keep, it has no sampler and gets every span
`);
  });

  it("claims a delivery only when nothing waits, nothing was lost, and the counters are in", () => {
    const told = (waiting: number, lost: number, nowMs = LONG_AFTER): string => {
      return card(explainTrace(DECIDED, FACTS, balanceWith(waiting, lost), nowMs));
    };
    expect(told(0, 0)).toContain("Delivered: nothing waits for this forwarder.");
    expect(told(12, 0)).toContain("Delivered, or among the 12 spans that still wait.");
    expect(told(0, 3)).toContain("unless it is among the 3 spans that were given up");
    expect(told(0, 0, Date.parse(DECIDED_AT) + 500)).toContain("Just judged: ask again");
  });

  it("tells of a waiting trace when it is judged", () => {
    const text = card({
      ...DECIDED, state: "waiting", known: "row", bytes: 2_048, parts: 2, rootSeen: false,
      errorSeen: true, startedAt: "2030-01-02T03:04:00.000Z", seenMsAgo: 1_500,
      decidesInMs: 28_500, undecided: ["backend"], trigger: null, decidedAt: null, complete: null,
      decisions: [],
    });
    for (const line of [
      "  state       waiting: no forwarder's sampler has judged it",
      "  first seen  1.5 s ago", "  has         7 spans, 2 KiB, in 2 parts, lasting 812 ms",
      "  root span   not seen yet", "  errors      a span with status ERROR",
      "  judged      in 28.5 s at the latest", "backend: not judged yet",
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });

  it("says what is forgotten", () => {
    const [decision] = DECIDED.decisions;
    const forgotten = { ...decision!, decision: "drop" as const, policy: null, votes: [] };
    const text = card({ ...DECIDED, known: "fingerprint", trigger: null, decidedAt: null,
      spans: null, durationMs: null, complete: null, decisions: [forgotten] });
    expect(text).toContain("only the decision: its reasons are remembered for about a minute");
    expect(text).toContain("backend: drop\n");
    const earlier = card({ ...DECIDED, complete: false, decisions: [{ ...decision!, votes: [] }] });
    expect(earlier).toContain("they were those of an earlier start");
    expect(earlier).toContain("  complete    no:");
  });

  it("keeps control characters from the terminal", () => {
    const [decision] = DECIDED.decisions;
    const named = { ...decision!, forwarder: "\u001b[2J", policy: "a\u0007" };
    const text = card({ ...DECIDED, decisions: [named] });
    expect(text).toContain("?[2J: keep, by policy a?");
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });
});

describe("tailrace explain", () => {
  it.each([
    [[], "which trace?"], [["xyz"], "\"xyz\" is no trace id"], [[ID, "--admn", "x"], "--admin?"],
    [[ID, "--admin", "nowhere"], "is no address"], [[ID, "--admin", "127.0.0.1:0"], "port 0"],
    [[ID, "--configfile", "./none.conf"], "there is no file"],
  ])("refuses %j with a line that leads to its help", async (argv, sentence) => {
    const terminal = new RecordedTerminal();
    expect(await explain(inputOf(argv, terminal))).toBe(2);
    expect(terminal.errors).toContain(sentence);
    expect(terminal.errors).toContain("See: tailrace explain --help");
  });
});
