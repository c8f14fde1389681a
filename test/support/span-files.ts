import fs from "node:fs";
import path from "node:path";

interface JsonRequest {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly spans: readonly { readonly traceId: string; readonly spanId: string }[];
    }[];
  }[];
}

/** Times each span is in a file forwarder's directory, by `traceId/spanId`. Whole lines count. */
export function readSpanFiles(directory: string): Map<string, number> {
  const times = new Map<string, number>();
  for (const name of fs.readdirSync(directory)) {
    const lines = fs.readFileSync(path.join(directory, name), "utf8").split("\n");
    lines.pop(); // empty, or what a killed process could not finish
    for (const line of lines) countSpans(JSON.parse(line) as JsonRequest, times);
  }
  return times;
}

function countSpans(request: JsonRequest, times: Map<string, number>): void {
  for (const { scopeSpans } of request.resourceSpans) {
    for (const { traceId, spanId } of scopeSpans.flatMap(({ spans }) => spans)) {
      const key = `${traceId}/${spanId}`;
      times.set(key, (times.get(key) ?? 0) + 1);
    }
  }
}
