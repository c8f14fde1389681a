import { expect, it } from "vitest";
import type { Account, BalanceSheet, Share } from "../../../engine/telemetry/balance-sheet.ts";
import { KEPT_LOST_NAMES, LOST_NAMES } from "../../../engine/telemetry/label-values.ts";
import { LossWatch } from "../../../engine/telemetry/loss-watch.ts";

function sheetOf(lostByReason: readonly Share[], keptLostByReason: readonly Share[]): BalanceSheet {
  // The watch looks at nothing else of an account.
  const account = { forwarder: "backend", lostByReason, keptLostByReason } as unknown as Account;
  return {
    received: 0, receivedByProtocol: [], refused: 0, refusedByReason: [], forwarders: [account],
  };
}

it("every loss is told of once, with its reason and what to do", () => {
  const watch = new LossWatch();
  expect(watch.look(sheetOf([], []))).toEqual([]);
  const kept = [{ name: "outbox_limit", spans: 5 }];
  expect(watch.look(sheetOf([], kept))).toMatchObject([
    { forwarder: "backend", reason: "outbox_limit", spans: 5 },
  ]);
  expect(watch.look(sheetOf([], kept))).toEqual([]);
  const more = [{ name: "outbox_limit", spans: 7 }];
  expect(watch.look(sheetOf([{ name: "record_corrupt", spans: 1 }], more)).map((loss) => {
    return [loss.reason, loss.spans];
  })).toEqual([["record_corrupt", 1], ["outbox_limit", 2]]);
});

it("every reason for which spans can be lost has an advice of its own", () => {
  const shares = (names: readonly string[]): Share[] => names.map((name) => ({ name, spans: 1 }));
  const losses = new LossWatch().look(sheetOf(shares(LOST_NAMES), shares(KEPT_LOST_NAMES)));
  expect(losses).toHaveLength(LOST_NAMES.length + KEPT_LOST_NAMES.length);
  for (const { reason, advice } of losses) {
    expect([reason, advice]).not.toEqual([reason, expect.stringContaining("reference of metrics")]);
  }
});
