// The balance sheet: for every forwarder, what became of each span. Two accounts, both in spans:
//
//   decision   received + moved in + replayed
//                = kept + dropped − upgraded + in flight + moved out + evicted + lost
//   delivery   kept + kept by an earlier run
//                = acknowledged + waiting + lost after being kept
//
// Each lane raises its numbers of one event in one publication, so both close at every moment,
// not only at the end. A difference is a bug, never rounding: the numbers are integers below
// 2^53.

import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import {
  DIRECTION_IN, DIRECTION_OUT, EVICTED_NAMES, evictedIndex, keptForwarder, KEPT_LOST_NAMES,
  KEPT_LOST_RECORD_CORRUPT, keptLostIndex, KEPT_SPACE, LOST_NAMES, lostIndex, movedIndex,
  PROTOCOL_NAMES, REFUSED_NAMES,
} from "./label-values.ts";
import type { LabelNames } from "./metric-layout.ts";
import {
  KEPT_SPANS_LOST, KEPT_SPANS_REPLAYED, OUTBOX_SPANS, SPANS_ACKNOWLEDGED, SPANS_DROPPED,
  SPANS_EVICTED, SPANS_IN_FLIGHT, SPANS_KEPT, SPANS_LOST, SPANS_MOVED, SPANS_RECEIVED,
  SPANS_REFUSED, SPANS_REPLAYED, SPANS_UPGRADED,
} from "./metric-table.ts";
import type { Snapshot } from "./snapshot.ts";

/** A part of a sum, by label text. Parts that are zero are left out. */
export interface Share {
  readonly name: string;
  readonly spans: number;
}

/** Both accounts of one forwarder. */
export interface Account {
  readonly forwarder: string;
  readonly received: number;
  readonly movedIn: number;
  readonly replayed: number;
  readonly kept: number;
  readonly keptByPolicy: readonly Share[];
  readonly dropped: number;
  readonly upgraded: number;
  readonly inFlight: number;
  readonly movedOut: number;
  /** Not stored, by StoragePolicy. */
  readonly evicted: number;
  readonly evictedByReason: readonly Share[];
  readonly lost: number;
  readonly lostByReason: readonly Share[];
  /** Left minus right of the first account; positive: spans nobody accounts for. */
  readonly difference: number;
  readonly keptBefore: number;
  readonly acknowledged: number;
  readonly waiting: number;
  readonly keptLost: number;
  readonly keptLostByReason: readonly Share[];
  /** Left minus right of the second account. */
  readonly deliveryDifference: number;
}

/** What became of every span this process answered for. */
export interface BalanceSheet {
  readonly received: number;
  readonly receivedByProtocol: readonly Share[];
  readonly refused: number;
  readonly refusedByReason: readonly Share[];
  readonly forwarders: readonly Account[];
}

/** Computes the sheet. A slot without a name appears when anything was counted under it. */
export function balanceSheet(snapshot: Snapshot, names: LabelNames): BalanceSheet {
  const cells = snapshot.lane;
  const receivedByProtocol = shares(PROTOCOL_NAMES, (index) => cells[SPANS_RECEIVED + index]);
  const refusedByReason = shares(REFUSED_NAMES, (index) => cells[SPANS_REFUSED + index]);
  const received = total(receivedByProtocol);
  const keptShares = keptBySlot(cells, names);
  const forwarders: Account[] = [];
  for (const [slot, keptByPolicy] of keptShares.entries()) {
    const label = names.forwarders[slot] ?? null;
    const account = accountOf(
      cells, slot, label?.name ?? `forwarder_${slot}`, label?.receives === true ? received : 0,
      keptByPolicy,
    );
    if (label !== null || !isEmpty(account)) forwarders.push(account);
  }
  return {
    received, receivedByProtocol, refused: total(refusedByReason), refusedByReason, forwarders,
  };
}

/** True when both accounts of every forwarder come out even. */
export function closes(sheet: BalanceSheet): boolean {
  return sheet.forwarders.every((account) =>
    account.difference === 0 && account.deliveryDifference === 0);
}

/** Acknowledged spans that are gone without a decision, or that could not be read back. */
export function lostSpans(sheet: BalanceSheet): number {
  return sheet.forwarders.reduce((sum, { lost, keptLostByReason }) => {
    const unread = keptLostByReason.filter(({ name }) => {
      return name === KEPT_LOST_NAMES[KEPT_LOST_RECORD_CORRUPT];
    });
    return sum + lost + unread.reduce((spans, share) => spans + share.spans, 0);
  }, 0);
}

function accountOf(
  cells: Float64Array, slot: number, forwarder: string, received: number,
  keptByPolicy: readonly Share[],
): Account {
  const at = (index: number): number => cells[index] ?? 0;
  const lostByReason = shares(LOST_NAMES, (reason) => at(SPANS_LOST + lostIndex(slot, reason)));
  const evictedByReason = shares(EVICTED_NAMES, (reason) =>
    at(SPANS_EVICTED + evictedIndex(slot, reason)));
  const evicted = total(evictedByReason);
  const keptLostByReason = shares(KEPT_LOST_NAMES, (reason) =>
    at(KEPT_SPANS_LOST + keptLostIndex(slot, reason)));
  const movedIn = at(SPANS_MOVED + movedIndex(slot, DIRECTION_IN));
  const movedOut = at(SPANS_MOVED + movedIndex(slot, DIRECTION_OUT));
  const replayed = at(SPANS_REPLAYED + slot);
  const kept = total(keptByPolicy);
  const dropped = at(SPANS_DROPPED + slot);
  const upgraded = at(SPANS_UPGRADED + slot);
  const inFlight = at(SPANS_IN_FLIGHT + slot);
  const lost = total(lostByReason);
  const keptBefore = at(KEPT_SPANS_REPLAYED + slot);
  const acknowledged = at(SPANS_ACKNOWLEDGED + slot);
  const waiting = at(OUTBOX_SPANS + slot);
  const keptLost = total(keptLostByReason);
  return {
    forwarder, received, movedIn, replayed, kept, keptByPolicy, dropped, upgraded, inFlight,
    movedOut, evicted, evictedByReason, lost, lostByReason,
    difference: received + movedIn + replayed
      - (kept + dropped - upgraded + inFlight + movedOut + evicted + lost),
    keptBefore, acknowledged, waiting, keptLost, keptLostByReason,
    deliveryDifference: kept + keptBefore - (acknowledged + waiting + keptLost),
  };
}

/** Kept spans by forwarder slot and policy name; the names of several policy sets are one. */
function keptBySlot(cells: Float64Array, names: LabelNames): Map<number, Share[]> {
  const slots = new Map<number, Map<string, number>>();
  for (let slot = 0; slot < FORWARDERS_MAX; slot++) slots.set(slot, new Map());
  for (let index = 0; index < KEPT_SPACE.size; index++) {
    const spans = cells[SPANS_KEPT + index] ?? 0;
    if (spans === 0) continue;
    const policy = KEPT_SPACE.nameAt(index, names).values[1] ?? "unknown";
    const policies = slots.get(keptForwarder(index, names));
    policies?.set(policy, (policies.get(policy) ?? 0) + spans);
  }
  const sorted = new Map<number, Share[]>();
  for (const [slot, policies] of slots) {
    const parts = [...policies].map(([name, spans]) => ({ name, spans }));
    sorted.set(slot, parts.sort((one, other) => other.spans - one.spans));
  }
  return sorted;
}

function shares(
  names: readonly string[], spansAt: (index: number) => number | undefined,
): Share[] {
  return names
    .map((name, index) => ({ name, spans: spansAt(index) ?? 0 }))
    .filter((share) => share.spans !== 0);
}

function total(parts: readonly Share[]): number {
  return parts.reduce((spans, part) => spans + part.spans, 0);
}

function isEmpty(account: Account): boolean {
  return Object.values(account).every((value) =>
    typeof value === "number" ? value === 0 : typeof value === "string" || value.length === 0);
}
