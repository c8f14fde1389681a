// npm run demo: a gateway, a shop of eight services that send to it in three protocols, and the
// story of what became of their traces. What it expects is checked, so it is a test as well.

import { setTimeout as sleep } from "node:timers/promises";
import { traceCard } from "../engine/commands/explain-card.ts";
import { createTerminal } from "../engine/commands/terminal.ts";
import type { StatusReport } from "../engine/telemetry/status-report.ts";
import { Decisions, type DemoFacts, disappointments } from "./demo-account.ts";
import { DECISION_WAIT_MS, DemoGateway } from "./demo-gateway.ts";
import { DEMO_USAGE, type DemoOptions, readDemoOptions } from "./demo-options.ts";
import { keptTable, planText, progressLine, sentencesText } from "./demo-report.ts";
import { ShopSenders } from "./demo-senders.ts";
import { planTrace } from "./demo-shop.ts";
import { countKeptSpans } from "./kept-files.ts";

const EXIT_AS_EXPECTED = 0;
const EXIT_DISAPPOINTED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const TURN_MS = 100;
/** From the first span of a trace to its late one: after the decision, ticks included. */
const LATE_MS = DECISION_WAIT_MS + 2_000;
/** DecisionWait of a gateway that the demo did not start, at most, or it does not wait for it. */
const ATTACHED_WAIT_MS = 30_000;
/** Longest wait for decisions that are due, and for files, on a busy machine. */
const SETTLE_MS = 20_000;
/** Between lines of progress where no terminal can show one that changes. */
const LINE_MS = 5_000;
const terminal = process.stdout.isTTY;

/** A demo that runs; `interrupted` is set by Ctrl-C. */
class Demo {
  readonly #options: DemoOptions;
  readonly #gateway: DemoGateway;
  readonly #senders: ShopSenders;
  readonly #decisions: Decisions;
  readonly #interrupted: AbortSignal;
  readonly #beganMs = Date.now();
  #lineAtMs = this.#beganMs;

  constructor(options: DemoOptions, gateway: DemoGateway, interrupted: AbortSignal) {
    this.#options = options;
    this.#gateway = gateway;
    this.#interrupted = interrupted;
    this.#senders = new ShopSenders(gateway);
    this.#decisions = new Decisions(gateway);
  }

  /** Sends, and waits for every decision. @returns the exit code. */
  async run(): Promise<number> {
    await this.#send();
    await this.#senders.close();
    if (!this.#interrupted.aborted) await this.#settle();
    this.#progress(true);
    if (this.#interrupted.aborted) return EXIT_INTERRUPTED;
    const status = await this.#gateway.status();
    const facts = this.#facts(status);
    process.stdout.write(`\n${keptTable(facts)}\n`);
    const [account] = status.balance.forwarders;
    // Of another gateway nobody knows where its kept spans go, and what else it received.
    if (this.#gateway.directory !== null && account !== undefined) {
      process.stdout.write(sentencesText(facts, account));
    }
    await this.#explain(facts);
    return this.#judge(facts);
  }

  async #send(): Promise<void> {
    const { seconds, rate } = this.#options;
    const endMs = this.#beganMs + seconds * 1000;
    let begun = 0;
    while (!this.#interrupted.aborted) {
      const nowMs = Date.now();
      const due = Math.floor((Math.min(nowMs, endMs) - this.#beganMs) * rate / 1000);
      for (; begun < due; begun++) {
        const startMs = this.#beganMs + (begun * 1000) / rate;
        this.#senders.begin(planTrace(begun, startMs, LATE_MS, Math.random));
      }
      this.#senders.endDue(nowMs);
      await this.#decisions.follow(this.#senders.sent, nowMs);
      this.#progress(false);
      if (nowMs >= endMs && this.#senders.spansOpen === 0) return;
      await sleep(TURN_MS);
    }
  }

  /** Until all is judged, and all that is kept has arrived where it goes. */
  async #settle(): Promise<void> {
    const wait = this.#gateway.directory === null ? ATTACHED_WAIT_MS : DECISION_WAIT_MS;
    const endMs = Date.now() + wait + SETTLE_MS;
    while (!this.#interrupted.aborted && Date.now() < endMs) {
      await this.#decisions.follow(this.#senders.sent, Date.now());
      this.#progress(false);
      const { balance } = await this.#gateway.status();
      const open = balance.forwarders.reduce(
        (sum, { inFlight, waiting }) => sum + inFlight + waiting, 0);
      const all = this.#decisions.judged.length === this.#senders.sent.length;
      if (all && (open === 0 || this.#gateway.directory === null)) return;
      await sleep(TURN_MS);
    }
  }

  #facts(status: StatusReport): DemoFacts {
    const { sent, spansMade, spansAccepted } = this.#senders;
    const directory = this.#gateway.keptDirectory;
    return {
      sent, spansMade, spansAccepted, judged: this.#decisions.judged,
      keptSpans: directory === null ? new Map() : countKeptSpans(directory),
      received: status.balance.received, balanceCloses: status.balanceCloses,
    };
  }

  async #explain({ judged }: DemoFacts): Promise<void> {
    const example = judged.findLast(({ policy }) => policy !== null);
    const report = example === undefined ? null : await this.#gateway.trace(example.sent.traceId);
    if (report !== null) {
      const terminal = createTerminal(process.stdout, process.stderr, process.env);
      process.stdout.write("\nOne kept trace, as tailrace explain shows it:\n\n"
        + indented(traceCard(report, terminal)));
    }
    const directory = this.#gateway.keptDirectory;
    if (directory !== null) {
      process.stdout.write(`\nThe kept spans, as OTLP JSON lines, are yours: ${directory}\n`);
      if (!this.#options.keepRunning) process.stdout.write(
        "To look at more traces: npm run demo -- --keep-running\n");
    }
  }

  /** Says what was refused and what was not as expected. */
  #judge(facts: DemoFacts): number {
    for (const [protocol, { refused, reasons }] of this.#senders.outcomes) {
      if (refused === 0) continue;
      process.stdout.write(`\n${protocol}: ${refused} spans were refused: `
        + `${[...reasons].join("; ")}\n`);
    }
    if (this.#gateway.directory === null) {
      return facts.spansAccepted === facts.spansMade ? EXIT_AS_EXPECTED : EXIT_DISAPPOINTED;
    }
    const wrong = disappointments(facts);
    if (wrong.length === 0) {
      process.stdout.write("\nAs expected: every failed, every slow and every rare trace was kept, "
        + "and nothing is missing.\n");
      return EXIT_AS_EXPECTED;
    }
    process.stdout.write(`\nNot as expected:\n${wrong.map((line) => `  ${line}\n`).join("")}`);
    return EXIT_DISAPPOINTED;
  }

  /** One line that changes, or one now and then; the last one stays. */
  #progress(last: boolean): void {
    const nowMs = Date.now();
    if (!terminal && !last && nowMs < this.#lineAtMs) return;
    this.#lineAtMs = nowMs + LINE_MS;
    const { spansAccepted, sent } = this.#senders;
    const line = progressLine(
      nowMs - this.#beganMs, spansAccepted, sent.length, this.#decisions.judged);
    process.stdout.write(terminal ? `\r${line}  ${last ? "\n" : ""}` : `${line}\n`);
  }
}

async function main(options: DemoOptions, interrupted: AbortSignal): Promise<number> {
  const gateway = options.attach === null
    ? await DemoGateway.start() : DemoGateway.attach(options.attach);
  let code = EXIT_DISAPPOINTED;
  try {
    const fault = await gateway.whyNotReady();
    if (fault !== null) {
      process.stderr.write(`demo: ${fault}\n`);
      return code;
    }
    process.stdout.write(planText(gateway, options.seconds));
    code = await new Demo(options, gateway, interrupted).run();
    if (options.keepRunning && !interrupted.aborted) await waitForEnd(gateway, interrupted);
  } finally {
    const ended = await gateway.stop();
    if (ended !== EXIT_AS_EXPECTED) {
      process.stderr.write(`demo: the gateway ended with ${ended}:\n${gateway.output}\n`);
      code = EXIT_DISAPPOINTED;
    }
    if (interrupted.aborted && code === EXIT_INTERRUPTED) gateway.discard();
  }
  return code;
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}

async function waitForEnd(gateway: DemoGateway, interrupted: AbortSignal): Promise<void> {
  process.stdout.write("\nThe gateway runs on; Ctrl-C ends it. Ask it:\n"
    + `  node dist/engine/main.js explain ID --admin ${new URL(gateway.adminUrl).host}\n`
    + `  node dist/engine/main.js status --admin ${new URL(gateway.adminUrl).host}\n`);
  while (!interrupted.aborted) await sleep(TURN_MS);
}

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort());
process.once("SIGTERM", () => interrupt.abort());
const options = optionsOrReason();
if (options === "help") process.stdout.write(DEMO_USAGE);
else if (options instanceof Error) {
  process.stderr.write(`demo: ${options.message}\n${DEMO_USAGE}`);
  process.exitCode = EXIT_USAGE;
} else {
  process.exitCode = await main(options, interrupt.signal);
}

function optionsOrReason(): DemoOptions | "help" | Error {
  try {
    return readDemoOptions(process.argv.slice(2));
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return error;
    throw error;
  }
}
