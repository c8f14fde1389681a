// Attributes of a span from what a Zipkin span says, as fields of the open Span message.

import { copied, copyPlain } from "../json/json-text.ts";
import { rangeField, textField } from "../json/fields.ts";
import type { ProtoWriter } from "../json/proto-writer.ts";
import type { JsonReader } from "../json/reader.ts";

const text = copied;
const TAG_ATTRIBUTE = 0x4a;
const TAG_KEY = 0x0a;
const TAG_VALUE = 0x12;
const TAG_STRING_VALUE = 0x0a;
const TAG_INT_VALUE = 0x18;
const LOWER_N = 0x6e;

/** KeyValue.key with a name that we give, as a field. */
export function keyField(name: string): Uint8Array {
  return Uint8Array.from([TAG_KEY, name.length, ...Buffer.from(name, "latin1")]);
}

/** A whole Span.attributes field: a name that we give, true. */
export function trueAttribute(name: string): Uint8Array {
  const key = keyField(name);
  return Uint8Array.from([TAG_ATTRIBUTE, key.length + 4, ...key, TAG_VALUE, 2, 0x10, 1]);
}

/** Bytes of an attribute before its key, when that is shorter than 128 bytes. */
export const ATTRIBUTE_KEY_AT = 4;

/** Opens an attribute for the member whose key the reader is at, and copies the key. */
export function beginAttribute(reader: JsonReader, writer: ProtoWriter): void {
  writer.begin(TAG_ATTRIBUTE, 1);
  rangeField(writer, TAG_KEY, reader.bytes, reader.keyAt, reader.end);
  reader.at = text.sourceEnd;
}

/** Takes it back; `from` is where it was begun. */
export function cancelAttribute(writer: ProtoWriter, from: number): void {
  writer.open--;
  writer.at = from;
}

/** The value that the reader is at, under a name that we give. */
export function namedAttribute(reader: JsonReader, writer: ProtoWriter, key: Uint8Array): void {
  writer.begin(TAG_ATTRIBUTE, 1);
  writer.raw(key);
  valueField(reader, writer);
  writer.finish();
}

/** A whole number under a name that we give. */
export function integerAttribute(
  writer: ProtoWriter, key: Uint8Array, low: number, high: number,
): void {
  writer.begin(TAG_ATTRIBUTE, 1);
  writer.raw(key);
  writer.begin(TAG_VALUE, 1);
  writer.varint64(TAG_INT_VALUE, low, high);
  writer.finish();
  writer.finish();
}

/** A string as it is, any other value as the JSON that it is; null is no value. */
export function valueField(reader: JsonReader, writer: ProtoWriter): void {
  if (reader.at < reader.end && reader.bytes[reader.at] === LOWER_N) {
    reader.skip();
    return;
  }
  writer.begin(TAG_VALUE, 1);
  if (reader.isString()) {
    textField(reader, writer, TAG_STRING_VALUE);
  } else {
    const from = reader.at;
    reader.skip();
    writer.begin(TAG_STRING_VALUE, 1);
    copyPlain(reader.bytes, from, reader.at, writer.bytes, writer.at, writer.aheadMax);
    writer.at = text.targetEnd;
    writer.finish();
  }
  writer.finish();
}
