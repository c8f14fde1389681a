// Structure of the messages inside a request: every field of a message that OTLP knows is walked,
// messages within it too, so that bytes passed on verbatim can be read where they arrive. A payload
// that is broken three levels down would otherwise spoil the batch it is forwarded in.
//
// A known field with a wire type other than its own is an unknown field, as in protobuf's own
// decoders: passed over and passed on. So are fields of later OTLP versions. Not checked: whether
// strings are UTF-8.

import {
  NESTING_MAX, READ_LOW, WIRE_LENGTH, read, readLength, readTag, skipValue,
} from "./cursor.ts";
import { SCAN_OK, SCAN_TOO_DEEP } from "../scan-codes.ts";

// Messages, as rows of CHILDREN. Source: opentelemetry-proto, trace, resource and common v1.
export const MESSAGE_ENTITY_REF = 1;
export const MESSAGE_SCOPE = 2;
export const MESSAGE_EVENT = 3;
export const MESSAGE_LINK = 4;
export const MESSAGE_STATUS = 5;
export const MESSAGE_KEY_VALUE = 6;
export const MESSAGE_ANY_VALUE = 7;
const MESSAGE_ARRAY_VALUE = 8;
const MESSAGE_KEY_VALUE_LIST = 9;
const MESSAGES = 10;

const FIELDS_MAX = 8;
/** Message that a length-delimited field of a message holds; 0 for strings, bytes and unknowns. */
const CHILDREN = new Uint8Array(MESSAGES * FIELDS_MAX);

function hasChild(message: number, field: number, child: number): void {
  CHILDREN[message * FIELDS_MAX + field] = child;
}
hasChild(MESSAGE_SCOPE, 3, MESSAGE_KEY_VALUE);
hasChild(MESSAGE_EVENT, 3, MESSAGE_KEY_VALUE);
hasChild(MESSAGE_LINK, 4, MESSAGE_KEY_VALUE);
hasChild(MESSAGE_KEY_VALUE, 2, MESSAGE_ANY_VALUE);
hasChild(MESSAGE_ANY_VALUE, 5, MESSAGE_ARRAY_VALUE);
hasChild(MESSAGE_ANY_VALUE, 6, MESSAGE_KEY_VALUE_LIST);
hasChild(MESSAGE_ARRAY_VALUE, 1, MESSAGE_ANY_VALUE);
hasChild(MESSAGE_KEY_VALUE_LIST, 1, MESSAGE_KEY_VALUE);

const numbers = read;
const LOW = READ_LOW;

/**
 * Walks the message bytes[at, end) and all within it.
 * @param depth messages around this one, the request included.
 * @returns SCAN_OK or a scan code.
 */
export function checkMessage(
  bytes: Uint8Array, at: number, end: number, message: number, depth: number,
): number {
  if (depth >= NESTING_MAX) return SCAN_TOO_DEEP;
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    if (next < 0) return -next;
    const tag = numbers[LOW]!;
    const field = tag >>> 3;
    if ((tag & 7) !== WIRE_LENGTH || field >= FIELDS_MAX) {
      next = skipValue(bytes, next, end, tag, depth + 1);
      if (next < 0) return -next;
      continue;
    }
    next = readLength(bytes, next, end);
    if (next < 0) return -next;
    const valueEnd = numbers[LOW]!;
    const child = CHILDREN[message * FIELDS_MAX + field]!;
    if (child !== 0) {
      const code = checkMessage(bytes, next, valueEnd, child, depth + 1);
      if (code !== SCAN_OK) return code;
    }
    next = valueEnd;
  }
  return SCAN_OK;
}
