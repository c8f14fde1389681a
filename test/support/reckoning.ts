import type { RecordingBackend } from "./backend.ts";
import { spanKey, type SentSpan, type Traffic } from "./traffic.ts";

/** Spans shown of each kind of fault: one is enough to look for. */
const SHOWN_MAX = 5;

/** What a backend got, against what clients were told. Each list is empty when all is well. */
export interface Reckoning {
  /** Acknowledged spans that should be here and are not. */
  readonly missing: readonly string[];
  /** Spans that should have been dropped. */
  readonly stray: readonly string[];
  /** "mark" traces of which some acknowledged spans are here and others are not. */
  readonly torn: readonly string[];
  /** Spans that nobody sent. */
  readonly unknown: readonly string[];
  /** Spans that one run of the gateway delivered more often than it may. */
  readonly repeated: readonly string[];
}

export const ALL_IS_WELL: Reckoning = {
  missing: [], stray: [], torn: [], unknown: [], repeated: [],
};

/**
 * For a forwarder that samples by the traffic's fates.
 * @param timesPerRunMax how often one run may deliver a span: 2 where the run before may have died
 * between storing it in the outbox and settling it in the log.
 */
export function reckonSampled(
  traffic: Traffic, backend: RecordingBackend, timesPerRunMax = 1,
): Reckoning {
  const { acknowledged, unanswered } = traffic;
  const here = (span: SentSpan): boolean => backend.received.has(spanKey(span));
  const missing = acknowledged.filter((span) => span.fate === "keep" && !here(span));
  const stray = [...acknowledged, ...unanswered]
    .filter((span) => span.fate === "drop" && here(span));
  return {
    missing: shown(missing.map(spanKey)), stray: shown(stray.map(spanKey)),
    torn: shown(tornTraces(acknowledged, here)), ...faultsOf(traffic, backend, timesPerRunMax),
  };
}

/** For a forwarder without a sampler; otherwise as reckonSampled. */
export function reckonAll(
  traffic: Traffic, backend: RecordingBackend, timesPerRunMax = 1,
): Reckoning {
  const missing = traffic.acknowledged.filter((span) => !backend.received.has(spanKey(span)));
  return {
    missing: shown(missing.map(spanKey)), stray: [], torn: [],
    ...faultsOf(traffic, backend, timesPerRunMax),
  };
}

/** Spans that came more than once, whichever runs sent them. */
export function duplicates(backend: RecordingBackend): string[] {
  return [...backend.received].filter(([, times]) => times > 1).map(([key]) => key);
}

/** Acknowledged traces of a fate. */
export function tracesOf(traffic: Traffic, fate: SentSpan["fate"]): Set<string> {
  return new Set(traffic.acknowledged.filter((span) => span.fate === fate)
    .map(({ traceId }) => traceId));
}

function faultsOf(
  traffic: Traffic, backend: RecordingBackend, timesPerRunMax: number,
): Pick<Reckoning, "unknown" | "repeated"> {
  const sent = new Set([...traffic.acknowledged, ...traffic.unanswered].map(spanKey));
  const repeated = [...backend.receivedByRun].flatMap(([run, spans]) =>
    [...spans].filter(([, times]) => times > timesPerRunMax)
      .map(([key, times]) => `${key}: ${times} times in run ${run}`));
  return {
    unknown: shown([...backend.received.keys()].filter((key) => !sent.has(key))),
    repeated: shown(repeated),
  };
}

function tornTraces(
  acknowledged: readonly SentSpan[], here: (span: SentSpan) => boolean,
): string[] {
  const seen = new Map<string, { present: number; absent: number }>();
  for (const span of acknowledged) {
    if (span.fate !== "mark") continue;
    const trace = seen.get(span.traceId) ?? { present: 0, absent: 0 };
    if (here(span)) trace.present++;
    else trace.absent++;
    seen.set(span.traceId, trace);
  }
  return [...seen].filter(([, { present, absent }]) => present > 0 && absent > 0)
    .map(([traceId, { present, absent }]) => `${traceId}: ${present} here, ${absent} not`);
}

/** The first few, and how many there are. */
function shown(all: readonly string[]): string[] {
  if (all.length <= SHOWN_MAX) return [...all];
  return [...all.slice(0, SHOWN_MAX), `and ${all.length - SHOWN_MAX} more`];
}
