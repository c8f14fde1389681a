// A remembered decision in full: MEMORY_WORDS u32 words, one cache line's worth. What `remember`
// takes, what a lookup answers, what the log keeps and what loads it again.
//
// [0..3] trace id | [4] masks: low 16 samplers decided, high 16 forwarders that get the trace
// [5..8] votes: a bit per policy of the policy set that sampled
// [9] trigger u8 | policy set u8 << 8 | decision flags u16 << 16
// [10] decided at, s since the Unix epoch | [11] spans judged | [12] duration, µs, up to 71 min
// Only meaningful inside the memory, ignored where entries come in:
// [13] remembered at, monotonic ms | [14] change number | [15] next younger (free: next free) entry

import { VOTE_WORDS } from "../part/decision-layout.ts";

export const MEMORY_ID_0 = 0;
export const MEMORY_MASKS = 4;
export const MEMORY_VOTES_0 = 5;
export const MEMORY_REASON = MEMORY_VOTES_0 + VOTE_WORDS;
export const MEMORY_AT_S = MEMORY_REASON + 1;
export const MEMORY_SPANS = MEMORY_REASON + 2;
export const MEMORY_DURATION_US = MEMORY_REASON + 3;
export const MEMORY_SINCE_MS = MEMORY_REASON + 4;
export const MEMORY_CHANGE = MEMORY_REASON + 5;
export const MEMORY_NEXT = MEMORY_REASON + 6;
export const MEMORY_WORDS = MEMORY_REASON + 7;

/** The part of MEMORY_REASON that says by which policy set, and so what the votes mean. */
export const REASON_POLICY_SET_MASK = 0xff00;
export const REASON_POLICY_SET_SHIFT = 8;
/** Number of a policy set of which nothing is known: what the votes mean is not told. */
export const POLICY_SET_UNKNOWN = 254;
export const REASON_FLAGS_MASK = 0xffff0000;

// A decision of which only the fingerprint is left: FINGERPRINT_WORDS u32 words.
// [0] seeded hash of the trace id | [1] check: 20 bits of another one, shard << 20
// | [2] masks as above; 0 = absent
export const FINGERPRINT_HASH = 0;
export const FINGERPRINT_CHECK = 1;
export const FINGERPRINT_MASKS = 2;
export const FINGERPRINT_WORDS = 3;

// A batch, as exported to the log and loaded from it: BATCH_HEADER_WORDS, then the entries.
// [0] kind u8 | version u8 << 8 | entries u16 << 16 | [1] proof of the fingerprint seed
export const BATCH_HEADER_WORDS = 2;
export const BATCH_FULL = 1;
export const BATCH_FINGERPRINTS = 2;
/** Since 2 the check of a fingerprint says its shard. Full entries are the same in both. */
export const BATCH_VERSION = 2;
export const BATCH_ENTRIES_MAX = 0xffff;

/** Words of a batch that has room for `entries` decisions in full, or for more fingerprints. */
export function batchWordsFor(entries: number): number {
  return BATCH_HEADER_WORDS + entries * MEMORY_WORDS;
}
