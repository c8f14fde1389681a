// A message of a ring (lane → forwarder), 8-byte aligned, and a slot of an acknowledgement ring
// (forwarder thread → lane).
//
// Message: [0] message id u32 | [1] span count u32 | [2] payload bytes u32 | [3] flags u32, 0 |
// payload
// Payload: OTLP ResourceSpans fields (tag 0x0a …): any concatenation of payloads is an
// ExportTraceServiceRequest. One message is acknowledged once, whole.

export const MESSAGE_ID = 0;
export const MESSAGE_SPANS = 1;
export const MESSAGE_PAYLOAD_BYTES = 2;
export const MESSAGE_FLAGS = 3;
export const MESSAGE_HEADER_WORDS = 4;
export const MESSAGE_PAYLOAD_AT = MESSAGE_HEADER_WORDS * 4;

export const ACK_FORWARDER = 0;
export const ACK_MESSAGE_ID = 1;
export const ACK_OUTCOME = 2;
export const ACK_WORDS = 4;

/** The destination has the message. */
export const ACK_DELIVERED = 0;
/** The destination refused it for ever: lost, reason "backend_refused". */
export const ACK_REFUSED = 1;
export type AckOutcome = typeof ACK_DELIVERED | typeof ACK_REFUSED;
