// The balance sheet as text for a terminal: printed when the process ends, read by whoever
// stopped it. One column a forwarder, in ledger form: what came in, what became of it, and
// whether that is equal.

import { closes, type Account, type BalanceSheet, type Share } from "./balance-sheet.ts";

const LABEL_COLUMNS = 30;
const NUMBER_COLUMNS_MIN = 14;
const NUMBER_COLUMNS_MAX = 26;
const LINE_COLUMNS_MAX = 100;
const COLUMN_GAP = 2;

/** The table, ending in a line break. Numbers are spans; one block of lines fits 100 columns. */
export function balanceTable(sheet: BalanceSheet): string {
  const lines = [
    "Balance sheet (spans)",
    "",
    headLine("received", sheet.received, sheet.receivedByProtocol),
    headLine("refused, never acknowledged", sheet.refused, sheet.refusedByReason),
    "",
  ];
  for (const accounts of fittingGroups(sheet.forwarders)) lines.push(...ledger(accounts), "");
  lines.push(...verdict(sheet));
  return `${lines.join("\n")}\n`;
}

function verdict(sheet: BalanceSheet): string[] {
  if (sheet.forwarders.length === 0) return ["No forwarder is configured: nothing to account for."];
  if (closes(sheet)) {
    const waiting = sheet.forwarders.reduce((spans, account) =>
      spans + account.inFlight + account.waiting, 0);
    const rest = waiting === 0
      ? "" : ` ${grouped(waiting)} wait on disk for the next start.`;
    return [`The balance closes: every span is accounted for.${rest}`];
  }
  const lines = ["THE BALANCE DOES NOT CLOSE. This is a bug in tailrace:"];
  for (const account of sheet.forwarders) {
    explain(lines, account.forwarder, "received", account.difference);
    explain(lines, account.forwarder, "kept", account.deliveryDifference);
  }
  lines.push("Please report it with this table and the log of this run.");
  return lines;
}

function explain(lines: string[], forwarder: string, what: string, difference: number): void {
  if (difference === 0) return;
  const spans = grouped(Math.abs(difference));
  lines.push(difference > 0
    ? `  ${printable(forwarder)}: ${spans} ${what} spans are not accounted for`
    : `  ${printable(forwarder)}: ${spans} ${what} spans are accounted for more than once`);
}

/** All lines of a few forwarders' accounts, side by side. */
function ledger(accounts: readonly Account[]): string[] {
  const width = numberColumns(accounts);
  const line = (label: string, cells: readonly string[]): string =>
    `${label.padEnd(LABEL_COLUMNS)}${cells.map((cell) => " ".repeat(COLUMN_GAP)
      + cell.padStart(width)).join("")}`.trimEnd();
  const row = (label: string, value: (account: Account) => number): string =>
    line(label, accounts.map((account) => grouped(value(account))));
  const parts = (shares: (account: Account) => readonly Share[]): string[] =>
    namesOf(accounts, shares).map((name) => line(partLabel(name), accounts.map((account) => {
      const share = shares(account).find((each) => each.name === name);
      return share === undefined ? "-" : grouped(share.spans);
    })));
  const rule = line("", accounts.map(() => "-".repeat(width)));
  return [
    line("", accounts.map((account) => shortened(printable(account.forwarder), width))),
    row("  received", (account) => account.received),
    row("+ moved in", (account) => account.movedIn),
    row("+ replayed from the log", (account) => account.replayed),
    rule,
    row("= to decide", toDecide),
    row("  kept", (account) => account.kept),
    ...parts((account) => account.keptByPolicy),
    row("+ dropped", (account) => account.dropped),
    row("- upgraded from dropped", (account) => account.upgraded),
    row("+ in flight, undecided", (account) => account.inFlight),
    row("+ moved out", (account) => account.movedOut),
    row("+ evicted, not stored", (account) => account.evicted),
    ...parts((account) => account.evictedByReason),
    row("+ lost", (account) => account.lost),
    ...parts((account) => account.lostByReason),
    row("  difference", (account) => account.difference),
    line("  share kept", accounts.map(shareKept)),
    "",
    row("  kept", (account) => account.kept),
    row("+ kept by an earlier run", (account) => account.keptBefore),
    rule,
    row("= to deliver", (account) => account.kept + account.keptBefore),
    row("  acknowledged", (account) => account.acknowledged),
    row("+ waiting in the outbox", (account) => account.waiting),
    row("+ lost after being kept", (account) => account.keptLost),
    ...parts((account) => account.keptLostByReason),
    row("  difference", (account) => account.deliveryDifference),
  ];
}

function headLine(label: string, spans: number, shares: readonly Share[]): string {
  const parts = shares.map((share) => `${share.name} ${grouped(share.spans)}`).join(", ");
  return `${label.padEnd(LABEL_COLUMNS)}  ${grouped(spans)}${parts === "" ? "" : ` (${parts})`}`;
}

/** Groups of forwarders whose columns fit one line. */
function fittingGroups(accounts: readonly Account[]): Account[][] {
  const groups: Account[][] = [];
  let group: Account[] = [];
  for (const account of accounts) {
    const wider = [...group, account];
    const columns = LABEL_COLUMNS + wider.length * (numberColumns(wider) + COLUMN_GAP);
    if (group.length > 0 && columns > LINE_COLUMNS_MAX) {
      groups.push(group);
      group = [account];
    } else {
      group = wider;
    }
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/** Columns that the longest number and most of the longest name need. */
function numberColumns(accounts: readonly Account[]): number {
  let columns = NUMBER_COLUMNS_MIN;
  for (const account of accounts) {
    const name = Math.min(account.forwarder.length, NUMBER_COLUMNS_MAX);
    columns = Math.max(columns, name);
    for (const value of Object.values(account)) {
      if (typeof value === "number") columns = Math.max(columns, grouped(value).length);
    }
    columns = Math.max(columns, grouped(toDecide(account)).length);
  }
  return columns;
}

function toDecide(account: Account): number {
  return account.received + account.movedIn + account.replayed;
}

function namesOf(
  accounts: readonly Account[], shares: (account: Account) => readonly Share[],
): string[] {
  const names = new Set<string>();
  for (const account of accounts) for (const share of shares(account)) names.add(share.name);
  return [...names];
}

function partLabel(name: string): string {
  return `      ${shortened(printable(name), LABEL_COLUMNS - 6)}`;
}

function shareKept(account: Account): string {
  const decided = account.kept + account.dropped - account.upgraded;
  return decided === 0 ? "-" : `${(100 * account.kept / decided).toFixed(1)} %`;
}

function shortened(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}

/** Names come from a configuration file; control characters must not reach the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
