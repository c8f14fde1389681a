// The fields of a Span, its events, links and status.

import {
  countField, idField, takeInteger, textField, timeField,
} from "../json/fields.ts";
import { KEY_END, KEY_FIRST, KeyTable } from "../json/key-table.ts";
import { integer, readInteger } from "../json/number-text.ts";
import type { ProtoWriter } from "../json/proto-writer.ts";
import type { JsonReader } from "../json/reader.ts";
import { keyValuesField } from "./any-value.ts";

const number = integer;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

const SPAN_KEYS = new KeyTable([
  "traceId", "spanId", "traceState", "parentSpanId", "name", "kind", "startTimeUnixNano",
  "endTimeUnixNano", "attributes", "droppedAttributesCount", "events", "droppedEventsCount",
  "links", "droppedLinksCount", "status", "flags",
]);
const EVENT_KEYS = new KeyTable(["timeUnixNano", "name", "attributes", "droppedAttributesCount"]);
const LINK_KEYS = new KeyTable([
  "traceId", "spanId", "traceState", "attributes", "droppedAttributesCount", "flags",
]);
const STATUS_KEYS = new KeyTable(["message", "code"]);
const KIND_NAMES = new KeyTable([
  "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT",
  "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
]);
const STATUS_NAMES = new KeyTable(["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]);

const TAG_KIND = 0x30;
const TAG_EVENT = 0x5a;
const TAG_LINK = 0x6a;
const TAG_STATUS = 0x7a;
const TAG_STATUS_CODE = 0x18;
const TAG_LINK_FLAGS = 0x35;
const TAG_SPAN_FLAGS_LOW = 0x85;
const TAG_SPAN_FLAGS_HIGH = 0x01;
const ENUM_MAX = 0x7fff_ffff;

/** Writes the fields of the span that the reader is at. */
export function spanFields(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.enterObject()) return;
  let key = reader.nextMember(SPAN_KEYS, KEY_FIRST);
  for (; key !== KEY_END; key = reader.nextMember(SPAN_KEYS, key)) {
    switch (key) {
      case 0: idField(reader, writer, 0x0a, TRACE_ID_BYTES, false); break;
      case 1: idField(reader, writer, 0x12, SPAN_ID_BYTES, false); break;
      case 2: textField(reader, writer, 0x1a); break;
      case 3: idField(reader, writer, 0x22, SPAN_ID_BYTES, false); break;
      case 4: textField(reader, writer, 0x2a); break;
      case 5: enumField(reader, writer, TAG_KIND, KIND_NAMES); break;
      case 6: timeField(reader, writer, 0x39); break;
      case 7: timeField(reader, writer, 0x41); break;
      case 8: keyValuesField(reader, writer, 0x4a); break;
      case 9: countField(reader, writer, 0x50); break;
      case 10: eventsField(reader, writer); break;
      case 11: countField(reader, writer, 0x60); break;
      case 12: linksField(reader, writer); break;
      case 13: countField(reader, writer, 0x70); break;
      case 14: statusField(reader, writer); break;
      case 15: flagsField(reader, writer); break;
      default: reader.skip();
    }
  }
}

function eventsField(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.enterArray()) return;
  while (reader.nextElement()) {
    if (!reader.enterObject()) continue;
    writer.begin(TAG_EVENT, 1);
    let key = reader.nextMember(EVENT_KEYS, KEY_FIRST);
    for (; key !== KEY_END; key = reader.nextMember(EVENT_KEYS, key)) {
      switch (key) {
        case 0: timeField(reader, writer, 0x09); break;
        case 1: textField(reader, writer, 0x12); break;
        case 2: keyValuesField(reader, writer, 0x1a); break;
        case 3: countField(reader, writer, 0x20); break;
        default: reader.skip();
      }
    }
    writer.finish();
  }
}

function linksField(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.enterArray()) return;
  while (reader.nextElement()) {
    if (!reader.enterObject()) continue;
    writer.begin(TAG_LINK, 1);
    let key = reader.nextMember(LINK_KEYS, KEY_FIRST);
    for (; key !== KEY_END; key = reader.nextMember(LINK_KEYS, key)) {
      switch (key) {
        case 0: idField(reader, writer, 0x0a, TRACE_ID_BYTES, false); break;
        case 1: idField(reader, writer, 0x12, SPAN_ID_BYTES, false); break;
        case 2: textField(reader, writer, 0x1a); break;
        case 3: keyValuesField(reader, writer, 0x22); break;
        case 4: countField(reader, writer, 0x28); break;
        case 5:
          if (takeFlags(reader)) writer.shortFixed32(TAG_LINK_FLAGS, number.halves[0]!);
          break;
        default: reader.skip();
      }
    }
    writer.finish();
  }
}

function statusField(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.enterObject()) return;
  writer.begin(TAG_STATUS, 1);
  let key = reader.nextMember(STATUS_KEYS, KEY_FIRST);
  for (; key !== KEY_END; key = reader.nextMember(STATUS_KEYS, key)) {
    switch (key) {
      case 0: textField(reader, writer, 0x12); break;
      case 1: enumField(reader, writer, TAG_STATUS_CODE, STATUS_NAMES); break;
      default: reader.skip();
    }
  }
  writer.finish();
}

/** An enum by number or by name; numbers that it has no name for go along, negative ones do not. */
function enumField(
  reader: JsonReader, writer: ProtoWriter, tag: number, names: KeyTable,
): void {
  if (!reader.takePlain()) return;
  const named = names.find(reader.textBytes, reader.textAt, reader.textEnd);
  if (named >= 0) {
    writer.varint(tag, named);
    return;
  }
  if (!readInteger(reader.textBytes, reader.textAt, reader.textEnd, false)) return;
  if (number.negative || number.halves[1] !== 0 || number.halves[0]! > ENUM_MAX) return;
  writer.varint(tag, number.halves[0]!);
}

/** fixed32 of a Span. */
function flagsField(reader: JsonReader, writer: ProtoWriter): void {
  if (!takeFlags(reader)) return;
  writer.fixed32(TAG_SPAN_FLAGS_LOW, TAG_SPAN_FLAGS_HIGH, number.halves[0]!);
}

function takeFlags(reader: JsonReader): boolean {
  return takeInteger(reader, false) && !number.negative && number.halves[1] === 0;
}
