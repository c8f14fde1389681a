import { describe, expect, it } from "vitest";
import {
  type DemoFacts, disappointments, type JudgedTrace, lateSpans,
} from "../../../scripts/demo-account.ts";
import { readDemoOptions } from "../../../scripts/demo-options.ts";
import { SERVICES_BY_PROTOCOL } from "../../../scripts/demo-senders.ts";
import { type Fate, type PlannedTrace, planTrace, RARE_ROUTE } from "../../../scripts/demo-shop.ts";
import { Random } from "../../support/random.ts";

const START_MS = 1_790_000_000_000;
const LATE_MS = 5_000;
const TRACES = 600;
const SEED = 20_261_122;

describe("the traces of the demo", () => {
  const random = new Random(SEED);
  const traces = Array.from({ length: TRACES }, (_, number) =>
    planTrace(number, START_MS, LATE_MS, () => random.word() / 2 ** 32));
  const ofFate = (fate: Fate): PlannedTrace[] => traces.filter((trace) => trace.fate === fate);
  const durationMs = ({ spans }: PlannedTrace): number =>
    Math.max(...spans.map(({ endMs }) => endMs)) - Math.min(...spans.map(({ startMs }) => startMs));

  it("have every kind within the first hundred", () => {
    const early = new Set(traces.slice(0, 100).map(({ fate }) => fate));
    expect(early).toEqual(new Set(["error", "slow", "rare", "normal"]));
  });

  it("are what their kind says, and nothing else that a policy would keep", () => {
    for (const trace of traces) {
      expect(trace.spans.some(({ error }) => error !== null)).toBe(trace.fate === "error");
      expect(durationMs(trace) > 500).toBe(trace.fate === "slow");
      const rare = trace.spans.some(({ attributes }) => attributes["http.route"] === RARE_ROUTE);
      expect(rare).toBe(trace.fate === "rare");
    }
  });

  it("fail in services of every protocol", () => {
    const failing = new Set(ofFate("error").flatMap(({ spans }) =>
      spans.filter(({ error }) => error !== null).map(({ service }) => service)));
    for (const services of Object.values(SERVICES_BY_PROTOCOL)) {
      expect(services.some((service) => failing.has(service))).toBe(true);
    }
  });

  it("use eight services, each of which has one protocol", () => {
    const used = new Set(traces.flatMap(({ spans }) => spans.map(({ service }) => service)));
    expect(used.size).toBe(8);
    expect(Object.values(SERVICES_BY_PROTOCOL).flat().sort()).toEqual([...used].sort());
  });

  it("have some spans that are sent late, of failed traces as well as of others", () => {
    const late = traces.filter(({ spans }) => spans.some((span) => span.late));
    expect(new Set(late.map(({ fate }) => fate))).toContain("error");
    expect(new Set(late.map(({ fate }) => fate))).toContain("normal");
    for (const { spans } of late) {
      expect(spans.at(-1)).toMatchObject({ late: true, sendMs: START_MS + LATE_MS });
    }
  });

  it("have one root, which comes first, and parents before their children", () => {
    for (const { spans } of traces) {
      expect(spans.map(({ parent }, index) => parent === null ? index === 0 : parent < index))
        .not.toContain(false);
    }
  });
});

describe("what the demo expects", () => {
  const judged = (traceId: string, fate: Fate, policy: string | null): JudgedTrace => ({
    policy, sent: { traceId, fate, beganMs: START_MS, spans: 2, lateSpanId: `${traceId}b` },
  });
  const all = [
    judged("1", "error", "errors"), judged("2", "slow", "slow"), judged("3", "rare", "returns"),
    judged("4", "normal", null),
  ];
  const kept = ["1/1a", "1/1b", "2/2a", "2/2b", "3/3a", "3/3b"];
  const good: DemoFacts = {
    spansMade: 8, spansAccepted: 8, received: 8, balanceCloses: true, judged: all,
    sent: all.map(({ sent }) => sent), keptSpans: new Map(kept.map((key) => [key, 1])),
  };

  it("is content when all that should be kept was, and nothing else", () => {
    expect(disappointments(good)).toEqual([]);
    expect(lateSpans(good)).toEqual(
      { afterKeep: 3, afterKeepFound: 3, afterDrop: 1, afterDropFound: 0 });
  });

  it("names everything that is not so", () => {
    const cases: [Partial<DemoFacts>, RegExp][] = [
      [{ spansAccepted: 7, received: 7 }, /1 of 8 spans were not accepted/],
      [{ received: 9 }, /counts 9 spans received, not 8/],
      [{ balanceCloses: false }, /does not close/],
      [{ judged: all.slice(0, 3) }, /1 traces were not judged/],
      [{ judged: [judged("1", "error", null), ...all.slice(1)] }, /1 of 1 error traces were drop/],
      [{ judged: [...all.slice(0, 2), all[3]!], sent: [] }, /no rare trace was sent/],
      [{ judged: [...all.slice(0, 3), judged("4", "normal", "tenth")] }, /nothing was dropped/],
      [{ keptSpans: new Map([...good.keptSpans, ["4/4b", 1]]) }, /1 spans of dropped traces/],
      [{ keptSpans: new Map([...good.keptSpans].slice(1)) }, /have 5 of 6 kept spans/],
      [{ keptSpans: new Map([...good.keptSpans, ["1/1a", 2]]) }, /there twice/],
    ];
    for (const [change, sentence] of cases) {
      expect(disappointments({ ...good, ...change }).join("\n")).toMatch(sentence);
    }
  });
});

describe("the options of the demo", () => {
  it("have defaults, and ports only with --attach", () => {
    expect(readDemoOptions([])).toEqual(
      { seconds: 25, rate: 30, keepRunning: false, attach: null });
    expect(readDemoOptions(["--attach", "--otlp-port", "14318"])).toMatchObject(
      { attach: { otlp: 14318, zipkin: 8080, admin: 9464 } });
    expect(readDemoOptions(["--help"])).toBe("help");
  });

  it("refuse what makes no sense", () => {
    for (const words of ["--speed 9", "--seconds 0", "--rate 1.5", "--attach --otlp-port x"]) {
      expect(() => readDemoOptions(words.split(" ")), words).toThrow();
    }
  });
});
