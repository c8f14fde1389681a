// Which scanner reads which format of a payload.

import { assert } from "../base/assert.ts";
import type { AttributeMatcher } from "../part/attribute-matcher.ts";
import { FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON } from "../ring/payload-layout.ts";
import { scanOtlpJson } from "./otlp-json/scan.ts";
import { scanOtlpProto } from "./otlp-proto/scan.ts";
import type { RecordIndex } from "./record-index.ts";
import { scanZipkinJson } from "./zipkin-json/scan.ts";

/**
 * Scans the payload bytes[start, end) into the index, which is reset first.
 * @param format a FORMAT_ of payload-layout.
 * @param bytes may be shared memory, but nobody may write it meanwhile.
 * @returns SCAN_OK, or why the payload is refused as a whole: the index then means nothing.
 */
export function scanPayload(
  format: number, bytes: Uint8Array, start: number, end: number, matcher: AttributeMatcher,
  index: RecordIndex,
): number {
  switch (format) {
    case FORMAT_OTLP_PROTO: return scanOtlpProto(bytes, start, end, matcher, index);
    case FORMAT_OTLP_JSON: return scanOtlpJson(bytes, start, end, matcher, index);
    case FORMAT_ZIPKIN_JSON: return scanZipkinJson(bytes, start, end, matcher, index);
    default: assert(false, "the door lets in formats that there is a scanner for");
  }
}
