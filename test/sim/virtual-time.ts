// The clocks that lanes and cluster words read, under the hand of a simulation. Everything runs
// synchronously between install() and restore(), so nobody else in the process meets this time.

const EPOCH_MS = 1_700_000_000_000;
/** Far from zero: a monotonic clock that starts at zero would hide what is wrong near it. */
const STARTED_MS = 5_000_000;

/** One clock for all nodes: what travels is ages, never times. */
export class VirtualTime {
  nowMs = STARTED_MS;
  #restore: (() => void) | null = null;

  install(): void {
    const { now } = performance;
    const wall = Date.now;
    const { hrtime } = process;
    performance.now = () => this.nowMs;
    Date.now = () => EPOCH_MS + this.nowMs;
    process.hrtime = Object.assign(
      (): [number, number] => {
        const seconds = Math.floor(this.nowMs / 1_000);
        return [seconds, Math.round((this.nowMs - seconds * 1_000) * 1e6)];
      },
      { bigint: () => BigInt(Math.round(this.nowMs * 1e6)) });
    this.#restore = () => {
      performance.now = now;
      Date.now = wall;
      process.hrtime = hrtime;
    };
  }

  restore(): void {
    this.#restore?.();
    this.#restore = null;
  }
}
