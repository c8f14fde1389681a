import { countKeptSpans } from "../../scripts/kept-files.ts";

/** Times each span is in a file forwarder's directory, by `traceId/spanId`. Whole lines count. */
export function readSpanFiles(directory: string): Map<string, number> {
  return countKeptSpans(directory);
}
