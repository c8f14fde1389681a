// What GET /traces/{id} tells about one trace: where it stands and why.

/** How one forwarder's sampler judged the trace. */
export interface TraceDecision {
  readonly forwarder: string;
  readonly decision: "keep" | "drop";
  /** The policy that a keep is attributed to; null for a drop, or when the votes are forgotten. */
  readonly policy: string | null;
  /** How many traces the kept one stands for; null as above. */
  readonly sampleRate: number | null;
  /** Every policy's vote; empty when the votes are forgotten. */
  readonly votes: readonly TraceVote[];
  /** Of a keep: what the forwarder has not delivered of all traces. Absent just after it. */
  readonly delivery?: ForwarderDelivery;
}

/** One policy's vote, and where the policy is known what it asks for. */
export interface TraceVote {
  readonly policy: string;
  readonly vote: string;
  /** What a trace must have: "a duration above 500 ms". */
  readonly needs?: string;
  /** What this trace has of it, where that is known: "812 ms". */
  readonly has?: string;
}

/** Spans of a forwarder as a whole: single traces are not followed to the backend. */
export interface ForwarderDelivery {
  /** Kept and not acknowledged by the backend. */
  readonly waitingSpans: number;
  /** Kept and given up since the start. */
  readonly lostSpans: number;
}

/** One trace as its owner, or the memory of decisions, knows it. */
export interface TraceReport {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  readonly shard: number;
  /** The lane that decides, or decided. */
  readonly lane: number;
  /** "waiting": no sampler has decided; "partly_decided": some have; "decided": all have. */
  readonly state: "waiting" | "partly_decided" | "decided";
  /** How much is still known: "row" while undecided, "full" and "fingerprint" afterwards. */
  readonly known: "row" | "full" | "fingerprint";
  /** Of the spans seen so far; null when forgotten. */
  readonly spans: number | null;
  readonly bytes: number | null;
  /** Latest end minus earliest start; null when forgotten or no span has times. */
  readonly durationMs: number | null;
  readonly rootSeen: boolean | null;
  readonly errorSeen: boolean | null;
  /** Records that hold spans of the trace; null when forgotten. */
  readonly parts: number | null;
  /** Start of the earliest span seen so far, RFC 3339; null once decided, or without times. */
  readonly startedAt: string | null;
  /** Since the first span came; null once decided. */
  readonly seenMsAgo: number | null;
  /** Until the next deadline; null once decided. */
  readonly decidesInMs: number | null;
  /** Forwarders whose sampler has not decided. */
  readonly undecided: readonly string[];
  /** Why the last decision was made when it was; null while undecided, or when forgotten. */
  readonly trigger: string | null;
  /** RFC 3339; null as above. */
  readonly decidedAt: string | null;
  /** False when the trace was judged on part of its spans; null as above. */
  readonly complete: boolean | null;
  readonly decisions: readonly TraceDecision[];
  /** Forwarders without a sampler: they get every span. */
  readonly unsampled?: readonly string[];
}

/**
 * The id as 32 lower-case hex digits, 64-bit ids padded on the left; null when it cannot be an
 * id.
 */
export function normalTraceId(text: string): string | null {
  if (!/^(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{32})$/.test(text)) return null;
  const id = text.toLowerCase().padStart(32, "0");
  return /^0+$/.test(id) ? null : id;
}
