// Hard bounds compiled in. Each says why it has its value and what happens when it is reached.
// What an operator may tune is in settings.ts.

/**
 * Span workers: holder numbers in part links are 8 bits wide, and more lanes than this never
 * helped.
 */
export const LANES_MAX = 64;

/** Longest DecisionWait: the timer wheel has one bucket per tick up to here. */
export const DECISION_WAIT_MS_MAX = 3_600_000;

/** Deadlines are rounded up to this, so that keeps come in groups that share records. */
export const DECISION_TICK_MS = 500;

/** Largest payload, inflated: a body must fit half a lane ring. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;

/** Longest text of a node that the cluster's map takes: names and addresses, 512 nodes of them. */
export const MEMBER_TEXT_MAX = 255;
