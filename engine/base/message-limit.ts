import type { Clock } from "./clock.ts";

/** Lines of one message in a period: enough to see a pattern, too few to fill a disk. */
export const LINES_PER_PERIOD = 10;
export const PERIOD_MS = 10_000;
/** Messages remembered; texts are written in the source, so more means one carries its details. */
export const MESSAGES_MAX = 512;
/** Shared by messages that find no place of their own. */
const OTHERS = "";
/** What `admit` answers for a line that is not to be written. */
export const SUPPRESSED = -1;

interface Period {
  beganMs: number;
  lines: number;
  suppressed: number;
}

/** Lets the first lines of each message through in a period and counts the others. */
export class MessageLimit {
  readonly #clock: Clock;
  readonly #periods = new Map<string, Period>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns SUPPRESSED, or how many lines of this message were not written since the last. */
  admit(message: string): number {
    const nowMs = this.#clock.monotonicMs();
    const period = this.#periodOf(message, nowMs);
    if (nowMs - period.beganMs >= PERIOD_MS) {
      period.beganMs = nowMs;
      period.lines = 0;
    }
    if (period.lines === LINES_PER_PERIOD) {
      period.suppressed++;
      return SUPPRESSED;
    }
    period.lines++;
    const { suppressed } = period;
    period.suppressed = 0;
    return suppressed;
  }

  /** Messages with lines not written that no later line told of; forgets them. */
  unsaid(): { readonly message: string; readonly suppressed: number }[] {
    const found: { message: string; suppressed: number }[] = [];
    for (const [message, period] of this.#periods) {
      const { suppressed } = period;
      if (suppressed > 0) found.push({ message, suppressed });
      period.suppressed = 0;
    }
    return found;
  }

  #periodOf(message: string, nowMs: number): Period {
    const known = this.#periods.get(message);
    if (known !== undefined) return known;
    const place = this.#periods.size < MESSAGES_MAX || this.#makeRoom(nowMs) ? message : OTHERS;
    const fresh = this.#periods.get(place) ?? { beganMs: nowMs, lines: 0, suppressed: 0 };
    this.#periods.set(place, fresh);
    return fresh;
  }

  /** Forgets messages that were not heard of for a period and owe no count. */
  #makeRoom(nowMs: number): boolean {
    for (const [message, { beganMs, suppressed }] of this.#periods) {
      if (suppressed === 0 && nowMs - beganMs >= PERIOD_MS) this.#periods.delete(message);
    }
    return this.#periods.size < MESSAGES_MAX;
  }
}
