// All forwarders of the process on one event-loop thread. Lanes wake it after they published; each
// turn lets every forwarder take what it has room for. Requests, retries and files are
// asynchronous, so a slow destination holds nothing but its own batches and rings.

import type { Clock } from "../base/clock.ts";
import { assert } from "../base/assert.ts";
import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import { ByteRingConsumer } from "../ring/byte-ring.ts";
import { WakeWord } from "../ring/wake-word.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { createDestination } from "./create-destination.ts";
import type { Destination, DestinationDependencies } from "./destination.ts";
import type { ForwardEvent } from "./failure-log.ts";
import { ForwarderCounters } from "./forwarder-counters.ts";
import { Forwarder, type Unsent } from "./forwarder.ts";
import type { ForwarderSettings } from "./forwarder-settings.ts";
import { pause } from "./pause.ts";

/**
 * Rest after a turn that took messages, ms: waking costs more than looking, and batches wait
 * anyway.
 */
const REST_MS = 10;
/** Longest sleep, ms: a bound for what only a lost wake-up would need. */
const SLEEP_MS_MAX = 1_000;
/** Between looks while a lane is behind with acknowledgements, or while flushing, ms. */
const POLL_MS = 5;
/** What an aborted request or a last file write may take beyond the deadline of a flush, ms. */
const ABORT_MS_MAX = 1_000;

/** Shared memory and settings of the forwarder thread; all of it survives a structured clone. */
export interface ForwarderLoopOptions {
  readonly forwarders: readonly ForwarderSettings[];
  /** rings[lane][slot]: messages of a lane for a forwarder; null for slots without forwarder. */
  readonly rings: readonly (readonly (SharedArrayBuffer | null)[])[];
  /** acks[lane]: slot ring of ACK_WORDS, forwarder thread to lane. */
  readonly acks: readonly SharedArrayBuffer[];
  /** laneWakes[lane]: woken after acknowledgements. */
  readonly laneWakes: readonly SharedArrayBuffer[];
  /** This thread's wake word: lanes wake it after they published messages. */
  readonly wake: SharedArrayBuffer;
  /** Int32 a slot: messages acknowledged, wraps. A lane sees by it whether a forwarder moves. */
  readonly progress: SharedArrayBuffer;
}

/** What the loop needs from the process; tests pass their own. */
export interface ForwarderLoopDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  readonly report: (event: ForwardEvent) => void;
  /** Tests replace it. */
  readonly createDestination?: (
    settings: ForwarderSettings, dependencies: DestinationDependencies,
  ) => Destination;
}

/** What a flush left behind for one forwarder; it is still in the lanes' logs. */
export interface FlushRemainder extends Unsent {
  readonly slot: number;
  readonly name: string;
}

/** Result of a flush. */
export interface FlushReport {
  /** True when every message that was in a ring is acknowledged and every lane was told. */
  readonly complete: boolean;
  /** Forwarders with something left, empty when there are none. */
  readonly left: readonly FlushRemainder[];
  /** Acknowledgements that a full ring has not taken. */
  readonly acksWaiting: number;
}

/** Memory of the progress words of all forwarders. */
export function createProgress(): SharedArrayBuffer {
  return new SharedArrayBuffer(FORWARDERS_MAX * 4);
}

/** Runs the forwarders. Owned by the forwarder thread. */
export class ForwarderLoop {
  /** One per forwarder, in the order of the settings. */
  readonly counters: readonly ForwarderCounters[];
  readonly #clock: Clock;
  readonly #wake: WakeWord;
  readonly #acknowledgements: Acknowledgements;
  readonly #destinations: readonly Destination[];
  readonly #forwarders: readonly Forwarder[];

  /** @throws GatewayError CONFIG_INVALID for a forwarder that could never work. */
  constructor(options: ForwarderLoopOptions, dependencies: ForwarderLoopDependencies) {
    const { clock, random, report } = dependencies;
    const create = dependencies.createDestination ?? createDestination;
    const progress = new Int32Array(options.progress);
    assert(progress.length === FORWARDERS_MAX, "there is a progress word for every slot");
    this.#clock = clock;
    this.#wake = new WakeWord(options.wake);
    this.#acknowledgements = new Acknowledgements(options.acks, options.laneWakes);
    this.counters = options.forwarders.map(() => new ForwarderCounters());
    this.#destinations = options.forwarders.map((settings, index) => {
      return create(settings, { clock, counters: this.counters[index]! });
    });
    this.#forwarders = options.forwarders.map((settings, index) => {
      return new Forwarder(settings, ringsOf(options, settings.slot), {
        destination: this.#destinations[index]!,
        acknowledgements: this.#acknowledgements,
        counters: this.counters[index]!,
        clock, random, report,
        progressed: (messages) => void Atomics.add(progress, settings.slot, messages),
      });
    });
  }

  /** Takes and sends until `stop`; then nothing is aborted yet: `flush` ends the work. */
  async run(stop: AbortSignal): Promise<void> {
    const onStop = (): void => this.#wake.wake();
    stop.addEventListener("abort", onStop, { once: true });
    while (!stop.aborted) {
      const snapshot = this.#wake.snapshot();
      const taken = this.#turn();
      if (taken > 0) await pause(REST_MS, stop);
      else await this.#wake.waitAsync(snapshot, this.#sleepMs());
    }
    stop.removeEventListener("abort", onStop);
  }

  /**
   * Sends what is batched and what the rings hold, then gives up connections and files. Final:
   * nothing is taken afterwards. Call it when the lanes publish no more.
   * @param withinMs from now; then requests are aborted, and what they held counts as left.
   */
  async flush(withinMs: number): Promise<FlushReport> {
    const never = new AbortController().signal;
    const deadlineMs = this.#clock.monotonicMs() + withinMs;
    for (const forwarder of this.#forwarders) forwarder.beginFlush();
    while (!this.#drained() && this.#clock.monotonicMs() < deadlineMs) {
      this.#turn();
      await pause(POLL_MS, never);
    }
    const ended = new AbortController();
    await Promise.race([this.#end(), pause(ABORT_MS_MAX, ended.signal)]);
    ended.abort();
    this.#acknowledgements.flush();
    return this.#report();
  }

  #turn(): number {
    let taken = 0;
    this.#acknowledgements.flush();
    for (const forwarder of this.#forwarders) taken += forwarder.pull();
    return taken;
  }

  #sleepMs(): number {
    return this.#acknowledgements.waiting > 0 ? POLL_MS : SLEEP_MS_MAX;
  }

  #drained(): boolean {
    return this.#acknowledgements.waiting === 0
      && this.#forwarders.every((forwarder) => forwarder.drained);
  }

  async #end(): Promise<void> {
    await Promise.all(this.#forwarders.map((forwarder) => forwarder.abort()));
    await Promise.all(this.#destinations.map((destination) => destination.close()));
  }

  #report(): FlushReport {
    const left: FlushRemainder[] = [];
    for (const forwarder of this.#forwarders) {
      const unsent = forwarder.unsent();
      if (unsent.messages === 0 && unsent.ringBytes === 0) continue;
      left.push({ slot: forwarder.slot, name: forwarder.name, ...unsent });
    }
    const acksWaiting = this.#acknowledgements.waiting;
    return { complete: left.length === 0 && acksWaiting === 0, left, acksWaiting };
  }
}

function ringsOf(options: ForwarderLoopOptions, slot: number): ByteRingConsumer[] {
  return options.rings.map((lane) => {
    const memory = lane[slot];
    assert(memory !== undefined && memory !== null, "a forwarder has a ring from every lane");
    return new ByteRingConsumer(memory);
  });
}
