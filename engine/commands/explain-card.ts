// One trace as a card: what was seen, when it is judged, and each forwarder's reasons.

import type { TraceDecision, TraceReport } from "../telemetry/trace-report.ts";
import { bytes, counted, duration, grouped } from "./show-numbers.ts";
import { printable, type Paint, type Style, type Terminal } from "./terminal.ts";
import { tableLines, wrapped, type Cell } from "./text-table.ts";

const LABEL_COLUMNS = 12;

const STATES = {
  waiting: "waiting: no forwarder's sampler has judged it",
  partly_decided: "partly judged: some forwarders' samplers still wait",
  decided: "judged",
} as const;

const TRIGGERS: Readonly<Record<string, string>> = {
  decision_wait: "DecisionWait was over",
  root: "its root span had come, and DecisionWaitAfterRoot was over",
  span_limit: "it reached MaxTraceSpans",
  byte_limit: "it reached MaxTraceBytes",
  outcome_settled: "no further span could change the outcome",
  memory_pressure: "the trace table was full",
  storage_pressure: "the log neared StorageLimit",
  shutdown: "the gateway shut down",
  late_span: "its spans came after the decision, and follow it",
};

const VOTES: Readonly<Record<string, { readonly text: string; readonly style: Style }>> = {
  sampled: { text: "keep", style: "good" },
  not_sampled: { text: "no", style: "faint" },
  dropped: { text: "drop", style: "bad" },
  inverted_sampled: { text: "keep unless others object", style: "good" },
  inverted_not_sampled: { text: "drop", style: "bad" },
  not_evaluated: { text: "not asked", style: "faint" },
};

/** The card, ending in a line break. */
export function traceCard(trace: TraceReport, terminal: Terminal): string {
  const { columns, paint } = terminal;
  const indent = " ".repeat(LABEL_COLUMNS + 2);
  const facts = trace.known === "fingerprint" ? [] : seenFacts(trace);
  return [
    `${paint("head", "Trace")} ${printable(trace.traceId)}`, "",
    ...[["state", STATES[trace.state] ?? trace.state], ...facts, ...judged(trace)]
      .flatMap(([label = "", text = ""]) => {
        return wrapped(`  ${label.padEnd(LABEL_COLUMNS)}`, printable(text), columns, indent);
      }),
    ...trace.decisions.flatMap((decision) => ["", ...forwarder(decision, trace, terminal)]),
    ...trace.undecided.flatMap((name) => ["", `${title(name, paint)}: not judged yet`]),
    ...(trace.unsampled ?? []).flatMap((name) => {
      return ["", `${title(name, paint)}: ${paint("good", "keep")}, it has no sampler and gets `
        + "every span"];
    }),
    "",
  ].join("\n");
}

function seenFacts(trace: TraceReport): string[][] {
  const seen: string[][] = [];
  const { startedAt, seenMsAgo, spans, durationMs, parts } = trace;
  if (startedAt != null) seen.push(["started", `${startedAt}, by its earliest span`]);
  if (seenMsAgo != null) seen.push(["first seen", `${duration(seenMsAgo)} ago`]);
  const facts = [
    spans === null ? "" : counted(spans, "span"),
    trace.bytes === null ? "" : bytes(trace.bytes),
    parts === null ? "" : `in ${counted(parts, "part")}`,
    durationMs === null ? "" : `lasting ${duration(durationMs)}`,
  ].filter((fact) => fact !== "");
  if (facts.length > 0) seen.push(["has", facts.join(", ")]);
  if (trace.rootSeen !== null) seen.push(["root span", trace.rootSeen ? "seen" : "not seen yet"]);
  if (trace.errorSeen !== null) {
    seen.push(["errors", trace.errorSeen ? "a span with status ERROR" : "none so far"]);
  }
  return seen;
}

function judged(trace: TraceReport): string[][] {
  const lines: string[][] = [];
  if (trace.decidedAt !== null) {
    const why = TRIGGERS[trace.trigger ?? ""] ?? trace.trigger;
    lines.push(["judged", trace.decidedAt + (why === null ? "" : `, because ${why}`)]);
  }
  if (trace.decidesInMs !== null) {
    const { decidesInMs, decidedAt } = trace;
    const next = decidesInMs === 0 ? "now" : `in ${duration(decidesInMs)} at the latest`;
    lines.push([decidedAt === null ? "judged" : "next", next]);
  }
  if (trace.complete === false) {
    lines.push(["complete", "no: judged early or with late spans, on a part of its spans"]);
  }
  if (trace.known === "fingerprint") {
    lines.push(["known", "only the decision: its reasons are remembered for about a minute"]);
  }
  return lines;
}

function forwarder(
  decision: TraceDecision, trace: TraceReport, { columns, paint }: Terminal,
): string[] {
  const kept = decision.decision === "keep";
  const by = decision.policy === null ? "" : `, by policy ${decision.policy}`;
  const rate = decision.sampleRate !== null && decision.sampleRate !== 1
    ? `; it stands for ${grouped(decision.sampleRate)} traces` : "";
  const lines = [
    `${title(decision.forwarder, paint)}: ${paint(kept ? "good" : "bad", decision.decision)}`
      + printable(by + rate),
  ];
  if (decision.votes.length > 0) {
    const rows = decision.votes.map(({ policy, vote, needs, has }): Cell[] => {
      return [policy, VOTES[vote] ?? vote, needs ?? "", has ?? ""];
    });
    const heads = ["policy", "vote", "asks for", "trace has"].map((head) => ({ head }));
    lines.push(...tableLines(heads, rows, columns - 2, paint).map((line) => `  ${line}`));
  } else if (trace.known === "full") {
    lines.push("  How its policies voted is not known: they were those of an earlier start.");
  }
  if (kept) lines.push(...wrapped("  ", delivery(decision), columns, "  "));
  return lines;
}

/** Single traces are not followed to the backend; the forwarder as a whole says much the same. */
function delivery({ delivery: whole }: TraceDecision): string {
  if (whole === undefined) return "Just judged: ask again in 2 s whether it was delivered.";
  const lost = whole.lostSpans === 0
    ? "" : `, unless it is among the ${counted(whole.lostSpans, "span")} that were given up`;
  return whole.waitingSpans === 0
    ? `Delivered: nothing waits for this forwarder${lost}.`
    : `Delivered, or among the ${counted(whole.waitingSpans, "span")} that still wait${lost}.`;
}

function title(name: string, paint: Paint): string {
  return paint("head", printable(name));
}
