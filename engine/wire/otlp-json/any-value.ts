// AnyValue and KeyValue in their JSON encoding, to protobuf: all kinds, inside each other.
// Sources: opentelemetry-proto 1.9 common.proto; OTLP specification, "JSON Protobuf Encoding";
// protobuf.dev "ProtoJSON Format".

import { copied, copyText } from "../json/json-text.ts";
import { integer, readDouble, readInteger } from "../json/number-text.ts";
import { KEY_END, KEY_FIRST, KeyTable } from "../json/key-table.ts";
import { takeBoolean, textField } from "../json/fields.ts";
import type { ProtoWriter } from "../json/proto-writer.ts";
import type { JsonReader } from "../json/reader.ts";
import { decodeBase64 } from "./base64.ts";

const number = integer;
const text = copied;

const KEY_VALUE = new KeyTable(["key", "value"]);
const KEY = 0;
const VALUE = 1;
const ANY_VALUE = new KeyTable([
  "stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue",
]);
const STRING_VALUE = 0;
const BOOL_VALUE = 1;
const INT_VALUE = 2;
const DOUBLE_VALUE = 3;
const ARRAY_VALUE = 4;
const KVLIST_VALUE = 5;
const BYTES_VALUE = 6;
const VALUES = new KeyTable(["values"]);
const SPECIAL_DOUBLES = new KeyTable(["NaN", "Infinity", "-Infinity"]);
const SPECIAL_DOUBLE_VALUES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

const TAG_KEY = 0x0a;
const TAG_VALUE = 0x12;
const TAG_STRING_VALUE = 0x0a;
const TAG_BOOL_VALUE = 0x10;
const TAG_INT_VALUE = 0x18;
const TAG_DOUBLE_VALUE = 0x21;
const TAG_ARRAY_VALUE = 0x2a;
const TAG_KVLIST_VALUE = 0x32;
const TAG_BYTES_VALUE = 0x3a;
/** values of an ArrayValue and of a KeyValueList. */
const TAG_VALUES = 0x0a;
/** Messages that one level opens: AnyValue, its list, KeyValue. */
const LEVEL_MESSAGES = 3;
const NEVER_AHEAD = -0x4000_0000;

/** An array of KeyValue, each as a field. */
export function keyValuesField(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!reader.enterArray()) return;
  while (reader.nextElement()) keyValueField(reader, writer, tag);
}

function keyValueField(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!writer.canOpen(LEVEL_MESSAGES)) {
    reader.skip();
    return;
  }
  if (!reader.enterObject()) return;
  writer.begin(tag, 1);
  let key = reader.nextMember(KEY_VALUE, KEY_FIRST);
  for (; key !== KEY_END; key = reader.nextMember(KEY_VALUE, key)) {
    switch (key) {
      case KEY: textField(reader, writer, TAG_KEY); break;
      case VALUE: anyValueField(reader, writer, TAG_VALUE); break;
      default: reader.skip();
    }
  }
  writer.finish();
}

function anyValueField(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!writer.canOpen(LEVEL_MESSAGES)) {
    reader.skip();
    return;
  }
  if (!reader.enterObject()) return;
  writer.begin(tag, 1);
  let key = reader.nextMember(ANY_VALUE, KEY_FIRST);
  for (; key !== KEY_END; key = reader.nextMember(ANY_VALUE, key)) {
    switch (key) {
      case STRING_VALUE: textField(reader, writer, TAG_STRING_VALUE); break;
      case BOOL_VALUE: boolValue(reader, writer); break;
      case INT_VALUE: intValue(reader, writer); break;
      case DOUBLE_VALUE: doubleValue(reader, writer); break;
      case ARRAY_VALUE: listValue(reader, writer, TAG_ARRAY_VALUE); break;
      case KVLIST_VALUE: listValue(reader, writer, TAG_KVLIST_VALUE); break;
      case BYTES_VALUE: bytesValue(reader, writer); break;
      default: reader.skip();
    }
  }
  writer.finish();
}

/** ArrayValue and KeyValueList: an object with one array. */
function listValue(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!reader.enterObject()) return;
  writer.begin(tag, 1);
  let key = reader.nextMember(VALUES, KEY_FIRST);
  for (; key !== KEY_END; key = reader.nextMember(VALUES, key)) {
    if (key !== 0) {
      reader.skip();
    } else if (tag === TAG_KVLIST_VALUE) {
      keyValuesField(reader, writer, TAG_VALUES);
    } else if (reader.enterArray()) {
      while (reader.nextElement()) anyValueField(reader, writer, TAG_VALUES);
    }
  }
  writer.finish();
}

function boolValue(reader: JsonReader, writer: ProtoWriter): void {
  const value = takeBoolean(reader);
  if (value >= 0) writer.varint(TAG_BOOL_VALUE, value);
}

/** int64: two's complement of what the text says; a number that is none becomes a double. */
function intValue(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.takePlain()) return;
  const { textBytes, textAt, textEnd } = reader;
  if (readInteger(textBytes, textAt, textEnd, false)) {
    const { halves, negative } = number;
    const low = halves[0]!;
    const high = halves[1]!;
    if (high < 0x8000_0000 || (negative && high === 0x8000_0000 && low === 0)) {
      const lowNegated = (~low + 1) >>> 0;
      const highNegated = (~high + (lowNegated === 0 ? 1 : 0)) >>> 0;
      if (negative) writer.varint64(TAG_INT_VALUE, lowNegated, highNegated);
      else writer.varint64(TAG_INT_VALUE, low, high);
      return;
    }
  }
  const value = readDouble(textBytes, textAt, textEnd);
  if (Number.isFinite(value)) writer.double(TAG_DOUBLE_VALUE, value);
}

function doubleValue(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.takePlain()) return;
  const { textBytes, textAt, textEnd } = reader;
  const special = SPECIAL_DOUBLES.find(textBytes, textAt, textEnd);
  if (special >= 0) {
    writer.double(TAG_DOUBLE_VALUE, SPECIAL_DOUBLE_VALUES[special]!);
    return;
  }
  const value = readDouble(textBytes, textAt, textEnd);
  if (!Number.isNaN(value)) writer.double(TAG_DOUBLE_VALUE, value);
}

/** Base64 of either alphabet, decoded where it was copied to. */
function bytesValue(reader: JsonReader, writer: ProtoWriter): void {
  if (!reader.isString()) {
    reader.skip();
    return;
  }
  const from = writer.at;
  writer.begin(TAG_BYTES_VALUE, 1);
  copyText(reader.bytes, reader.at + 1, reader.end, writer.bytes, writer.at, NEVER_AHEAD);
  reader.at = text.sourceEnd;
  const end = decodeBase64(writer.bytes, writer.at, text.targetEnd);
  writer.at = Math.max(end, writer.at);
  writer.finish();
  if (end < 0) writer.at = from;
}
