// A status report as a page: state, what comes in, the cluster, lanes, storage, forwarders, the
// books.

import type { Account, Share } from "../telemetry/balance-sheet.ts";
import type { RunningState } from "../telemetry/gateway-facts.ts";
import type { ForwarderStatus, LaneStatus, StatusReport } from "../telemetry/status-report.ts";
import { bytes, counted, duration, grouped, share } from "./show-numbers.ts";
import { clusterLines, type ClusterAnswer } from "./status-cluster.ts";
import { printable, type Paint, type Terminal } from "./terminal.ts";
import { tableLines, wrapped, type Cell, type Column } from "./text-table.ts";

const LABEL_COLUMNS = 10;
/** Shares of a limit from which a number stands out. */
const HIGH_SHARE = 0.9;
const NOTABLE_SHARE = 0.7;

const right = (head: string): Column => ({ head, align: "right" });
const left = (head: string): Column => ({ head });

/**
 * The page, ending in a line break.
 * @param earlier the report before, for rates of the time between; null: rates since the start.
 * @param cluster null: a single node, the page says nothing of clusters.
 */
export function statusPage(
  report: StatusReport, earlier: StatusReport | null, terminal: Terminal,
  cluster: ClusterAnswer = null,
): string {
  const { columns, paint } = terminal;
  const state = report.process;
  const table = (heads: readonly Column[], rows: readonly (readonly Cell[])[]): string[] => {
    return tableLines(heads, rows, columns - 2, paint).map((line) => `  ${line}`);
  };
  const section = (title: string, lines: readonly string[]): string[] => {
    return ["", paint("head", title), ...lines];
  };
  return [
    headLine(report, paint),
    ...(state === null ? [] : processLines(state, columns)),
    ...section("In", [
      ...inLines(report, earlier, columns),
      ...table([left("listener"), left("type"), left("address")],
        (state?.facts.listeners ?? []).map(({ name, type, address, tls }) => {
          return [name, type, tls ? `${address} (TLS)` : address];
        })),
    ]),
    ...(cluster === null ? [] : section("Cluster", clusterLines(cluster, terminal))),
    ...section("Lanes", table([
      right("lane"), right("live traces"), right("rows used"), right("ring"), right("commits"),
      right("mean"), right("99 %"), right("log"), right("remembered"),
    ], report.lanes.map(laneRow))),
    ...section("Judged, in spans", table([
      left("forwarder"), right("to judge"), right("kept"), right("dropped"), right("in flight"),
      right("lost"),
    ], report.balance.forwarders.map(judgedRow))),
    ...section("Delivered, in spans", table([
      left("forwarder"), right("to deliver"), right("delivered"), right("waiting"),
      right("outbox"), right("lost"),
    ], report.balance.forwarders.map((account) => deliveredRow(account, report.forwarders)))),
    ...report.balance.forwarders.flatMap((account) => {
      return troubles(account, report.forwarders, columns);
    }),
    "", ...wrapped("", balanceSentence(report), columns, ""), "",
  ].join("\n");
}

function headLine({ version, ready, draining, reasons }: StatusReport, paint: Paint): string {
  const name = paint("head", `tailrace ${printable(version)}`);
  if (ready) return `${name}: ${paint("good", "ready")}`;
  const state = paint(draining ? "doubtful" : "bad", draining ? "draining" : "not ready");
  return `${name}: ${state}${reasons.length === 0 ? "" : ` (${printable(reasons.join("; "))})`}`;
}

function processLines(state: RunningState, columns: number): string[] {
  const { facts } = state;
  const entries: [string, string][] = [
    ["up", `${duration(state.uptimeSeconds * 1000)}, process ${state.processId}, Node.js `
      + `${state.nodeVersion}, server ${facts.serverName}`],
    ["storage", `${bytes(state.storageBytes)} of ${bytes(facts.storageLimitBytes)} `
      + `(${share(state.storageBytes, facts.storageLimitBytes)}) in ${facts.dataDirectory}, `
      + `durability ${facts.durability}`],
    ["memory", `${bytes(state.residentBytes)} resident; tables up to ${bytes(facts.tableBytesMax)} `
      + `and rings up to ${bytes(facts.ringBytesMax)} of it`],
  ];
  return entries.flatMap(([label, text]) => labelled(label, text, columns));
}

function inLines(
  report: StatusReport, earlier: StatusReport | null, columns: number,
): string[] {
  const { balance, requests } = report;
  const seconds = (report.process?.uptimeSeconds ?? 0) - (earlier?.process?.uptimeSeconds ?? 0);
  const spans = balance.received - (earlier?.balance.received ?? 0);
  const rate = seconds <= 0 ? "" : `, ${grouped(spans / seconds)} a second `
    + (earlier === null ? "since the start" : "now");
  const refused = requests.refusedByReason.map((each) => ({
    name: each.reason, spans: each.requests,
  }));
  return [
    ...labelled("spans", `${grouped(balance.received)} received${rate}`
      + named(balance.receivedByProtocol), columns),
    ...labelled("refused", `${counted(balance.refused, "span")}${named(balance.refusedByReason)}, `
      + `${counted(total(refused), "request")}${named(refused)}`, columns),
  ];
}

function laneRow(lane: LaneStatus): Cell[] {
  return [
    String(lane.lane), grouped(lane.tracesLive),
    level(lane.tracesLive, lane.traceRowsMax),
    lane.ringBytes === null || lane.ringCapacityBytes === null
      ? "-" : level(lane.ringBytes, lane.ringCapacityBytes),
    grouped(lane.commits),
    lane.commitMeanMs === null ? "-" : duration(lane.commitMeanMs),
    lane.commitP99Ms === null ? "-" : `≤ ${duration(lane.commitP99Ms)}`,
    bytes(lane.logBytes), grouped(lane.decisionsRemembered),
  ];
}

function judgedRow(account: Account): Cell[] {
  const { forwarder, received, movedIn, replayed, kept, dropped, inFlight, lost } = account;
  return [
    forwarder, grouped(received + movedIn + replayed), grouped(kept), grouped(dropped),
    grouped(inFlight), lostCell(lost),
  ];
}

function deliveredRow(account: Account, forwarders: readonly ForwarderStatus[]): Cell[] {
  const { forwarder, kept, keptBefore, acknowledged, waiting, keptLost } = account;
  const status = forwarders.find(({ name }) => name === forwarder);
  return [
    forwarder, grouped(kept + keptBefore), grouped(acknowledged), grouped(waiting),
    bytes(status?.outboxBytes ?? 0), lostCell(keptLost),
  ];
}

function lostCell(spans: number): Cell {
  return spans === 0 ? "0" : { text: grouped(spans), style: "bad" };
}

/** What is wrong with a forwarder, or was; nothing where all went well. */
function troubles(
  account: Account, forwarders: readonly ForwarderStatus[], columns: number,
): string[] {
  const status = forwarders.find(({ name }) => name === account.forwarder);
  const facts: string[] = [];
  const lost = [...account.lostByReason, ...account.keptLostByReason];
  if (lost.length > 0) facts.push(`lost${named(lost)}`);
  if (status !== undefined && status.failedAttempts.length > 0) {
    const failed = status.failedAttempts.map(({ reason, attempts }) => {
      return { name: reason, spans: attempts };
    });
    facts.push(`${counted(total(failed), "failed attempt")} to deliver${named(failed)}`);
    if (status.inFlightBatches > 0) {
      facts.push(`${counted(status.inFlightBatches, "batch")} sent now or waiting for a retry`
        .replace("batchs", "batches"));
    }
  }
  if (status !== undefined && status.unknownOutcomeSpans > 0) {
    facts.push(`at most ${counted(status.unknownOutcomeSpans, "span")} delivered twice`);
  }
  if (facts.length === 0) return [];
  return wrapped(`  ${printable(account.forwarder)}: `, facts.join("; "), columns, "    ");
}

function balanceSentence(report: StatusReport): string {
  const stale = report.staleBlocks === 0 ? "" : ` The numbers of ${report.staleBlocks} threads are `
    + "of an earlier moment.";
  if (report.balance.forwarders.length === 0) {
    return `No forwarder is configured: there is nothing to account for.${stale}`;
  }
  if (!report.balanceCloses) {
    return "THE BALANCE DOES NOT CLOSE: some spans are not accounted for. This is a bug; please "
      + `report it with the output of tailrace status --json.${stale}`;
  }
  return "The balance closes: every span received is kept, dropped, in flight or lost for a named "
    + `reason.${stale}`;
}

/** A share of a limit, standing out when it is high. */
function level(part: number, whole: number): Cell {
  const text = share(part, whole);
  if (whole > 0 && part >= whole * HIGH_SHARE) return { text, style: "bad" };
  return whole > 0 && part >= whole * NOTABLE_SHARE ? { text, style: "doubtful" } : text;
}

function labelled(label: string, text: string, columns: number): string[] {
  const indent = " ".repeat(2 + LABEL_COLUMNS);
  return wrapped(`  ${label.padEnd(LABEL_COLUMNS)}`, printable(text), columns, indent);
}

function named(shares: readonly Share[]): string {
  if (shares.length === 0) return "";
  return ` (${shares.map(({ name, spans }) => `${name} ${grouped(spans)}`).join(", ")})`;
}

function total(shares: readonly Share[]): number {
  return shares.reduce((sum, { spans }) => sum + spans, 0);
}
