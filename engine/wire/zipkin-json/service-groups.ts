// The resource and the scope of each Zipkin span: spans of one service go under one resource,
// because that is what their localEndpoint says, and tags may name a scope. Names are compared as
// they stand in the record; one written in two ways becomes two resources, which is no harm.

import { endOfString } from "../json/cursor.ts";
import { rangeField } from "../json/fields.ts";
import type { GroupedSpans } from "../json/grouped-spans.ts";
import type { ProtoWriter } from "../json/proto-writer.ts";
import type { JsonReader } from "../json/reader.ts";
import { keyField } from "./attributes.ts";

/** Groups of a range that are looked among; past it they are forgotten, and resources repeat. */
const GROUPS_MAX = 64;
// A group: [0] service at | [1] end | [2] scope name at | [3] end | [4] version at | [5] end
//   | [6] resource | [7] scope
const NAME_AT = 2;
const VERSION_AT = 4;
const RESOURCE = 6;
const SCOPE = 7;
const WORDS = 8;

const SERVICE_NAME = keyField("service.name");
const TAG_RESOURCE = 0x0a;
const TAG_RESOURCE_ATTRIBUTE = 0x0a;
const TAG_VALUE = 0x12;
const TAG_STRING_VALUE = 0x0a;
const TAG_SCOPE = 0x0a;
const TAG_SCOPE_NAME = 0x0a;
const TAG_SCOPE_VERSION = 0x12;

/** Of one range at a time. */
export class ServiceGroups {
  readonly words = new Uint32Array(GROUPS_MAX * WORDS);
  count = 0;
  last = 0;
  /** Names of the span under hand, as the first words of a group. */
  readonly wanted = new Uint32Array(RESOURCE);
  readonly #writer: ProtoWriter;
  readonly #groups: GroupedSpans;
  #limit = 0;

  constructor(writer: ProtoWriter, groups: GroupedSpans) {
    this.#writer = writer;
    this.#groups = groups;
  }

  /** Begins another range. */
  reset(): void {
    this.count = 0;
    this.last = 0;
  }

  /**
   * The scope for a span with these names, which are places of JSON strings, quotes included;
   * 0 = it has none.
   * @param limit target offset beyond which a text may not grow, but for its own length.
   */
  scopeOf(
    reader: JsonReader, limit: number, serviceAt: number, nameAt: number, versionAt: number,
  ): number {
    const { bytes, end } = reader;
    this.#limit = limit;
    this.#want(bytes, end, 0, serviceAt);
    this.#want(bytes, end, NAME_AT, nameAt);
    this.#want(bytes, end, VERSION_AT, versionAt);
    if (this.last < this.count && this.#matches(bytes, this.last)) {
      return this.words[this.last * WORDS + SCOPE]!;
    }
    let resource = -1;
    for (let group = 0; group < this.count; group++) {
      if (!this.#sameName(bytes, group, 0)) continue;
      resource = this.words[group * WORDS + RESOURCE]!;
      if (!this.#matches(bytes, group)) continue;
      this.last = group;
      return this.words[group * WORDS + SCOPE]!;
    }
    return this.#add(bytes, resource);
  }

  #want(bytes: Uint8Array, end: number, word: number, at: number): void {
    const close = at === 0 ? -1 : endOfString(bytes, at + 1, end);
    this.wanted[word] = close < 0 ? 0 : at + 1;
    this.wanted[word + 1] = close < 0 ? 0 : close;
  }

  #matches(bytes: Uint8Array, group: number): boolean {
    return this.#sameName(bytes, group, 0) && this.#sameName(bytes, group, NAME_AT)
      && this.#sameName(bytes, group, VERSION_AT);
  }

  #sameName(bytes: Uint8Array, group: number, word: number): boolean {
    const at = this.words[group * WORDS + word]!;
    const size = this.words[group * WORDS + word + 1]! - at;
    const wantedAt = this.wanted[word]!;
    if (this.wanted[word + 1]! - wantedAt !== size) return false;
    if (wantedAt === at) return true;
    for (let next = 0; next < size; next++) {
      if (bytes[at + next] !== bytes[wantedAt + next]) return false;
    }
    return true;
  }

  /** Adds a group with the names wanted. @param knownResource of another scope, or -1. */
  #add(bytes: Uint8Array, knownResource: number): number {
    if (this.count === GROUPS_MAX) this.count = 0;
    const group = this.count++;
    const at = group * WORDS;
    for (let word = 0; word < RESOURCE; word++) this.words[at + word] = this.wanted[word]!;
    const resource = knownResource >= 0 ? knownResource : this.#addResource(bytes);
    this.words[at + RESOURCE] = resource;
    this.words[at + SCOPE] = this.#addScope(bytes, resource);
    this.last = group;
    return this.words[at + SCOPE]!;
  }

  #addResource(bytes: Uint8Array): number {
    const writer = this.#writer;
    const from = writer.at;
    if (this.wanted[1]! > this.wanted[0]!) {
      writer.begin(TAG_RESOURCE, 1);
      writer.begin(TAG_RESOURCE_ATTRIBUTE, 1);
      writer.raw(SERVICE_NAME);
      writer.begin(TAG_VALUE, 1);
      this.#text(bytes, TAG_STRING_VALUE, 0);
      writer.finish();
      writer.finish();
      writer.finish();
    }
    return this.#groups.addResource(from, writer.at);
  }

  #addScope(bytes: Uint8Array, resource: number): number {
    const writer = this.#writer;
    const from = writer.at;
    const { wanted } = this;
    const hasName = wanted[NAME_AT + 1]! > wanted[NAME_AT]!;
    const hasVersion = wanted[VERSION_AT + 1]! > wanted[VERSION_AT]!;
    if (hasName || hasVersion) {
      writer.begin(TAG_SCOPE, 1);
      if (hasName) this.#text(bytes, TAG_SCOPE_NAME, NAME_AT);
      if (hasVersion) this.#text(bytes, TAG_SCOPE_VERSION, VERSION_AT);
      writer.finish();
    }
    return this.#groups.addScope(resource, from, writer.at);
  }

  #text(bytes: Uint8Array, tag: number, word: number): void {
    const at = this.wanted[word]!;
    this.#writer.aheadMax = this.#limit - at;
    rangeField(this.#writer, tag, bytes, at, this.wanted[word + 1]!);
  }
}
