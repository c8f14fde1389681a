// One JSON value to one protobuf field. A value of the wrong type is passed over and leaves no
// field; the reader stands behind the value in any case.

import { QUOTE, hexDigit } from "./cursor.ts";
import { copied, copyText } from "./json-text.ts";
import { integer, readInteger } from "./number-text.ts";
import type { ProtoWriter } from "./proto-writer.ts";
import type { JsonReader } from "./reader.ts";

const text = copied;
const number = integer;
const LOWER_T = 0x74;
const LOWER_F = 0x66;
const NO_DIGIT = 0xff;
/** Values of hexadecimal digits in either case. */
const HEX = Uint8Array.from({ length: 256 }, (_, byte) =>
  hexDigit(byte) < 0 ? NO_DIGIT : hexDigit(byte));

/** A string as a field of text. */
export function textField(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!reader.isString()) {
    reader.skip();
    return;
  }
  const from = writer.at + 2;
  writer.bytes[from - 2] = tag;
  copyText(reader.bytes, reader.at + 1, reader.end, writer.bytes, from, writer.aheadMax);
  reader.at = text.sourceEnd;
  writer.finishLeaf(from, text.targetEnd);
}

/** Text that lies in source[at, end), escapes and all, without quotes around it. */
export function rangeField(
  writer: ProtoWriter, tag: number, source: Uint8Array, at: number, end: number,
): void {
  const from = writer.at + 2;
  writer.bytes[from - 2] = tag;
  copyText(source, at, end, writer.bytes, from, writer.aheadMax);
  writer.finishLeaf(from, text.targetEnd);
}

/**
 * An id in hexadecimal digits.
 * @param idBytes its size; exactly so, but a shorter one is padded on the left when `pads`.
 */
export function idField(
  reader: JsonReader, writer: ProtoWriter, tag: number, idBytes: number, pads: boolean,
): void {
  if (!reader.isString()) {
    reader.skip();
    return;
  }
  const at = reader.at + 1;
  const close = at + 2 * idBytes;
  if (close < reader.end && reader.bytes[close] === QUOTE) {
    if (writeId(writer, tag, idBytes, reader.bytes, at, close)) {
      reader.at = close + 1;
      return;
    }
  }
  if (!reader.takePlain()) return;
  const { textBytes, textAt, textEnd } = reader;
  const digits = textEnd - textAt;
  if (digits === 0 || digits > idBytes * 2 || (digits < idBytes * 2 && !pads)) return;
  writeId(writer, tag, idBytes, textBytes, textAt, textEnd);
}

/** Digits from the right; what the left lacks is 0. @returns false when one of them is none. */
function writeId(
  writer: ProtoWriter, tag: number, idBytes: number, source: Uint8Array, at: number, end: number,
): boolean {
  const { bytes } = writer;
  const from = writer.at + 2;
  bytes[from - 2] = tag;
  bytes[from - 1] = idBytes;
  for (let byte = 0; byte < idBytes; byte++) {
    const digit = end - 2 * (idBytes - byte);
    const high = digit < at ? 0 : HEX[source[digit]!]!;
    const low = digit + 1 < at ? 0 : HEX[source[digit + 1]!]!;
    if ((high | low) > 0x0f) return false;
    bytes[from + byte] = (high << 4) | low;
  }
  writer.at = from + idBytes;
  return true;
}

/** A whole number, or a string of one, into `integer`; false when it is none. */
export function takeInteger(reader: JsonReader, truncates: boolean): boolean {
  if (!reader.takePlain()) return false;
  return readInteger(reader.textBytes, reader.textAt, reader.textEnd, truncates);
}

/** uint32. */
export function countField(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!takeInteger(reader, false) || number.negative || number.halves[1] !== 0) return;
  writer.varint(tag, number.halves[0]!);
}

/** fixed64 of an unsigned number: times. */
export function timeField(reader: JsonReader, writer: ProtoWriter, tag: number): void {
  if (!takeInteger(reader, false) || number.negative) return;
  writer.fixed64(tag, number.halves[0]!, number.halves[1]!);
}

/** 1, 0, or -1 when the value is neither true nor false. */
export function takeBoolean(reader: JsonReader): number {
  const byte = reader.at < reader.end ? reader.bytes[reader.at] : QUOTE;
  reader.skip();
  if (byte === LOWER_T) return 1;
  return byte === LOWER_F ? 0 : -1;
}
