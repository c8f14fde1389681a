// The endpoints of a Zipkin span. The service name of the local one is what OpenTelemetry keeps in
// the resource as `service.name`, so it is tested under that key.

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import {
  CLOSE_OBJECT, COMMA, OPEN_OBJECT, QUOTE, lastString, skipSpace, skipValue,
} from "../json/cursor.ts";
import { expectNull, expectNumber, expectString } from "../json/expect.ts";
import { FIELD_UNKNOWN, FieldNames } from "../json/field-names.ts";
import { testText } from "../json/text-match.ts";
import { SCAN_BAD_JSON } from "../scan-codes.ts";

const FIELDS = new FieldNames(["serviceName", "ipv4", "ipv6", "port"]);
const FIELD_SERVICE_NAME = 1;
const FIELD_PORT = 4;
/** Values around a field of an endpoint: the array, the span, the endpoint. */
const FIELD_DEPTH = 3;
const SPACE = 0x20;
const BAD = -SCAN_BAD_JSON;

/**
 * Scans the endpoint at `at`.
 * @param serviceKey number of the key that its service name is tested under, or -1.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function scanEndpoint(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  serviceKey: number,
): number {
  if (at >= end || bytes[at] !== OPEN_OBJECT) return expectNull(bytes, at, end, FIELD_DEPTH - 1);
  const names = FIELDS;
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let field = FIELD_UNKNOWN;
  let nameAt = 0;
  let nameEnd = 0;
  let isEscaped = false;
  for (;;) {
    field = names.read(bytes, view, next, end, field);
    next = names.valueAt;
    if (next < 0) return next;
    const valueAt = next;
    if (field === FIELD_UNKNOWN) next = skipValue(bytes, next, end, FIELD_DEPTH);
    else if (field === FIELD_PORT) next = expectNumber(bytes, next, end, FIELD_DEPTH);
    else next = expectString(bytes, view, next, end, FIELD_DEPTH);
    if (next < 0) return next;
    if (field === FIELD_SERVICE_NAME) {
      // The last one counts; null leaves none.
      nameAt = valueAt + 1;
      nameEnd = bytes[valueAt] === QUOTE ? next - 1 : nameAt;
      isEscaped = lastString.escaped;
    }
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) break;
    if (bytes[next] !== COMMA) return BAD;
    next++;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
  }
  if (serviceKey >= 0 && nameEnd > nameAt) {
    testText(matcher, serviceKey, bytes, nameAt, nameEnd, isEscaped);
  }
  return next + 1;
}
