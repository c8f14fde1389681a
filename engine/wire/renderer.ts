// What renders kept spans of a record, whatever the format it came in: always to OTLP.

import { assert } from "../base/assert.ts";
import { FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON } from "../ring/payload-layout.ts";
import { OtlpJsonRenderer } from "./otlp-json/render.ts";
import { OtlpRenderer } from "./otlp-proto/render.ts";
import type { RecordIndex } from "./record-index.ts";
import { ZipkinJsonRenderer } from "./zipkin-json/render.ts";

/**
 * Renders one record at a time, whole or in ranges of spans, to ResourceSpans fields, each with its
 * tag: outputs laid end to end are again one ExportTraceServiceRequest. Reused; one thread.
 */
export interface Renderer {
  /** Wanted spans of the last measure(). */
  readonly spanCount: number;
  /**
   * Takes a record; everything is borrowed until the next prepare() or release().
   * @param bytes holds the body, as it was scanned, in bytes[bodyAt, bodyEnd).
   * @param wanted for each part of the index: 0 = not wanted, else number of its suffix + 1.
   * @param suffixes encoded fields to append to a Span message, see encodeSuffix(); may be empty.
   */
  prepare(
    bytes: Uint8Array, bodyAt: number, bodyEnd: number, index: RecordIndex, wanted: Uint32Array,
    suffixes: readonly Uint8Array[],
  ): void;
  /** Gives the borrowed memory back. */
  release(): void;
  /**
   * End of a range from `firstSpan` on whose output fits about `bytesMax`; at least one wanted span
   * is in it, however large, when there is one left.
   */
  planEnd(firstSpan: number, bytesMax: number): number;
  /** Size of the output for the wanted spans of [firstSpan, endSpan); 0 when none is wanted. */
  measure(firstSpan: number, endSpan: number): number;
  /**
   * Writes what the last measure() sized; `target` may be shared memory.
   * @returns the offset after it.
   */
  write(target: Buffer, at: number): number;
}

/** A renderer for each format, made when it is first needed. One thread. */
export class Renderers {
  readonly #byFormat: (Renderer | undefined)[] = [];

  /** @param format of the record, as its index says. */
  of(format: number): Renderer {
    const known = this.#byFormat[format];
    if (known !== undefined) return known;
    const made = createRenderer(format);
    this.#byFormat[format] = made;
    return made;
  }
}

function createRenderer(format: number): Renderer {
  switch (format) {
    case FORMAT_OTLP_PROTO: return new OtlpRenderer();
    case FORMAT_OTLP_JSON: return new OtlpJsonRenderer();
    case FORMAT_ZIPKIN_JSON: return new ZipkinJsonRenderer();
    default: assert(false, "records are of formats that there is a renderer for");
  }
}
