// A payload in a lane's byte ring, door to lane: a header of 8 u32 words, then the body as it came.
//
// [0] request id | [1] format | [2] content encoding | [3] body bytes
// [4] arrival, wall clock ms since the Unix epoch, low word | [5] high | [6] flags | [7] unused
// [8…] body

export const PAYLOAD_REQUEST = 0;
export const PAYLOAD_FORMAT = 1;
export const PAYLOAD_ENCODING = 2;
export const PAYLOAD_BODY_BYTES = 3;
export const PAYLOAD_ARRIVAL_LOW = 4;
export const PAYLOAD_ARRIVAL_HIGH = 5;
export const PAYLOAD_FLAGS = 6;
export const PAYLOAD_HEADER_WORDS = 8;
export const PAYLOAD_HEADER_BYTES = PAYLOAD_HEADER_WORDS * 4;

/** Formats of a body: which scanner reads it. */
export const FORMAT_OTLP_PROTO = 1;
export const FORMAT_OTLP_JSON = 2;
export const FORMAT_ZIPKIN_JSON = 3;

/** Content encodings of a body: the lane inflates it. */
export const ENCODING_NONE = 0;
export const ENCODING_GZIP = 1;
export const ENCODING_DEFLATE = 2;

// A completion, lane to door, in a slot ring of COMPLETION_WORDS: the answer to one request.
//
// [0] request id | [1] verdict | [2] rejected spans | [3] reason code

export const COMPLETION_REQUEST = 0;
export const COMPLETION_VERDICT = 1;
export const COMPLETION_REJECTED = 2;
export const COMPLETION_REASON = 3;
export const COMPLETION_WORDS = 4;
