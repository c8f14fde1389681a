// The answer of a lane to one request. Numbers, because they cross threads in a completion.

/** Every span is committed. */
export const ACCEPTED = 0;
/** Committed, but for the rejected spans: they have no usable ids. */
export const PARTIAL = 1;
/** The body is not what its content type says; the reason code is the scanner's. */
export const MALFORMED = 2;
/** The body inflates to more than MaxBodyBytes, or by more than the ratio allows. */
export const TOO_LARGE = 3;
/** The body is not in the content encoding that its header names. */
export const BAD_ENCODING = 4;
/** Cannot be stored now (disk full, overload); the client should come again. */
export const UNAVAILABLE = 5;
/** The lane met something it did not expect; nothing is stored. */
export const INTERNAL = 6;

export type Verdict =
  | typeof ACCEPTED | typeof PARTIAL | typeof MALFORMED | typeof TOO_LARGE | typeof BAD_ENCODING
  | typeof UNAVAILABLE | typeof INTERNAL;

/** Verdicts are 0 … VERDICTS − 1. */
export const VERDICTS = 7;
