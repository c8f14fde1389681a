// What the demo tells: the plan before, a line while it runs, a table and a few sentences at the
// end. Pure: from facts to text.

import type { Account } from "../engine/telemetry/balance-sheet.ts";
import { type DemoFacts, type JudgedTrace, lateSpans } from "./demo-account.ts";
import { DECISION_WAIT_MS, type DemoGateway, POLICIES } from "./demo-gateway.ts";
import { type Protocol, SERVICES_BY_PROTOCOL } from "./demo-senders.ts";

const count = (value: number): string => value.toLocaleString("en-US");
const percent = (part: number, whole: number): string =>
  `${(whole === 0 ? 0 : 100 * part / whole).toFixed(1)} %`;

/** Who sends what where, and what is kept. */
export function planText(gateway: DemoGateway, seconds: number): string {
  const own = gateway.directory !== null;
  const lines = [
    `A shop of eight services, each with the OpenTelemetry SDK, sends for ${seconds} s to `
      + (own ? "a gateway of its own:" : "the gateway that runs:"),
    ...Object.entries(SERVICES_BY_PROTOCOL).map(([protocol, services]) =>
      `  ${protocol.padEnd(20)}  ${services.join(", ").padEnd(31)}  ${urlOf(gateway, protocol)}`),
  ];
  if (own) {
    lines.push(`A trace is judged ${DECISION_WAIT_MS / 1000} s after its first span, as a whole, `
      + "and kept when");
    for (const { policy, keeps } of POLICIES) lines.push(`  ${policy.name.padEnd(20)}  ${keeps}`);
  }
  return `${lines.join("\n")}\n\n`;
}

function urlOf(gateway: DemoGateway, protocol: string): string {
  return protocol === ("Zipkin v2 JSON" satisfies Protocol) ? gateway.zipkinUrl : gateway.otlpUrl;
}

/** Where things stand; a moment of the run. */
export function progressLine(
  elapsedMs: number, spansAccepted: number, traces: number, judged: readonly JudgedTrace[],
): string {
  const kept = judged.filter(({ policy }) => policy !== null).length;
  return `  ${String(Math.round(elapsedMs / 1000)).padStart(3)} s   `
    + `${count(spansAccepted)} spans of ${count(traces)} traces taken,  `
    + `${count(judged.length)} judged: ${count(kept)} kept, ${count(judged.length - kept)} dropped`;
}

/** Sent, and a line for each policy. */
export function keptTable(facts: DemoFacts): string {
  const { sent, judged, spansMade, spansAccepted } = facts;
  const taken = spansAccepted === spansMade ? "all of them"
    : `${count(spansAccepted)} of them`;
  // The order of the demo's own policies, then what another gateway has, then what was dropped.
  const names = new Set<string | null>([
    ...POLICIES.map(({ policy }) => policy.name),
    ...judged.map(({ policy }) => policy).filter((policy) => policy !== null), null,
  ]);
  const rows = [...names].flatMap((name) => {
    const traces = judged.filter(({ policy }) => policy === name);
    const [first] = traces;
    if (first === undefined) return [];
    return [`  ${(name === null ? "dropped" : `kept by ${name}`).padEnd(18)}`
      + `${count(traces.length).padStart(8)}  ${percent(traces.length, judged.length).padStart(7)}`
      + `   ${first.sent.traceId}`];
  });
  return [
    `Sent ${count(spansMade)} spans of ${count(sent.length)} traces; ${taken} were answered with `
      + "success, so they are on disk.",
    "",
    `  ${"".padEnd(18)}${"traces".padStart(8)}  ${"share".padStart(7)}   for example`,
    ...rows,
    "",
  ].join("\n");
}

/** Late spans and the balance sheet. */
export function sentencesText(facts: DemoFacts, account: Account): string {
  const lines: string[] = [];
  const late = lateSpans(facts);
  if (late.afterKeep + late.afterDrop > 0) {
    lines.push(
      `${count(late.afterKeep + late.afterDrop)} spans came after their trace had been judged and `
      + "followed its decision:",
      `  ${late.afterKeepFound} of ${late.afterKeep} were kept with theirs, `
      + `${late.afterDrop - late.afterDropFound} of ${late.afterDrop} dropped with theirs.`);
  }
  lines.push(
    `${facts.balanceCloses ? "The balance closes:" : "The balance does NOT close:"}`,
    `  ${count(account.received)} spans received = ${count(account.kept)} kept + `
    + `${count(account.dropped)} dropped + ${count(account.inFlight)} in flight + `
    + `${count(account.lost)} lost.`);
  return `${lines.join("\n")}\n`;
}
