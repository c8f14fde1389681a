// Words at the head of every ring's SharedArrayBuffer, and who writes them. Producer and consumer
// write on different cache lines (64 bytes); the data region starts on a line of its own.
//
//   word  0  capacity: bytes of a byte ring's data region, slots of a slot ring   at creation
//   word  1  words of a slot; 0 marks a byte ring                                 at creation
//   word 16  published sequence                                                   producer
//   word 17  base: the sequence that lies at data offset 0 (byte ring)            producer
//   word 32  released sequence                                                    consumer
//   word 48  unused, so that data never shares a line with a sequence
//
// Sequences count bytes (byte ring) or slots (slot ring), are signed 32-bit numbers and wrap; their
// differences do not, because a capacity is at most RING_BYTES_MAX.
// Order: bytes, base, published | released. The store to `published` or `released` hands over.

export const RING_CAPACITY = 0;
export const RING_SLOT_WORDS = 1;
export const RING_PUBLISHED = 16;
export const RING_BASE = 17;
export const RING_RELEASED = 32;
export const RING_CONTROL_WORDS = 64;
export const RING_CONTROL_BYTES = RING_CONTROL_WORDS * 4;

/** Largest data region: differences of wrapping sequences must stay far from 2^32. */
export const RING_BYTES_MAX = 1024 * 1024 * 1024;

// Message of a byte ring: [0] message bytes u32 | [4] its sequence u32 | [8] message | to 8 bytes
// A message never wraps. What is left at the end is passed over by a header whose size is SKIP.

export const MESSAGE_BYTES_AT = 0;
export const MESSAGE_SEQUENCE_AT = MESSAGE_BYTES_AT + 4;
export const MESSAGE_HEADER_BYTES = MESSAGE_SEQUENCE_AT + 4;
export const MESSAGE_ALIGN_BYTES = 8;
export const MESSAGE_SKIP = -1;

/** True for 1, 2, 4, … up to 2^30. */
export function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= 2 ** 30 && (value & (value - 1)) === 0;
}
