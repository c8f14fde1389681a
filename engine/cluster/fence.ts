// Until when this node may decide. Whoever removes a node from the map waits for this time to pass;
// so it is a promise to the others, and counts from what they can know of this node.
//
// A node may decide while its lease surely lives. When etcd is lost by all members alike, none of
// them can propose a map; then the map is frozen (grants.ts) and they go on, for FROZEN_MAX_MS.

import { assert } from "../base/assert.ts";
import { LEASE_TTL_SECONDS_MIN, NEVER_MS } from "./lease-keeper.ts";

/**
 * Ends a node's time before it ends for the others. In it go the clocks' different rates over the
 * longest TTL (a minute: 60 ms at 1,000 ppm), and a pause between the look at the clock and the
 * effect of what was decided: the longest stops of a thread and stalls of a commit that were seen
 * are well below a second. What a longer pause lets through, the witness refuses.
 */
export const FENCE_MARGIN_MS = 1_500;
/**
 * How long a frozen map is decided by, from the last keepalive on. It has an end because newcomers
 * that reach an etcd which no member reaches must be able to begin anew at some time
 * (ABANDONED_MS in next-members.ts): longer here is a longer wait there. Past it spans are stored
 * and nothing is decided, until etcd is back.
 */
export const FROZEN_MAX_MS = 600_000;

assert(FENCE_MARGIN_MS * 2 < LEASE_TTL_SECONDS_MIN * 1_000, "a lease leaves time to decide");

/** Monotonic times of this node. */
export interface FenceInput {
  /** When the last acknowledged keepalive was sent; NEVER_MS without a lease. */
  readonly acknowledgedSentMs: number;
  readonly leaseTtlMs: number;
  /** MapKeeper.isInForce: the map in force has this very process, under this very lease. */
  readonly isMember: boolean;
  /** Grants.frozenUntilMs, the margin taken off already; NEVER_MS when the map is not frozen. */
  readonly grantedUntilMs: number;
}

/** Nothing may be decided at this time or later; NEVER_MS: nothing at all. */
export function decideUntilMs(
  { acknowledgedSentMs, leaseTtlMs, isMember, grantedUntilMs }: FenceInput,
): number {
  // A lease that etcd said is gone is not made up for by grants: others may have seen it go.
  if (!isMember || acknowledgedSentMs === NEVER_MS) return NEVER_MS;
  const leasedUntilMs = acknowledgedSentMs + leaseTtlMs - FENCE_MARGIN_MS;
  return Math.max(leasedUntilMs, Math.min(grantedUntilMs, acknowledgedSentMs + FROZEN_MAX_MS));
}
