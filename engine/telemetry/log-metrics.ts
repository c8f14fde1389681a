import type { ComputedMetric } from "./metrics-page.ts";

/** Where lines for the operator that never were written are counted. */
export interface LineTotals {
  totals(): { readonly lost: number; readonly suppressed: number };
}

/** What the operator's log could not or would not write. */
export function logMetrics(log: LineTotals): ComputedMetric[] {
  const counter = (name: string, help: string, value: () => number): ComputedMetric => ({
    name, help, kind: "counter", collect: () => [{ labels: {}, value: value() }],
  });
  return [
    counter("tailrace_log_lines_lost_total",
      "Lines for the operator that could not be written: disk full, directory gone, no reader.",
      () => log.totals().lost),
    counter("tailrace_log_lines_suppressed_total",
      "Lines for the operator left out because their message came too often.",
      () => log.totals().suppressed),
  ];
}
