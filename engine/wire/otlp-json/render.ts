// Kept spans of an OTLP JSON record, to OTLP protobuf: field by field, in the order they come,
// bytes to bytes. Of a scalar that is given twice both are written, and whoever reads it takes the
// last.
// Keys that OTLP does not know, null and values of another type are passed over.
// Sources: opentelemetry-proto 1.9; OTLP specification, "JSON Protobuf Encoding".

import {
  GROUP_RESOURCE_AT, GROUP_RESOURCE_END, GROUP_RESOURCE_SCHEMA_AT, GROUP_RESOURCE_SCHEMA_END,
  GROUP_SCOPE_AT, GROUP_SCOPE_END, GROUP_SCOPE_SCHEMA_AT, GROUP_SCOPE_SCHEMA_END, GROUP_WORDS,
  type RecordIndex,
} from "../record-index.ts";
import { countField, rangeField, textField } from "../json/fields.ts";
import { JsonRenderer, sameResource } from "../json/json-renderer.ts";
import { KEY_END, KEY_FIRST, KeyTable } from "../json/key-table.ts";
import { keyValuesField } from "./any-value.ts";
import { spanFields } from "./span-fields.ts";

/** `resource` of a ResourceSpans and `scope` of a ScopeSpans. */
const TAG_OWN_MESSAGE = 0x0a;
/** schema_url of both. */
const TAG_SCHEMA_URL = 0x1a;

const RESOURCE_KEYS = new KeyTable(["attributes", "droppedAttributesCount", "entityRefs"]);
const SCOPE_KEYS = new KeyTable(["name", "version", "attributes", "droppedAttributesCount"]);
const ENTITY_KEYS = new KeyTable(["schemaUrl", "type", "idKeys", "descriptionKeys"]);
const TAG_ENTITY_REF = 0x1a;

/** Renders one record at a time. Reused; one thread. */
export class OtlpJsonRenderer extends JsonRenderer {
  #resource = -1;
  #scope = -1;
  #group = -1;

  protected override beginRange(): void {
    this.#group = -1;
  }

  protected override beginGroup(index: RecordIndex, group: number): void {
    const { groups, writer } = this;
    const words = index.groups;
    const at = group * GROUP_WORDS;
    if (this.#group < 0 || !sameResource(index, this.#group, group)) {
      const from = writer.at;
      this.#message(words[at + GROUP_RESOURCE_AT]!, words[at + GROUP_RESOURCE_END]!, true);
      this.#schemaUrl(
        words[at + GROUP_RESOURCE_SCHEMA_AT]!, words[at + GROUP_RESOURCE_SCHEMA_END]!,
      );
      this.#resource = groups.addResource(from, writer.at);
    }
    const from = writer.at;
    this.#message(words[at + GROUP_SCOPE_AT]!, words[at + GROUP_SCOPE_END]!, false);
    this.#schemaUrl(words[at + GROUP_SCOPE_SCHEMA_AT]!, words[at + GROUP_SCOPE_SCHEMA_END]!);
    this.#scope = groups.addScope(this.#resource, from, writer.at);
    this.#group = group;
  }

  protected override renderSpan(): void {
    spanFields(this.reader, this.writer);
  }

  protected override scopeOfSpan(): number {
    return this.#scope;
  }

  /** The resource or scope whose JSON lies there; nothing when there is none. */
  #message(at: number, end: number, isResource: boolean): void {
    if (end <= at) return;
    const { reader, writer } = this;
    this.beginPiece(this.bodyAt + at, this.bodyAt + end, 0);
    if (reader.enterObject()) {
      writer.begin(TAG_OWN_MESSAGE, 1);
      if (isResource) this.#resourceFields();
      else this.#scopeFields();
      writer.finish();
    }
    this.endPiece(0);
  }

  #schemaUrl(at: number, end: number): void {
    if (end <= at) return;
    this.beginPiece(this.bodyAt + at, this.bodyAt + end, 0);
    rangeField(this.writer, TAG_SCHEMA_URL, this.bytes, this.bodyAt + at, this.bodyAt + end);
    this.endPiece(0);
  }

  #resourceFields(): void {
    const { reader, writer } = this;
    let key = reader.nextMember(RESOURCE_KEYS, KEY_FIRST);
    for (; key !== KEY_END; key = reader.nextMember(RESOURCE_KEYS, key)) {
      switch (key) {
        case 0: keyValuesField(reader, writer, 0x0a); break;
        case 1: countField(reader, writer, 0x10); break;
        case 2:
          if (!reader.enterArray()) break;
          while (reader.nextElement()) this.#entityRef();
          break;
        default: reader.skip();
      }
    }
  }

  #entityRef(): void {
    const { reader, writer } = this;
    if (!reader.enterObject()) return;
    writer.begin(TAG_ENTITY_REF, 1);
    let key = reader.nextMember(ENTITY_KEYS, KEY_FIRST);
    for (; key !== KEY_END; key = reader.nextMember(ENTITY_KEYS, key)) {
      switch (key) {
        case 0: textField(reader, writer, 0x0a); break;
        case 1: textField(reader, writer, 0x12); break;
        case 2: this.#texts(0x1a); break;
        case 3: this.#texts(0x22); break;
        default: reader.skip();
      }
    }
    writer.finish();
  }

  #texts(tag: number): void {
    if (!this.reader.enterArray()) return;
    while (this.reader.nextElement()) textField(this.reader, this.writer, tag);
  }

  #scopeFields(): void {
    const { reader, writer } = this;
    let key = reader.nextMember(SCOPE_KEYS, KEY_FIRST);
    for (; key !== KEY_END; key = reader.nextMember(SCOPE_KEYS, key)) {
      switch (key) {
        case 0: textField(reader, writer, 0x0a); break;
        case 1: textField(reader, writer, 0x12); break;
        case 2: keyValuesField(reader, writer, 0x1a); break;
        case 3: countField(reader, writer, 0x20); break;
        default: reader.skip();
      }
    }
  }
}
