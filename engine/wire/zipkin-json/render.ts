// Kept spans of a Zipkin v2 JSON record, to OTLP. The mapping is that of the OpenTelemetry
// Collector, but that nothing gets lost: what has no field in OTLP becomes an attribute.
//
//   traceId, id, parentId     ids, padded with zeros; a parent that is the span itself is none
//   name, annotations         name, events
//   kind                      kind; else the tag span.kind; else unspecified
//   timestamp, duration       start, end = start + duration; no timestamp: start 0, marked
//   localEndpoint             service.name of the resource; network.local.address, .port
//   remoteEndpoint            service.peer.name, network.peer.address, .port
//   tags                      attributes, but for those in span-end.ts
//   debug, shared             zipkin.debug, zipkin.shared when true
// Sources: Zipkin API v2 (zipkin2-api.yaml); the Collector's translator for Zipkin v2;
// OpenTelemetry specification, "OpenTelemetry to Zipkin Transformation".

import { idField, textField } from "../json/fields.ts";
import { JsonRenderer } from "../json/json-renderer.ts";
import { KEY_END, KEY_FIRST, KeyTable } from "../json/key-table.ts";
import {
  ATTRIBUTE_KEY_AT, beginAttribute, cancelAttribute, valueField,
} from "./attributes.ts";
import { nanoseconds, takeMicros } from "./micros.ts";
import { ServiceGroups } from "./service-groups.ts";
import { SpanEnd } from "./span-end.ts";
import {
  ENDPOINT, LOCAL, MEMBERS, MEMBERS_WAITING, MEMBER_ANNOTATIONS, MEMBER_LOCAL, MEMBER_NAME,
  MEMBER_REMOTE, MEMBER_TAGS, MEMBER_TRACE_ID, PLACES, REMOTE, TAGS, TAGS_WAITING_END, TAG_FIRST,
} from "./span-places.ts";

const ANNOTATION = new KeyTable(["timestamp", "value"]);
const TRACE_ID_BYTES = 16;
const TAG_TRACE_ID = 0x0a;
const TAG_NAME = 0x2a;
const TAG_EVENT = 0x5a;
const TAG_EVENT_TIME = 0x09;
const TAG_EVENT_NAME = 0x12;
/** What a value that waits may become longer than its member: a name that we give, and sizes. */
const WAITING_EXTRA_BYTES = 48;

/** Renders one record at a time. Reused; one thread. */
export class ZipkinJsonRenderer extends JsonRenderer {
  /** Where the values lie that wait, 0 = absent; see span-places. */
  readonly #places = new Uint32Array(PLACES);
  readonly #end = new SpanEnd(this.reader, this.writer, this.#places);
  readonly #services = new ServiceGroups(this.writer, this.groups);
  #droppedTags = 0;
  #limit = 0;

  protected override beginRange(): void {
    this.#services.reset();
  }

  protected override beginGroup(): void {
    // There is one in the index; the spans themselves say what service they are of.
  }

  protected override renderSpan(): void {
    const { reader, writer } = this;
    this.#places.fill(0);
    this.#droppedTags = 0;
    if (reader.enterObject()) {
      let member = reader.nextMember(MEMBERS, KEY_FIRST);
      for (; member !== KEY_END; member = reader.nextMember(MEMBERS, member)) {
        if (member >= 0 && member < MEMBERS_WAITING) this.#wait(member);
        else this.#member(member);
      }
    }
    this.#limit = writer.aheadMax + reader.end;
    this.#end.render(this.#limit, this.#droppedTags);
  }

  protected override scopeOfSpan(): number {
    const { scopeNameAt, scopeVersionAt } = this.#end;
    return this.#services.scopeOf(
      this.reader, this.#limit, this.#end.textPlace(LOCAL), scopeNameAt, scopeVersionAt,
    );
  }

  #member(member: number): void {
    const { reader, writer } = this;
    switch (member) {
      case MEMBER_TRACE_ID: idField(reader, writer, TAG_TRACE_ID, TRACE_ID_BYTES, true); break;
      case MEMBER_NAME: textField(reader, writer, TAG_NAME); break;
      case MEMBER_TAGS: this.#tags(); break;
      case MEMBER_ANNOTATIONS: this.#annotations(); break;
      case MEMBER_LOCAL: this.#endpoint(LOCAL); break;
      case MEMBER_REMOTE: this.#endpoint(REMOTE); break;
      default: reader.skip();
    }
  }

  /** Notes the value's place and passes over it; what was read of it is no room gained. */
  #wait(slot: number): void {
    const { reader } = this;
    this.#places[slot] = reader.at;
    const from = reader.keyAt;
    reader.skip();
    this.writer.aheadMax -= reader.at - from + WAITING_EXTRA_BYTES;
  }

  #endpoint(first: number): void {
    const { reader } = this;
    if (!reader.enterObject()) return;
    let slot = reader.nextMember(ENDPOINT, KEY_FIRST);
    for (; slot !== KEY_END; slot = reader.nextMember(ENDPOINT, slot)) {
      if (slot >= 0) this.#wait(first + slot);
      else reader.skip();
    }
  }

  #tags(): void {
    const { reader, writer } = this;
    if (!reader.enterObject()) return;
    while (reader.nextKey()) {
      const from = writer.at;
      // The key is copied before anything is known of it, so that its bytes are read once.
      beginAttribute(reader, writer);
      if (!reader.nextValue()) {
        cancelAttribute(writer, from);
        return;
      }
      const known = TAGS.find(writer.bytes, from + ATTRIBUTE_KEY_AT, writer.at);
      const slot = TAG_FIRST + known;
      if (known >= 0 && slot < TAGS_WAITING_END && reader.isString()) {
        cancelAttribute(writer, from);
        this.#wait(slot);
      } else if (from - reader.keyAt > writer.aheadMax) {
        cancelAttribute(writer, from);
        this.#droppedTags++;
        reader.skip();
      } else {
        if (known >= 0) this.#places[slot] = reader.at;
        valueField(reader, writer);
        writer.finish();
      }
    }
  }

  #annotations(): void {
    const { reader, writer } = this;
    if (!reader.enterArray()) return;
    while (reader.nextElement()) {
      if (!reader.enterObject()) continue;
      writer.begin(TAG_EVENT, 1);
      let known = reader.nextMember(ANNOTATION, KEY_FIRST);
      for (; known !== KEY_END; known = reader.nextMember(ANNOTATION, known)) {
        if (known === 1) textField(reader, writer, TAG_EVENT_NAME);
        else if (known !== 0) reader.skip();
        else if (takeMicros(reader)) {
          writer.fixed64(TAG_EVENT_TIME, nanoseconds[0]!, nanoseconds[1]!);
        }
      }
      writer.finish();
    }
  }
}
