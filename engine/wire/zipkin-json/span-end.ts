// What of a Zipkin span depends on more than one of its values, rendered after the rest of it.
//
// Tags that become a field of OTLP and no attribute:
//   otel.status_code          OK, ERROR or UNSET, also as STATUS_CODE_…: the status
//   otel.status_description   with such a code: its message
//   error                     "true" or "": an error. Any other text: an error with this message,
//                             which stays an attribute when there is a description as well.
//                             "false", and anything beside the code OK: an attribute only
//   span.kind                 a kind in lower case, when the span has no kind of its own
//   w3c.tracestate            the trace state
//   otel.scope.name, .version, and otel.library.name, .version where they are missing or the same
// Whatever of them has no such meaning stays an attribute under its name.

import { QUOTE } from "../json/cursor.ts";
import { idField, takeBoolean, textField } from "../json/fields.ts";
import { KeyTable } from "../json/key-table.ts";
import { integer, readInteger } from "../json/number-text.ts";
import type { ProtoWriter } from "../json/proto-writer.ts";
import type { JsonReader } from "../json/reader.ts";
import { integerAttribute, keyField, namedAttribute, trueAttribute } from "./attributes.ts";
import { addNanoseconds, nanoseconds, takeMicros } from "./micros.ts";
import {
  DEBUG, DURATION, ERROR, ID, IPV4, IPV6, KIND, LIBRARY_NAME, LIBRARY_VERSION, LOCAL, PARENT_ID,
  PORT, REMOTE, SCOPE_NAME, SCOPE_VERSION, SERVICE, SHARED, SPAN_KIND, STATUS_CODE,
  STATUS_DESCRIPTION, TAG_LOCAL_ADDRESS, TAG_LOCAL_PORT, TAG_PEER_ADDRESS, TAG_PEER_PORT,
  TAG_PEER_SERVICE, TIMESTAMP, TRACE_STATE,
} from "./span-places.ts";

const SPAN_ID_BYTES = 8;
const TAG_SPAN_ID = 0x12;
const TAG_TRACE_STATE = 0x1a;
const TAG_PARENT_ID = 0x22;
const TAG_KIND = 0x30;
const TAG_START = 0x39;
const TAG_END = 0x41;
const TAG_DROPPED_ATTRIBUTES = 0x50;
const TAG_STATUS = 0x7a;
const TAG_STATUS_MESSAGE = 0x12;
const TAG_STATUS_CODE = 0x18;
const CODE_OK = 1;
const CODE_ERROR = 2;
const CODE_UNKNOWN = -1;

const KINDS = new KeyTable(["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]);
const KIND_NUMBERS = [3, 2, 4, 5];
const KIND_TAGS = new KeyTable(["internal", "server", "client", "producer", "consumer"]);
const CODES = new KeyTable([
  "UNSET", "OK", "ERROR", "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR", "Unset",
  "Ok", "Error",
]);
const CODES_COUNT = 3;
const TRUE_FALSE = new KeyTable(["true", "false"]);

/** As the Collector marks a span without a timestamp. */
const START_ABSENT = trueAttribute("otel.zipkin.absentField.startTime");
const DEBUG_SET = trueAttribute("zipkin.debug");
const SHARED_SET = trueAttribute("zipkin.shared");
const KIND_KEY = keyField("zipkin.kind");
const TIMESTAMP_KEY = keyField("zipkin.timestamp");
const DURATION_KEY = keyField("zipkin.duration");
const STATUS_CODE_KEY = keyField("otel.status_code");
const DESCRIPTION_KEY = keyField("otel.status_description");
const ERROR_KEY = keyField("error");
const SPAN_KIND_KEY = keyField("span.kind");
const LIBRARY_NAME_KEY = keyField("otel.library.name");
const LIBRARY_VERSION_KEY = keyField("otel.library.version");

/** Names for what an endpoint says; the second when a tag has taken the first. */
interface EndpointKeys {
  readonly service: readonly [Uint8Array, Uint8Array] | null;
  readonly address: readonly [Uint8Array, Uint8Array];
  readonly port: readonly [Uint8Array, Uint8Array];
  /** For the ipv4 of an endpoint that has both. */
  readonly ipv4: Uint8Array;
}
const LOCAL_KEYS: EndpointKeys = {
  service: null, address: bothKeys("network.local.address"), port: bothKeys("network.local.port"),
  ipv4: keyField("zipkin.local.ipv4"),
};
const REMOTE_KEYS: EndpointKeys = {
  service: bothKeys("service.peer.name"), address: bothKeys("network.peer.address"),
  port: bothKeys("network.peer.port"), ipv4: keyField("zipkin.remote.ipv4"),
};

function bothKeys(name: string): readonly [Uint8Array, Uint8Array] {
  return [keyField(name), keyField(`zipkin.${name}`)];
}

/** Of one span at a time; one thread. */
export class SpanEnd {
  /** Places of the names for the span's scope, as JSON strings; 0 = none. */
  scopeNameAt = 0;
  scopeVersionAt = 0;
  readonly #reader: JsonReader;
  readonly #writer: ProtoWriter;
  readonly #places: Uint32Array;
  /** Target offset beyond which text that waited may not grow, but for its own length. */
  #limit = 0;

  constructor(reader: JsonReader, writer: ProtoWriter, places: Uint32Array) {
    this.#reader = reader;
    this.#writer = writer;
    this.#places = places;
  }

  /**
   * Writes what waited into the open Span message.
   * @param limit see above.
   * @param droppedTags that found no room.
   */
  render(limit: number, droppedTags: number): void {
    this.#limit = limit;
    this.#ids();
    this.#kind();
    this.#times();
    this.#status();
    this.#scope();
    this.#traceState();
    this.#endpoint(LOCAL, LOCAL_KEYS, 0, TAG_LOCAL_ADDRESS, TAG_LOCAL_PORT);
    this.#endpoint(
      REMOTE, REMOTE_KEYS, TAG_PEER_SERVICE, TAG_PEER_ADDRESS, TAG_PEER_PORT,
    );
    if (this.#seek(DEBUG) && takeBoolean(this.#reader) === 1) this.#writer.raw(DEBUG_SET);
    if (this.#seek(SHARED) && takeBoolean(this.#reader) === 1) this.#writer.raw(SHARED_SET);
    if (droppedTags > 0) this.#writer.varint(TAG_DROPPED_ATTRIBUTES, droppedTags);
  }

  /** Place of the string in a slot, 0 when there is none or it is empty. */
  textPlace(slot: number): number {
    if (!this.#seek(slot) || !this.#reader.isString()) return 0;
    const at = this.#reader.at + 1;
    return at < this.#reader.end && this.#reader.bytes[at] !== QUOTE ? at - 1 : 0;
  }

  /** Goes to the value of a slot; false when it is absent. */
  #seek(slot: number): boolean {
    const at = this.#places[slot]!;
    if (at === 0) return false;
    this.#reader.at = at;
    this.#writer.aheadMax = this.#limit - at;
    return true;
  }

  /** Takes the text of a slot into the reader; false when it is absent or not short. */
  #take(slot: number): boolean {
    return this.#seek(slot) && this.#reader.takePlain();
  }

  #find(slot: number, table: KeyTable): number {
    if (!this.#take(slot)) return -1;
    return table.find(this.#reader.textBytes, this.#reader.textAt, this.#reader.textEnd);
  }

  #attribute(slot: number, key: Uint8Array): void {
    if (this.#seek(slot)) namedAttribute(this.#reader, this.#writer, key);
  }

  #ids(): void {
    const writer = this.#writer;
    const from = writer.at;
    if (this.#seek(ID)) idField(this.#reader, writer, TAG_SPAN_ID, SPAN_ID_BYTES, true);
    const parentFrom = writer.at;
    if (!this.#seek(PARENT_ID)) return;
    idField(this.#reader, writer, TAG_PARENT_ID, SPAN_ID_BYTES, true);
    if (writer.at === parentFrom) return;
    let isZero = true;
    let isSame = parentFrom > from;
    for (let byte = 2; byte < 2 + SPAN_ID_BYTES; byte++) {
      if (writer.bytes[parentFrom + byte] !== 0) isZero = false;
      if (writer.bytes[parentFrom + byte] !== writer.bytes[from + byte]) isSame = false;
    }
    if (isZero || isSame) writer.at = parentFrom;
  }

  #kind(): void {
    const kind = this.#find(KIND, KINDS);
    if (kind >= 0) {
      this.#writer.varint(TAG_KIND, KIND_NUMBERS[kind]!);
      this.#attribute(SPAN_KIND, SPAN_KIND_KEY);
      return;
    }
    if (this.textPlace(KIND) !== 0) this.#attribute(KIND, KIND_KEY);
    const tagged = this.#find(SPAN_KIND, KIND_TAGS);
    if (tagged >= 0) this.#writer.varint(TAG_KIND, tagged + 1);
    else this.#attribute(SPAN_KIND, SPAN_KIND_KEY);
  }

  #times(): void {
    const writer = this.#writer;
    let low = 0;
    let high = 0;
    if (this.#seek(TIMESTAMP) && takeMicros(this.#reader)) {
      low = nanoseconds[0]!;
      high = nanoseconds[1]!;
    } else {
      this.#odd(TIMESTAMP, TIMESTAMP_KEY);
    }
    if (this.#seek(DURATION) && takeMicros(this.#reader)) {
      addNanoseconds(low, high);
    } else {
      this.#odd(DURATION, DURATION_KEY);
      nanoseconds[0] = low;
      nanoseconds[1] = high;
    }
    if (low === 0 && high === 0) writer.raw(START_ABSENT);
    else writer.fixed64(TAG_START, low, high);
    if (nanoseconds[0] !== 0 || nanoseconds[1] !== 0) {
      writer.fixed64(TAG_END, nanoseconds[0]!, nanoseconds[1]!);
    }
  }

  /** A time that OTLP cannot say, such as a negative one: as an attribute. */
  #odd(slot: number, key: Uint8Array): void {
    if (!this.#take(slot)) return;
    const { textBytes, textAt, textEnd } = this.#reader;
    if (textEnd > textAt && textBytes[textAt] !== 0x6e) this.#attribute(slot, key); // not null
  }

  #status(): void {
    const named = this.#find(STATUS_CODE, CODES);
    let code = named < 0 ? CODE_UNKNOWN : named % CODES_COUNT;
    if (named < 0) this.#attribute(STATUS_CODE, STATUS_CODE_KEY);
    let message = named < 0 ? 0 : this.textPlace(STATUS_DESCRIPTION);
    if (message === 0) this.#attribute(STATUS_DESCRIPTION, DESCRIPTION_KEY);
    if (this.#places[ERROR] !== 0) {
      const known = this.#find(ERROR, TRUE_FALSE);
      const text = this.textPlace(ERROR);
      if (known === 1 || code === CODE_OK) {
        this.#attribute(ERROR, ERROR_KEY);
      } else if (known === 0 || text === 0) {
        code = CODE_ERROR;
      } else {
        code = CODE_ERROR;
        if (message !== 0) this.#attribute(ERROR, ERROR_KEY);
        else message = text;
      }
    }
    if (code <= 0 && message === 0) return;
    const writer = this.#writer;
    writer.begin(TAG_STATUS, 1);
    if (message !== 0) {
      this.#reader.at = message;
      writer.aheadMax = this.#limit - message;
      textField(this.#reader, writer, TAG_STATUS_MESSAGE);
    }
    if (code > 0) writer.varint(TAG_STATUS_CODE, code);
    writer.finish();
  }

  #scope(): void {
    this.scopeNameAt = this.#scopeText(SCOPE_NAME, LIBRARY_NAME, LIBRARY_NAME_KEY);
    this.scopeVersionAt = this.#scopeText(SCOPE_VERSION, LIBRARY_VERSION, LIBRARY_VERSION_KEY);
  }

  /** The newer of two tags that say the same; the older one is an attribute when it does not. */
  #scopeText(slot: number, olderSlot: number, olderKey: Uint8Array): number {
    const newer = this.textPlace(slot);
    const older = this.textPlace(olderSlot);
    if (newer === 0) return older;
    if (older !== 0 && !this.#sameText(newer, older)) this.#attribute(olderSlot, olderKey);
    return newer;
  }

  #traceState(): void {
    if (this.textPlace(TRACE_STATE) !== 0) {
      textField(this.#reader, this.#writer, TAG_TRACE_STATE);
    }
  }

  /** @param serviceTag slots of the tags that may have taken the names, 0 = there is no name. */
  #endpoint(
    first: number, keys: EndpointKeys, serviceTag: number, addressTag: number, portTag: number,
  ): void {
    if (keys.service !== null) this.#endpointText(first + SERVICE, keys.service, serviceTag);
    const ipv6 = this.textPlace(first + IPV6);
    if (ipv6 === 0) {
      this.#endpointText(first + IPV4, keys.address, addressTag);
    } else {
      this.#endpointText(first + IPV6, keys.address, addressTag);
      if (this.textPlace(first + IPV4) !== 0) this.#attribute(first + IPV4, keys.ipv4);
    }
    if (!this.#take(first + PORT)) return;
    const { textBytes, textAt, textEnd } = this.#reader;
    if (!readInteger(textBytes, textAt, textEnd, true) || integer.negative) return;
    const low = integer.halves[0]!;
    const high = integer.halves[1]!;
    if (low === 0 && high === 0) return;
    if (this.#places[portTag] !== 0 && this.#sameAsTag(portTag)) return;
    const key = this.#places[portTag] === 0 ? keys.port[0] : keys.port[1];
    integerAttribute(this.#writer, key, low, high);
  }

  /** A text of an endpoint, unless a tag says the same already. */
  #endpointText(
    slot: number, keys: readonly [Uint8Array, Uint8Array], tag: number,
  ): void {
    const place = this.textPlace(slot);
    if (place === 0) return;
    const taken = this.#places[tag]!;
    if (taken !== 0 && this.#sameText(place, taken)) return;
    this.#attribute(slot, taken === 0 ? keys[0] : keys[1]);
  }

  /** True when the tag in a slot says the number that the reader took last. */
  #sameAsTag(slot: number): boolean {
    const low = integer.halves[0];
    const high = integer.halves[1];
    if (!this.#take(slot)) return false;
    const { textBytes, textAt, textEnd } = this.#reader;
    return readInteger(textBytes, textAt, textEnd, false) && !integer.negative
      && integer.halves[0] === low && integer.halves[1] === high;
  }

  /** True when two JSON strings are written alike. */
  #sameText(one: number, other: number): boolean {
    const { bytes, end } = this.#reader;
    for (let ahead = 0; one + ahead < end && other + ahead < end; ahead++) {
      if (bytes[one + ahead] !== bytes[other + ahead]) return false;
      if (ahead > 0 && bytes[one + ahead] === QUOTE) return true;
    }
    return false;
  }
}
