// Reads what a file forwarder wrote: OTLP JSON, a request a line.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface JsonRequest {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly spans: readonly { readonly traceId: string; readonly spanId: string }[];
    }[];
  }[];
}

/** How often each span is in the files below a directory, by `traceId/spanId`. */
export function countKeptSpans(directory: string): Map<string, number> {
  const times = new Map<string, number>();
  const names = existsSync(directory) ? readdirSync(directory) : []; // made with the first span
  for (const name of names) {
    const lines = readFileSync(join(directory, name), "utf8").split("\n");
    lines.pop(); // empty, or what is not whole yet
    for (const line of lines) countSpans(JSON.parse(line) as JsonRequest, times);
  }
  return times;
}

function countSpans({ resourceSpans }: JsonRequest, times: Map<string, number>): void {
  const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans);
  for (const { traceId, spanId } of spans) {
    const key = `${traceId}/${spanId}`;
    times.set(key, (times.get(key) ?? 0) + 1);
  }
}
