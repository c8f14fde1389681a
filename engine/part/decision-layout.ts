// A decision, owner to holder, one for each part: DECISION_WORDS u32 words.
//
// [0..3] trace id | [4] generation | [5] entry | [6] index of the part
// [7] low 16: samplers that this decides | high 16: forwarders that get the trace (by slot)
// [8..11] votes: a bit per policy of the policy set that sampled
// [12] trigger u8 | policy set u8 << 8 | decision flags u16 << 16
// [13] sample time, s since the Unix epoch | [14] unused
// [15] kind u8 | number of the other node u8 << 8, where it comes from or goes to; 0 = this one

export const DECISION_ID_0 = 0;
export const DECISION_GENERATION = 4;
export const DECISION_ENTRY = 5;
export const DECISION_INDEX = 6;
export const DECISION_MASKS = 7;
export const DECISION_VOTES_0 = 8;
export const DECISION_REASON = 12;
export const DECISION_AT_S = 13;
export const DECISION_KIND = 15;
export const DECISION_WORDS = 16;

// What else travels in the slots of decisions, between nodes:
// a decision for its witness, MEMORY words 0..12 of it, then [13] epoch, [14] place in its batch;
// a witness's answer, [0..1] nothing, [14] that place.
// The place: index u12 | lane of the owner u6 << 12 | batch u14 << 18
export const KIND_DECISION = 0;
export const KIND_WITNESS = 1;
export const KIND_WITNESSED = 2;
export const KIND_NODE_SHIFT = 8;
export const WITNESS_EPOCH = 13;
export const WITNESS_PLACE = 14;
export const PLACE_INDEX_MASK = 0xfff;
export const PLACE_LANE_SHIFT = 12;
export const PLACE_LANE_MASK = 0x3f;
export const PLACE_BATCH_SHIFT = 18;

export const VOTE_WORDS = 4;
/** Top-level policies of all samplers together: the bits of the vote words. */
export const POLICIES_MAX = 32 * VOTE_WORDS;
/** Forwarders a data directory can know; masks of forwarders and samplers are 16 bits wide. */
export const FORWARDERS_MAX = 16;

/** Why a trace was judged when it was. */
export const TRIGGER_WAIT = 1;
export const TRIGGER_ROOT = 2;
export const TRIGGER_SPAN_LIMIT = 3;
export const TRIGGER_BYTE_LIMIT = 4;
export const TRIGGER_SETTLED = 5;
export const TRIGGER_MEMORY = 6;
export const TRIGGER_STORAGE = 7;
export const TRIGGER_SHUTDOWN = 8;
export const TRIGGER_LATE = 9;
export const TRIGGER_NAMES = [
  "", "decision_wait", "root", "span_limit", "byte_limit", "outcome_settled", "memory_pressure",
  "storage_pressure", "shutdown", "late_span",
] as const;

/** Flags of DECISION_REASON >>> 16. */
export const DECISION_LATE = 1;
export const DECISION_INCOMPLETE = 2;
