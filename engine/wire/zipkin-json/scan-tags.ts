// The tags of a Zipkin span: every value is a string; each is tested under its key, and those that
// give the status are noted.
//
// The n-th name is compared with the n-th of a span before, from its quote to the one of the value,
// and only read where that fails.

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import { scratchText } from "../../part/scratch-text.ts";
import {
  CLOSE_OBJECT, COMMA, OPEN_OBJECT, QUOTE, afterColon, lastString, skipSpace,
} from "../json/cursor.ts";
import { expectNull, refuseValue } from "../json/expect.ts";
import { RepeatedStarts } from "../json/repeated-starts.ts";
import { endOfText } from "../json/text.ts";
import { findTextKey, testText } from "../json/text-match.ts";
import { unescape } from "../json/unescape.ts";
import { SCAN_BAD_JSON } from "../scan-codes.ts";

/** Values around a tag's value: the array, the span, its tags. */
const VALUE_DEPTH = 3;
const BAD = -SCAN_BAD_JSON;
const SPACE = 0x20;

/** What a tag's name means: nothing here, or one of the two that give the status. */
const ROLE_NONE = 0;
const ROLE_ERROR = 1;
const ROLE_STATUS = 2;

const encoder = new TextEncoder();
const ERROR_NAME = encoder.encode("error");
const STATUS_NAME = encoder.encode("otel.status_code");
const FALSE_TEXT = encoder.encode("false");
/** As the Collector's exporter, the specification and others write them; see span-end.ts too. */
const OK_TEXTS = ["OK", "Ok", "STATUS_CODE_OK"].map((text) => encoder.encode(text));
const ERROR_TEXTS = ["ERROR", "Error", "STATUS_CODE_ERROR"].map((text) => encoder.encode(text));

/** What the tags of the last span say of its status: one of TAGS_ below each. One thread. */
export const tagStatus = new Uint8Array(2);
export const TAG_STATUS_CODE = 0;
export const TAG_ERROR = 1;
export const STATUS_CODE_NONE = 0;
export const STATUS_CODE_OK = 1;
export const STATUS_CODE_ERROR = 2;

const starts = new RepeatedStarts();

/** Forgets the names of the last payload. */
export function forgetNames(): void {
  starts.forget();
}

/** Forgets the tags of the last span. */
export function forgetTags(): void {
  tagStatus[TAG_STATUS_CODE] = STATUS_CODE_NONE;
  tagStatus[TAG_ERROR] = 0;
}

/**
 * Scans the value of `tags` at `at`.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function scanTags(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
): number {
  if (at >= end || bytes[at] !== OPEN_OBJECT) return expectNull(bytes, at, end, VALUE_DEPTH - 1);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  for (let tag = 0; ; tag++) {
    const size = starts.match(view, next, end, tag);
    next = size !== 0 ? next + size : readName(bytes, view, next, end, matcher, tag);
    if (next < 0) return next;
    const close = endOfText(bytes, view, next, end);
    if (close < 0) return close;
    const key = starts.key;
    const role = starts.kind;
    if (key >= 0) testText(matcher, key, bytes, next, close, lastString.escaped);
    if (role !== ROLE_NONE) noteStatus(bytes, next, close, role);
    next = close + 1;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next++;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
  }
}

/** Reads a name up to the first byte in the quotes of its value; remembers it as number `tag`. */
function readName(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  tag: number,
): number {
  if (at >= end || bytes[at] !== QUOTE) return BAD;
  const close = endOfText(bytes, view, at + 1, end);
  if (close < 0) return close;
  const isEscaped = lastString.escaped;
  const next = afterColon(bytes, close + 1, end);
  if (next < 0) return next;
  if (next >= end || bytes[next] !== QUOTE) return refuseValue(bytes, next, end, VALUE_DEPTH);
  const key = findTextKey(matcher, bytes, at + 1, close, isEscaped);
  const role = isEscaped
    ? roleOf(scratchText, 0, unescape(bytes, at + 1, close)) : roleOf(bytes, at + 1, close);
  starts.remember(tag, at, next + 1 - at, key, role);
  return next + 1;
}

function roleOf(bytes: Uint8Array, at: number, end: number): number {
  if (isText(bytes, at, end, ERROR_NAME)) return ROLE_ERROR;
  return isText(bytes, at, end, STATUS_NAME) ? ROLE_STATUS : ROLE_NONE;
}

/** Of a name given twice the last value counts. */
function noteStatus(bytes: Uint8Array, at: number, close: number, role: number): void {
  if (!lastString.escaped) {
    noteStatusText(bytes, at, close, role);
    return;
  }
  noteStatusText(scratchText, 0, unescape(bytes, at, close), role);
}

function noteStatusText(bytes: Uint8Array, at: number, end: number, role: number): void {
  if (role === ROLE_ERROR) {
    tagStatus[TAG_ERROR] = isText(bytes, at, end, FALSE_TEXT) ? 0 : 1;
    return;
  }
  let code = STATUS_CODE_NONE;
  if (isAnyText(bytes, at, end, OK_TEXTS)) code = STATUS_CODE_OK;
  else if (isAnyText(bytes, at, end, ERROR_TEXTS)) code = STATUS_CODE_ERROR;
  tagStatus[TAG_STATUS_CODE] = code;
}

function isAnyText(
  bytes: Uint8Array, at: number, end: number, texts: readonly Uint8Array[],
): boolean {
  for (let index = 0; index < texts.length; index++) {
    if (isText(bytes, at, end, texts[index]!)) return true;
  }
  return false;
}

function isText(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  if (end - at !== text.length) return false;
  for (let offset = 0; offset < text.length; offset++) {
    if (bytes[at + offset] !== text[offset]) return false;
  }
  return true;
}
