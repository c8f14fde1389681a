import type { ComputedMetric } from "./metrics-page.ts";

/** What the coordinator counts of its cluster; zeros on a single node. */
export interface MembershipTotals {
  readonly removed: number;
  readonly takenOut: number;
}

/** Members that were taken out because they did not report, seen from both ends. */
export function clusterMetrics(totals: () => MembershipTotals): ComputedMetric[] {
  const counter = (name: string, help: string, value: () => number): ComputedMetric => ({
    name, help, kind: "counter", collect: () => [{ labels: {}, value: value() }],
  });
  return [
    counter("tailrace_silent_members_removed_total",
      "Members that this node took out of the map: they did not report for HandoverTimeout.",
      () => totals().removed),
    counter("tailrace_registrations_deleted_total",
      "Times that this node's registration in etcd was deleted though its lease lived.",
      () => totals().takenOut),
  ];
}
