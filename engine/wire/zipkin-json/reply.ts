// Bodies of replies to senders of Zipkin JSON: those of the SignalFx gateway, whose clients compare
// the success with four bytes. An error is one line of plain text; what it says is ours.

import { assert } from "../../base/assert.ts";

/** Everything was accepted: a JSON string, quotes included. */
export const ZIPKIN_SUCCESS = "\"OK\"";

/** Some spans were not taken; a client that wants exactly `"OK"` sees that something is wrong. */
export function partialSuccessZipkin(rejectedSpans: number, message: string): string {
  assert(Number.isSafeInteger(rejectedSpans), "rejected spans are counted");
  assert(rejectedSpans >= 0, "rejected spans are counted");
  return JSON.stringify({ rejected_spans: rejectedSpans, message });
}
