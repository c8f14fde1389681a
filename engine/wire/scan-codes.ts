// What a scanner answers about a payload: one list for all formats. A code is never given a second
// meaning. Everything but SCAN_OK refuses the whole payload, for good: the same bytes fail again.

export const SCAN_OK = 0;
/** A length or a fixed-size value passes the end of what encloses it. */
export const SCAN_TRUNCATED = 1;
/** A varint of more than ten bytes, of more than 64 bits, or a length or tag of more than five. */
export const SCAN_BAD_VARINT = 2;
/** Field number 0. */
export const SCAN_BAD_FIELD = 3;
/** Wire type 6 or 7. */
export const SCAN_BAD_WIRE_TYPE = 4;
/** An end-group without its start-group, or the reverse. */
export const SCAN_BAD_GROUP = 5;
/** Messages within messages beyond the limit. */
export const SCAN_TOO_DEEP = 6;
/** More spans than one payload may have. */
export const SCAN_TOO_MANY_SPANS = 7;

/** Not well-formed JSON: RFC 8259, and nothing but white space after the value. */
export const SCAN_BAD_JSON = 8;
/** JSON, but a field that matters holds a value of another type than its own. */
export const SCAN_WRONG_TYPE = 9;
/** A number that its field cannot hold. */
export const SCAN_BAD_NUMBER = 10;
/** A Zipkin span in the form of version 1. */
export const SCAN_ZIPKIN_V1 = 11;

/** For the client's developer, by code. */
export const SCAN_REASONS = [
  "ok",
  "truncated: a field passes the end of its message",
  "a varint is too long",
  "field number 0",
  "unknown wire type",
  "unbalanced group",
  "messages are nested too deeply",
  "too many spans in one request",
  "not well-formed JSON",
  "a field holds a value of another type than its own",
  "a number that its field cannot hold",
  "Zipkin v1 spans are not taken here: send Zipkin v2",
] as const;
