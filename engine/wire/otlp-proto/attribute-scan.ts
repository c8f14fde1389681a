// One attribute: check its structure, find out whether a policy names its key, test its value.
//
// KeyValue { string key = 1; AnyValue value = 2 }. Exporters write it in one way, and that way is
// read without a general parser; anything else, from fields in another order to arrays, takes the
// long way to the same answer:
//   0a <key size> key.. 12 <value size> [ 0a <size> text.. | 10 bool | 18 int | 21 double ]

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import { SCAN_OK } from "../scan-codes.ts";
import { READ_HIGH, READ_LOW, read, readLength, readTag, readVarint, skipValue, skipVarint }
  from "./cursor.ts";
import { MESSAGE_KEY_VALUE, checkMessage } from "./message-check.ts";

const TAG_KEY = 0x0a; // KeyValue.key = 1, string
const TAG_VALUE = 0x12; // KeyValue.value = 2, AnyValue
const TAG_STRING = 0x0a; // AnyValue.string_value = 1
const TAG_BOOL = 0x10; // AnyValue.bool_value = 2
const TAG_INT = 0x18; // AnyValue.int_value = 3
const TAG_DOUBLE = 0x21; // AnyValue.double_value = 4
const TAG_ARRAY = 0x2a; // AnyValue.array_value = 5
const TAG_LIST = 0x32; // AnyValue.kvlist_value = 6
const TAG_BYTES = 0x3a; // AnyValue.bytes_value = 7

const numbers = read;
const LOW = READ_LOW;
const HIGH = READ_HIGH;
const OK = SCAN_OK;

// What the long way found: the last key, the last value of AnyValue's oneof (its tag, 0 for none)
// and where it lies.
const KEY_AT = 0;
const KEY_END = 1;
const VALUE_TAG = 2;
const VALUE_AT = 3;
const VALUE_END = 4;
const found = new Int32Array(5);

/**
 * Scans the KeyValue bytes[at, end) of a span or a resource; what matches sets the matcher's bits.
 * @param depth messages around it.
 * @returns SCAN_OK or a scan code.
 */
export function scanAttribute(
  bytes: Uint8Array, at: number, end: number, matcher: AttributeMatcher, depth: number,
): number {
  if (end - at < 4 || bytes[at] !== TAG_KEY) return scanLongWay(bytes, at, end, matcher, depth);
  const keyBytes = bytes[at + 1]!;
  const keyEnd = at + 2 + keyBytes;
  if (keyBytes >= 0x80 || end - keyEnd < 2 || bytes[keyEnd] !== TAG_VALUE) {
    return scanLongWay(bytes, at, end, matcher, depth);
  }
  const valueAt = afterSize(bytes, keyEnd + 1, end);
  if (valueAt < 0) return scanLongWay(bytes, at, end, matcher, depth);
  const textAt = plainValueAt(bytes, valueAt, end);
  if (textAt < 0) return scanLongWay(bytes, at, end, matcher, depth);
  const key = matcher.findKey(bytes, at + 2, keyEnd);
  if (key >= 0 && valueAt !== end) {
    testValue(bytes, bytes[valueAt]!, textAt, end, key, matcher);
  }
  return OK;
}

/** Offset after a size of one or two bytes, when the value then ends exactly at `end`; else -1. */
function afterSize(bytes: Uint8Array, at: number, end: number): number {
  const size = bytes[at]!;
  if (size < 0x80) return at + 1 + size === end ? at + 1 : -1;
  if (end - at < 2) return -1;
  const high = bytes[at + 1]!;
  if (high >= 0x80) return -1;
  return at + 2 + (size & 0x7f) + (high << 7) === end ? at + 2 : -1;
}

/** Where the value begins of an AnyValue that is empty or just one scalar; else -1. */
function plainValueAt(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return at;
  if (end - at < 2) return -1;
  switch (bytes[at]) {
    case TAG_STRING: return afterSize(bytes, at + 1, end);
    case TAG_INT:
    case TAG_BOOL: return skipVarint(bytes, at + 1, end) === end ? at + 1 : -1;
    case TAG_DOUBLE: return end - at === 9 ? at + 1 : -1;
    default: return -1;
  }
}

/** Tests a value of the oneof; bytes[at, end) is what follows its tag and size. */
function testValue(
  bytes: Uint8Array, tag: number, at: number, end: number, key: number, matcher: AttributeMatcher,
): void {
  switch (tag) {
    case TAG_STRING:
      matcher.testString(key, bytes, at, end);
      return;
    case TAG_INT:
      readVarint(bytes, at, end);
      matcher.testInteger(key, numbers[HIGH]! | 0, numbers[LOW]! | 0);
      return;
    case TAG_BOOL:
      readVarint(bytes, at, end);
      matcher.testBoolean(key, (numbers[HIGH]! | numbers[LOW]!) !== 0);
      return;
    default: // doubles, arrays, lists and bytes: no predicate is about them
  }
}

/** Any legal KeyValue: of a key or a oneof given more than once the last one holds. */
function scanLongWay(
  bytes: Uint8Array, at: number, end: number, matcher: AttributeMatcher, depth: number,
): number {
  const code = checkMessage(bytes, at, end, MESSAGE_KEY_VALUE, depth);
  if (code !== OK) return code;
  if (matcher.keyCount === 0) return OK;
  found[KEY_AT] = 0;
  found[KEY_END] = 0;
  found[VALUE_TAG] = 0;
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    const tag = numbers[LOW]!;
    if (tag === TAG_KEY || tag === TAG_VALUE) {
      next = readLength(bytes, next, end);
      const valueEnd = numbers[LOW]!;
      if (tag === TAG_VALUE) {
        mergeValue(bytes, next, valueEnd);
      } else {
        found[KEY_AT] = next;
        found[KEY_END] = valueEnd;
      }
      next = valueEnd;
    } else {
      next = skipValue(bytes, next, end, tag, depth + 1);
    }
  }
  const key = matcher.findKey(bytes, found[KEY_AT]!, found[KEY_END]!);
  if (key >= 0) {
    testValue(bytes, found[VALUE_TAG]!, found[VALUE_AT]!, found[VALUE_END]!, key, matcher);
  }
  return OK;
}

/** Remembers the last value of the oneof in a checked AnyValue; one without leaves the former. */
function mergeValue(bytes: Uint8Array, at: number, end: number): void {
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    const tag = numbers[LOW]!;
    const hasSize = tag === TAG_STRING || tag === TAG_BYTES || tag === TAG_ARRAY
      || tag === TAG_LIST;
    const valueAt = hasSize ? readLength(bytes, next, end) : next;
    next = hasSize ? numbers[LOW]! : skipValue(bytes, next, end, tag, 0);
    if (!hasSize && tag !== TAG_INT && tag !== TAG_BOOL && tag !== TAG_DOUBLE) continue;
    found[VALUE_TAG] = tag;
    found[VALUE_AT] = valueAt;
    found[VALUE_END] = next;
  }
}
