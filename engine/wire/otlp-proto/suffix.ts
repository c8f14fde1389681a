// What tailrace says on a kept span, as bytes that may follow any Span message: in protobuf a
// repeated field may go on anywhere.

/** What a kept span is told about its decision. */
export interface SuffixFacts {
  /** First policy that sampled. */
  readonly policy: string;
  /** Spans that each kept one stands for, 1 = every one is kept. */
  readonly sampleRate: number;
  readonly trigger: string;
  /** Why the trace was judged on part of its spans; null when it was complete. */
  readonly incompleteReason: string | null;
}

/** The facts as attributes of a Span message: fields to append to its bytes. */
export function encodeSuffix(facts: SuffixFacts): Uint8Array {
  const attributes = [
    ...attribute("tailrace.policy", stringValue(facts.policy)),
    ...attribute("tailrace.sample_rate", doubleValue(facts.sampleRate)),
    ...attribute("tailrace.trigger", stringValue(facts.trigger)),
  ];
  if (facts.incompleteReason !== null) {
    attributes.push(
      ...attribute("tailrace.complete", [0x10, 0]), // AnyValue.bool_value = 2
      ...attribute("tailrace.incomplete_reason", stringValue(facts.incompleteReason)),
    );
  }
  return Uint8Array.from(attributes);
}

/**
 * What a span is told that was stored while only a share of the traces was: how many it stands for.
 */
export function encodeStoredRate(rate: number): Uint8Array {
  return Uint8Array.from(attribute("tailrace.stored_rate", doubleValue(rate)));
}

function doubleValue(value: number): number[] {
  const bytes = new DataView(new ArrayBuffer(9));
  bytes.setUint8(0, 0x21); // AnyValue.double_value = 4
  bytes.setFloat64(1, value, true);
  return [...new Uint8Array(bytes.buffer)];
}

/** Span.attributes = 9 with KeyValue { key = 1; value = 2 }. */
function attribute(key: string, value: number[]): number[] {
  return lengthField(0x4a, [...stringValue(key), ...lengthField(0x12, value)]);
}

/** Field 1 as a string: AnyValue.string_value and KeyValue.key alike. */
function stringValue(text: string): number[] {
  return lengthField(0x0a, [...new TextEncoder().encode(text)]);
}

function lengthField(tag: number, value: number[]): number[] {
  const size: number[] = [];
  for (let rest = value.length; ; rest >>>= 7) {
    if (rest < 0x80) return [tag, ...size, rest, ...value];
    size.push((rest & 0x7f) | 0x80);
  }
}
