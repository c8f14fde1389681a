import type { SamplerInput } from "../sampling/compile.ts";

/** One forwarder as the lanes see it; the forwarder thread has its own settings. */
export interface LaneForwarder {
  /** Stable number of the forwarder's name in this data directory, 0 … 15. */
  readonly slot: number;
  readonly name: string;
  /** Null: the forwarder gets every span. */
  readonly sampler: LaneSampler | null;
  /** Kept spans that the forwarder has not taken for this long go to its outbox. */
  readonly outboxAfterMs: number;
  readonly outboxBytesMax: number;
}

/** When a forwarder's sampler decides, and by what. */
export interface LaneSampler extends SamplerInput {
  readonly decisionWaitMs: number;
  /** 0: a root span does not end the wait. */
  readonly decisionWaitAfterRootMs: number;
}

/** Bounds of one lane; main divides the process's settings by the number of lanes. */
export interface LaneLimits {
  readonly bodyBytesMax: number;
  readonly inflateRatioMax: number;
  readonly spansPerBodyMax: number;
  readonly traceRowsMax: number;
  readonly partLinksMax: number;
  readonly spansPerTraceMax: number;
  readonly bytesPerTraceMax: number;
  readonly decisionsFullMax: number;
  readonly decisionsFullMs: number;
  readonly fingerprintBytes: number;
  readonly keptPartsMax: number;
  readonly generationBytes: number;
  readonly generationAgeMs: number;
}

/** Everything a span worker gets when it starts: structured-cloneable, memory is shared. */
export interface LanePlan {
  readonly lane: number;
  readonly lanes: number;
  readonly dataDirectory: string;
  readonly durability: "process" | "disk";
  /** Identity of the log and its seeds; see the log's data directory. */
  readonly logId: string;
  readonly fingerprintSeed: number;
  /** Seed of the tables of this process. */
  readonly tableSeed: number;
  readonly forwarders: readonly LaneForwarder[];
  /** Names by slot, of removed forwarders as well. */
  readonly slotNames: readonly string[];
  readonly limits: LaneLimits;
  readonly memory: LaneMemory;
}

/** Shared memory of one lane. Rings between lanes are indexed by the other lane. */
export interface LaneMemory {
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Wake words: this lane's own is wake.lanes[lane]. */
  readonly wake: {
    readonly main: SharedArrayBuffer;
    readonly lanes: readonly SharedArrayBuffer[];
    readonly forwarder: SharedArrayBuffer;
    readonly coordinator: SharedArrayBuffer;
  };
  readonly payloads: SharedArrayBuffer;
  readonly completions: SharedArrayBuffer;
  /** What the coordinator says of the cluster; null on a single node. */
  readonly cluster: SharedArrayBuffer | null;
  /** In a cluster each of these four has one ring more, to or from the coordinator. */
  readonly partsTo: readonly SharedArrayBuffer[];
  readonly partsFrom: readonly SharedArrayBuffer[];
  readonly decisionsTo: readonly SharedArrayBuffer[];
  readonly decisionsFrom: readonly SharedArrayBuffer[];
  /** Rendered spans for the forwarder thread, by forwarder slot. */
  readonly forward: Readonly<Record<number, SharedArrayBuffer>>;
  readonly acknowledgements: SharedArrayBuffer;
  /** Questions of the coordinator (slot ring) and what the lane tells it (byte ring of JSON). */
  readonly questions: SharedArrayBuffer;
  readonly reports: SharedArrayBuffer;
}
