// How one thread sleeps and any other wakes it. A consumer has one, because a thread can wait on
// one address only; everyone who gives it work wakes that one.
//
//   word 0  calls: raised by every wake, wraps
//   word 1  sleepers: above 0 while the owner waits or is about to
//
// The owner's loop: snapshot → look at every queue → wait(snapshot). No wake-up is lost: work that
// was published before the snapshot is seen by the look; a wake after the snapshot changes word 0,
// and a wait on a changed word returns at once. The waker may skip the costly notify when it reads
// sleepers = 0: then the owner raises it later than that, and finds word 0 changed.

import { assert } from "../base/assert.ts";

const CALLS = 0;
const SLEEPERS = 1;
const WAKE_WORDS = 2;

/** Memory of one wake word. */
export function createWakeWord(): SharedArrayBuffer {
  return new SharedArrayBuffer(WAKE_WORDS * 4);
}

/** A wake word seen from one thread: any thread may `wake`, one thread at a time waits. */
export class WakeWord {
  private readonly words: Int32Array;
  private resolveWait: (() => void) | null;
  private timer: NodeJS.Timeout | null;
  /** A waitAsync of the engine is outstanding. It outlives a wait that timed out and is reused. */
  private armed: boolean;
  private readonly endWait: () => void;
  private readonly onNotified: () => void;

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, WAKE_WORDS);
    this.resolveWait = null;
    this.timer = null;
    this.armed = false;
    this.endWait = () => this.finishWait();
    this.onNotified = () => {
      this.armed = false;
      Atomics.sub(this.words, SLEEPERS, 1);
      this.finishWait();
    };
  }

  /** Wakes the owner, or ends its next wait at once. Call it after publishing, once a batch. */
  wake(): void {
    Atomics.add(this.words, CALLS, 1);
    if (Atomics.load(this.words, SLEEPERS) > 0) Atomics.notify(this.words, CALLS);
  }

  /** Take it before looking at the queues; a wait on it returns at once if anyone woke since. */
  snapshot(): number {
    return Atomics.load(this.words, CALLS);
  }

  /** Blocks the thread until a wake after the snapshot, or `timeoutMs`. */
  waitSync(snapshot: number, timeoutMs: number): void {
    Atomics.add(this.words, SLEEPERS, 1);
    Atomics.wait(this.words, CALLS, snapshot, timeoutMs);
    Atomics.sub(this.words, SLEEPERS, 1);
  }

  /**
   * Resolves on a wake after the snapshot or after `timeoutMs`, sometimes without reason, and
   * always from a later turn of the event loop, so that a busy loop of waits cannot starve input
   * and output. While it waits it keeps the event loop alive. One wait at a time.
   */
  waitAsync(snapshot: number, timeoutMs: number): Promise<void> {
    assert(this.resolveWait === null, "one thread waits once at a time");
    assert(timeoutMs >= 0, "a wait has no negative time");
    assert(timeoutMs < 2 ** 31, "a wait is bounded by what a timer takes");
    return new Promise((resolve) => {
      this.resolveWait = resolve;
      if (this.arm(snapshot)) this.timer = setTimeout(this.endWait, timeoutMs);
      else setImmediate(this.endWait);
    });
  }

  /** False when someone woke since the snapshot. */
  private arm(snapshot: number): boolean {
    if (this.armed) return Atomics.load(this.words, CALLS) === snapshot;
    Atomics.add(this.words, SLEEPERS, 1);
    const outcome = Atomics.waitAsync(this.words, CALLS, snapshot);
    if (!outcome.async) {
      Atomics.sub(this.words, SLEEPERS, 1);
      return false;
    }
    this.armed = true;
    void outcome.value.then(this.onNotified);
    return true;
  }

  private finishWait(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const resolve = this.resolveWait;
    this.resolveWait = null;
    if (resolve !== null) resolve();
  }
}
