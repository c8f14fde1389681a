// A part: what one record says about one trace, folded into PART_WORDS u32 words. Times are
// unsigned
// 64-bit nanoseconds since the Unix epoch in two halves. The same words lie in the log's record
// index, travel to the owner in a part message and are folded again in the owner's trace row.
//
// [0..3] trace id, big-endian words | [4,5] earliest start | [6,7] latest end | [8,9] predicate
// bits
// [10] flags | [11] spans | [12] bytes of the spans as received

export const PART_ID_0 = 0;
export const PART_ID_1 = 1;
export const PART_ID_2 = 2;
export const PART_ID_3 = 3;
export const PART_START_HIGH = 4;
export const PART_START_LOW = 5;
export const PART_END_HIGH = 6;
export const PART_END_LOW = 7;
export const PART_BITS_0 = 8;
export const PART_BITS_1 = 9;
export const PART_FLAGS = 10;
export const PART_SPANS = 11;
export const PART_BYTES = 12;
export const PART_WORDS = 13;

/** Attribute predicates that fit a part: bits of PART_BITS_0 and PART_BITS_1. */
export const PREDICATES_MAX = 64;

/** Bits of PART_FLAGS: what any span of the part was. */
export const FLAG_ROOT = 1;
export const FLAG_STATUS_UNSET = 2;
export const FLAG_STATUS_OK = 4;
export const FLAG_STATUS_ERROR = 8;

// A part message, holder to owner: the part, who holds it, how old it is.
// [0..12] part | [13] generation | [14] entry | [15] index | [16] holder | [17] age ms
// [18] undecided samplers and flags | [19] kind
// (generation, entry, index) is the part's identity within its log. The holder is a lane of this
// node, or HOLDER_PEER + the number of another node; a part on its way to another node says its
// lane, that node's number at HOLDER_TO_SHIFT, and at HOLDER_SET_SHIFT the number of the policy set
// that its predicate bits are of.
export const MESSAGE_GENERATION = 13;
export const MESSAGE_ENTRY = 14;
export const MESSAGE_INDEX = 15;
export const MESSAGE_HOLDER = 16;
export const MESSAGE_AGE_MS = 17;
/** Above every lane: holders that are other nodes. */
export const HOLDER_PEER = 64;
export const HOLDER_TO_SHIFT = 8;
export const HOLDER_SET_SHIFT = 16;
export const MESSAGE_UNDECIDED = 18;
export const MESSAGE_WORDS = 20;
/** Bits of the samplers that have not decided, in MESSAGE_UNDECIDED. */
export const MESSAGE_UNDECIDED_BITS = 0xffff;
/** Flag in MESSAGE_UNDECIDED: sent before by this holder or by a former run of it. */
export const MESSAGE_AGAIN = 0x10000;

// The last word of a slot says what it holds. Kinds other than parts travel while lanes load their
// logs, because a log may know things about traces or generations that another lane has now, and
// between nodes when shards got another owner.
export const MESSAGE_KIND = 19;
/** A part message, as above. */
export const KIND_PART = 0;
/** A remembered decision: MEMORY_WORDS words from the slot's start. */
export const KIND_REMEMBERED = 1;
/** A remembered decision's fingerprint; words as the memory exports it. */
export const KIND_FINGERPRINT = 4;
/** Word 0: what follows in this ring was sent by the map of this epoch. */
export const KIND_EPOCH = 5;
/**
 * Word 0: epoch. Everything that the holder had for the shards which the receiver got up to it lies
 * before this. Word 1, on its way to another node: session of the connection it is meant for.
 */
export const KIND_COMPLETE = 6;
