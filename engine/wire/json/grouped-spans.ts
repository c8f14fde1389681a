// Rendered spans by resource and scope, as places in a scratch buffer; puts them together. Spans
// may come in any order of groups; within a group they keep theirs.
//
//   resource (RESOURCE_WORDS u32): [0] own fields at | [1] their end | [2] first scope + 1
//     | [3] last scope + 1 | [4] bytes of its ResourceSpans message
//   scope (SCOPE_WORDS u32):       [0] own fields at | [1] their end | [2] first run + 1
//     | [3] last run + 1 | [4] bytes of its ScopeSpans message | [5] next scope + 1
//   run (RUN_WORDS u32):           [0] at | [1] end | [2] next run + 1       spans side by side
// Own fields are whole fields of the message, tags included, as the spans are.

import { assert } from "../../base/assert.ts";
import { copyBytes } from "../../base/copy-bytes.ts";
import { sizeBytes, writeVarint } from "./proto-writer.ts";

const OWN_AT = 0;
const OWN_END = 1;
const FIRST = 2;
const LAST = 3;
const BYTES = 4;
const RESOURCE_WORDS = 5;
const NEXT_SCOPE = 5;
const SCOPE_WORDS = 6;
const RUN_AT = 0;
const RUN_END = 1;
const NEXT_RUN = 2;
const RUN_WORDS = 3;

/** Rows that the tables keep between records. */
const ROWS_KEPT_MAX = 16_384;
const ROWS_FIRST = 64;
const OUTPUT_BYTES_MAX = 0x7fff_ffff;
const TAG_RESOURCE_SPANS = 0x0a;
const TAG_SCOPE_SPANS = 0x12;

/** Reused; one thread. */
export class GroupedSpans {
  resources: Uint32Array;
  resourceCount: number;
  scopes: Uint32Array;
  scopeCount: number;
  runs: Uint32Array;
  runCount: number;
  outputBytes: number;

  constructor() {
    this.resources = new Uint32Array(ROWS_FIRST * RESOURCE_WORDS);
    this.resourceCount = 0;
    this.scopes = new Uint32Array(ROWS_FIRST * SCOPE_WORDS);
    this.scopeCount = 0;
    this.runs = new Uint32Array(ROWS_FIRST * RUN_WORDS);
    this.runCount = 0;
    this.outputBytes = 0;
  }

  /** Forgets all groups; keeps the tables unless they have become large. */
  reset(): void {
    this.resourceCount = 0;
    this.scopeCount = 0;
    this.runCount = 0;
    this.outputBytes = 0;
    if (this.runs.length > ROWS_KEPT_MAX * RUN_WORDS) {
      this.runs = new Uint32Array(ROWS_FIRST * RUN_WORDS);
    }
    if (this.scopes.length > ROWS_KEPT_MAX * SCOPE_WORDS) {
      this.scopes = new Uint32Array(ROWS_FIRST * SCOPE_WORDS);
      this.resources = new Uint32Array(ROWS_FIRST * RESOURCE_WORDS);
    }
  }

  /** Adds a resource whose own fields lie in scratch[at, end); answers its number. */
  addResource(at: number, end: number): number {
    const row = this.resourceCount * RESOURCE_WORDS;
    if (row === this.resources.length) this.resources = doubled(this.resources);
    this.resources[row + OWN_AT] = at;
    this.resources[row + OWN_END] = end;
    this.resources[row + FIRST] = 0;
    this.resources[row + LAST] = 0;
    this.resources[row + BYTES] = end - at;
    return this.resourceCount++;
  }

  /** Adds a scope of that resource, its own fields in scratch[at, end); answers its number. */
  addScope(resource: number, at: number, end: number): number {
    const row = this.scopeCount * SCOPE_WORDS;
    if (row === this.scopes.length) this.scopes = doubled(this.scopes);
    this.scopes[row + OWN_AT] = at;
    this.scopes[row + OWN_END] = end;
    this.scopes[row + FIRST] = 0;
    this.scopes[row + LAST] = 0;
    this.scopes[row + BYTES] = end - at;
    this.scopes[row + NEXT_SCOPE] = 0;
    this.scopeCount++;
    const resourceRow = resource * RESOURCE_WORDS;
    const last = this.resources[resourceRow + LAST]!;
    if (last === 0) this.resources[resourceRow + FIRST] = this.scopeCount;
    else this.scopes[(last - 1) * SCOPE_WORDS + NEXT_SCOPE] = this.scopeCount;
    this.resources[resourceRow + LAST] = this.scopeCount;
    return this.scopeCount - 1;
  }

  /** Adds scratch[at, end), whole span fields, to that scope. */
  addSpan(scope: number, at: number, end: number): void {
    const scopeRow = scope * SCOPE_WORDS;
    this.scopes[scopeRow + BYTES] = this.scopes[scopeRow + BYTES]! + end - at;
    const last = this.scopes[scopeRow + LAST]!;
    if (last !== 0) {
      const lastRow = (last - 1) * RUN_WORDS;
      if (this.runs[lastRow + RUN_END] === at) {
        this.runs[lastRow + RUN_END] = end;
        return;
      }
    }
    const row = this.runCount * RUN_WORDS;
    if (row === this.runs.length) this.runs = doubled(this.runs);
    this.runs[row + RUN_AT] = at;
    this.runs[row + RUN_END] = end;
    this.runs[row + NEXT_RUN] = 0;
    this.runCount++;
    if (last === 0) this.scopes[scopeRow + FIRST] = this.runCount;
    else this.runs[(last - 1) * RUN_WORDS + NEXT_RUN] = this.runCount;
    this.scopes[scopeRow + LAST] = this.runCount;
  }

  /** Sizes the output: ResourceSpans fields, each with its tag; each group has a span. */
  measure(): number {
    let total = 0;
    for (let resource = 0; resource < this.resourceCount; resource++) {
      const row = resource * RESOURCE_WORDS;
      let bytes = this.resources[row + OWN_END]! - this.resources[row + OWN_AT]!;
      for (let scope = this.resources[row + FIRST]!; scope !== 0;
        scope = this.scopes[(scope - 1) * SCOPE_WORDS + NEXT_SCOPE]!) {
        const size = this.scopes[(scope - 1) * SCOPE_WORDS + BYTES]!;
        bytes += 1 + sizeBytes(size) + size;
      }
      this.resources[row + BYTES] = bytes;
      total += 1 + sizeBytes(bytes) + bytes;
    }
    assert(total <= OUTPUT_BYTES_MAX, "a record fits a message");
    this.outputBytes = total;
    return total;
  }

  /** Writes what measure() sized; answers the offset after it. */
  write(scratch: Uint8Array, target: Buffer, at: number): number {
    assert(at + this.outputBytes <= target.length, "room for the output");
    let next = at;
    for (let resource = 0; resource < this.resourceCount; resource++) {
      const row = resource * RESOURCE_WORDS;
      target[next] = TAG_RESOURCE_SPANS;
      next = writeVarint(target, next + 1, this.resources[row + BYTES]!);
      const ownEnd = this.resources[row + OWN_END]!;
      next = copyTo(scratch, this.resources[row + OWN_AT]!, ownEnd, target, next);
      for (let scope = this.resources[row + FIRST]!; scope !== 0;
        scope = this.scopes[(scope - 1) * SCOPE_WORDS + NEXT_SCOPE]!) {
        next = this.#writeScope((scope - 1) * SCOPE_WORDS, scratch, target, next);
      }
    }
    assert(next === at + this.outputBytes, "the output has the size measured");
    return next;
  }

  #writeScope(row: number, scratch: Uint8Array, target: Buffer, at: number): number {
    target[at] = TAG_SCOPE_SPANS;
    let next = writeVarint(target, at + 1, this.scopes[row + BYTES]!);
    const ownEnd = this.scopes[row + OWN_END]!;
    next = copyTo(scratch, this.scopes[row + OWN_AT]!, ownEnd, target, next);
    for (let run = this.scopes[row + FIRST]!; run !== 0;
      run = this.runs[(run - 1) * RUN_WORDS + NEXT_RUN]!) {
      const runRow = (run - 1) * RUN_WORDS;
      next = copyTo(
        scratch, this.runs[runRow + RUN_AT]!, this.runs[runRow + RUN_END]!, target, next,
      );
    }
    return next;
  }
}

function copyTo(
  source: Uint8Array, from: number, end: number, target: Buffer, at: number,
): number {
  copyBytes(source, from, end, target, at);
  return at + end - from;
}

function doubled(words: Uint32Array): Uint32Array {
  const larger = new Uint32Array(words.length * 2);
  larger.set(words);
  return larger;
}
