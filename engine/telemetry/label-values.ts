// What the labels of our metrics can say: const tables, index = the number a thread counts under.
// The page shows the text. Texts are part of the interface to dashboards; numbers live for one
// run.

import { LISTENERS_MAX } from "../../config/settings.ts";
import { FORWARDERS_MAX, POLICIES_MAX, TRIGGER_NAMES } from "../part/decision-layout.ts";
import { FORMAT_OTLP_JSON, FORMAT_ZIPKIN_JSON } from "../ring/payload-layout.ts";
import {
  crossed, fixed, type Dimension, type LabelNames, type LabelSpace,
} from "./metric-layout.ts";

/**
 * Policy sets that kept spans are told apart by: the loaded one and those of the logs found at
 * start.
 */
export const POLICY_SETS_MAX = 4;

/** How payloads arrived. */
export const PROTOCOL_OTLP_HTTP = 0;
export const PROTOCOL_OTLP_HTTP_JSON = 1;
export const PROTOCOL_OTLP_GRPC = 2;
export const PROTOCOL_ZIPKIN_JSON = 3;
export const PROTOCOL_ZIPKIN_PROTO = 4;
export const PROTOCOL_JAEGER_THRIFT = 5;
export const PROTOCOL_NAMES = [
  "otlp_http_protobuf", "otlp_http_json", "otlp_grpc", "zipkin_json", "zipkin_protobuf",
  "jaeger_thrift",
] as const;

/** PROTOCOL_ of a payload that came over HTTP, by its FORMAT_. */
export function protocolOf(format: number): number {
  switch (format) {
    case FORMAT_OTLP_JSON: return PROTOCOL_OTLP_HTTP_JSON;
    case FORMAT_ZIPKIN_JSON: return PROTOCOL_ZIPKIN_JSON;
    default: return PROTOCOL_OTLP_HTTP;
  }
}

/** Why spans were never acknowledged, by a lane. */
export const REFUSED_INVALID_ID = 0;
export const REFUSED_DISK_FULL = 1;
export const REFUSED_LOG_FAILED = 2;
export const REFUSED_NAMES = ["invalid_id", "disk_full", "log_failed"] as const;

/** Why acknowledged spans ended without a decision. */
export const LOST_RECORD_CORRUPT = 0;
/** Its sampler is not configured any more. */
export const LOST_FORWARDER_REMOVED = 1;
export const LOST_NAMES = ["record_corrupt", "forwarder_removed"] as const;

/** Why acknowledged spans were not stored, by the operator's choice. */
export const EVICTED_STORAGE_SAMPLED = 0;
export const EVICTED_NAMES = ["storage_sampled"] as const;

/** Why kept spans were not delivered and never will be. */
export const KEPT_LOST_BACKEND_REFUSED = 0;
export const KEPT_LOST_OUTBOX_LIMIT = 1;
export const KEPT_LOST_RECORD_CORRUPT = 2;
export const KEPT_LOST_FORWARDER_REMOVED = 3;
/** Its message fits no ring: MaxBodyBytes was larger when it came. */
export const KEPT_LOST_MESSAGE_SIZE = 4;
export const KEPT_LOST_NAMES = [
  "backend_refused", "outbox_limit", "record_corrupt", "forwarder_removed", "message_size",
] as const;

export const DIRECTION_IN = 0;
export const DIRECTION_OUT = 1;
export const DIRECTION_NAMES = ["in", "out"] as const;

export const DECISION_DROP = 0;
export const DECISION_KEEP = 1;
export const DECISION_NAMES = ["drop", "keep"] as const;

export const COMMIT_DISK_FULL = 0;
export const COMMIT_FAILED = 1;
export const COMMIT_FAILURE_NAMES = ["disk_full", "failed"] as const;

/** Why a lane refused payloads that it had not read. */
export const SHED_STORAGE_LIMIT = 0;
export const SHED_MEMORY_LIMIT = 1;
export const SHED_DISK_FULL = 2;
export const SHED_LOG_FAILED = 3;
export const SHED_NAMES = ["storage_limit", "memory_limit", "disk_full", "log_failed"] as const;

/** Why the front door refused a request, or passed on that a lane did. */
export const REQUEST_RING_FULL = 0;
export const REQUEST_BODY_MEMORY = 1;
export const REQUEST_STORAGE = 2;
export const REQUEST_TOO_LARGE = 3;
export const REQUEST_MALFORMED = 4;
export const REQUEST_BAD_ENCODING = 5;
export const REQUEST_BAD_TYPE = 6;
export const REQUEST_NOT_FOUND = 7;
export const REQUEST_METHOD = 8;
export const REQUEST_DRAINING = 9;
export const REQUEST_QUOTA = 10;
export const REQUEST_TIMEOUT = 11;
/** The client went away before its body was complete. */
export const REQUEST_ABORTED = 12;
export const REQUEST_UNAVAILABLE = 13;
export const REQUEST_INTERNAL = 14;
/** A connection beyond the limit, whatever it wanted. */
export const REQUEST_CONNECTIONS = 15;
/** No access token, or one that the listener does not know. */
export const REQUEST_UNAUTHORIZED = 16;
/** From a web page whose origin the listener does not allow. */
export const REQUEST_ORIGIN = 17;
/** Refused by the HTTP engine before it was a request; only Node's engine tells us. */
export const REQUEST_BAD_HTTP = 18;
/** A connection without a TLS handshake, or without the client certificate that is asked for. */
export const REQUEST_TLS = 19;
export const REQUEST_REFUSED_NAMES = [
  "ring_full", "body_memory", "storage", "too_large", "malformed", "bad_encoding", "bad_type",
  "not_found", "method", "draining", "quota", "timeout", "aborted", "unavailable", "internal",
  "connections", "unauthorized", "origin", "bad_http", "tls",
] as const;

/** Status codes that we answer with; the last entry stands for all others. */
export const STATUS_CODES = [
  "200", "202", "204", "400", "401", "403", "404", "405", "408", "411", "413", "415", "429", "431",
  "500", "503", "other",
] as const;

/** How attempts to deliver a batch ended. */
export const BATCH_DELIVERED = 0;
/** Cut in two because of what it contains. */
export const BATCH_SPLIT = 1;
export const BATCH_FAILED = 2;
export const BATCH_OUTCOME_NAMES = ["delivered", "split", "failed"] as const;

/** Why attempts failed; the numbers are the forwarders' failure kinds. */
export const FORWARD_FAILURE_NAMES = [
  "", "connect", "timeout", "reset", "throttled", "unavailable", "server_error", "refused",
  "redirect", "storage", "aborted",
] as const;

/** One name for each forwarder slot. */
export const FORWARDER: Dimension = {
  label: "forwarder",
  size: FORWARDERS_MAX,
  nameOf: (slot: number, names: LabelNames) => names.forwarders[slot]?.name ?? null,
};
/** One name for each listener that has a certificate. */
export const LISTENER: Dimension = {
  label: "listener",
  size: LISTENERS_MAX,
  nameOf: (listener: number, names: LabelNames) => names.tlsListeners?.[listener] ?? null,
};
export const TRIGGER: Dimension = fixed("trigger", TRIGGER_NAMES);
export const DECISION: Dimension = fixed("decision", DECISION_NAMES);

/** Why a span was kept when no policy's vote says so. */
export const KEPT_NO_SAMPLER = 0;
/** Follows a decision whose votes are forgotten, or of a policy set that has no labels. */
export const KEPT_UNKNOWN = 1;
const KEPT_NAMES = ["no_sampler", "unknown"] as const;
const KEPT_BY_POLICY = POLICY_SETS_MAX * POLICIES_MAX;

/**
 * Labels of kept spans. A vote bit of a policy set names policy and forwarder at once, so
 * cells are [policy set][vote bit], then [why without a policy][forwarder slot].
 */
export const KEPT_SPACE: LabelSpace = {
  labels: ["forwarder", "policy"],
  size: KEPT_BY_POLICY + KEPT_NAMES.length * FORWARDERS_MAX,
  nameAt: (index, names) => {
    if (index < KEPT_BY_POLICY) {
      const policySet = Math.floor(index / POLICIES_MAX);
      const policy = names.policySets[policySet]?.[index % POLICIES_MAX];
      if (policy === undefined) {
        const values = ["unknown", `bit_${policySet}_${index % POLICIES_MAX}`];
        return { values, known: false };
      }
      const forwarder = names.forwarders[policy.samplerSlot];
      const values = [forwarder?.name ?? `forwarder_${policy.samplerSlot}`, policy.name];
      return { values, known: forwarder?.receives === true };
    }
    const rest = index - KEPT_BY_POLICY;
    const slot = rest % FORWARDERS_MAX;
    const why = KEPT_NAMES[Math.floor(rest / FORWARDERS_MAX)] ?? "unknown";
    // Only said once it happened: most forwarders never keep anything for these reasons.
    return { values: [names.forwarders[slot]?.name ?? `forwarder_${slot}`, why], known: false };
  },
};

/**
 * Label index of spans that forwarder `slot` keeps by a policy.
 * @param voteBit the lowest that sampled; -1 when no votes are known: counted as "unknown".
 */
export function keptByPolicy(slot: number, policySet: number, voteBit: number): number {
  if (voteBit < 0 || policySet >= POLICY_SETS_MAX) return keptWithoutPolicy(KEPT_UNKNOWN, slot);
  return policySet * POLICIES_MAX + voteBit;
}

/** Label index of spans kept for KEPT_NO_SAMPLER or KEPT_UNKNOWN. */
export function keptWithoutPolicy(why: number, slot: number): number {
  return KEPT_BY_POLICY + why * FORWARDERS_MAX + slot;
}

/** Forwarder that a kept cell belongs to; -1 for a bit of a policy set without labels. */
export function keptForwarder(index: number, names: LabelNames): number {
  if (index >= KEPT_BY_POLICY) return (index - KEPT_BY_POLICY) % FORWARDERS_MAX;
  const policySet = Math.floor(index / POLICIES_MAX);
  return names.policySets[policySet]?.[index % POLICIES_MAX]?.samplerSlot ?? -1;
}

/** Label index of {forwarder, reason} of spans lost without a decision. */
export function lostIndex(slot: number, reason: number): number {
  return slot * LOST_NAMES.length + reason;
}

/** Label index of {forwarder, reason} of spans that were not stored. */
export function evictedIndex(slot: number, reason: number): number {
  return slot * EVICTED_NAMES.length + reason;
}

/** Label index of {forwarder, reason} of kept spans lost. */
export function keptLostIndex(slot: number, reason: number): number {
  return slot * KEPT_LOST_NAMES.length + reason;
}

/** Label index of {forwarder, direction} of moved spans. */
export function movedIndex(slot: number, direction: number): number {
  return slot * DIRECTION_NAMES.length + direction;
}

/** Label index of {forwarder, trigger, decision}. */
export function decisionIndex(slot: number, trigger: number, decision: number): number {
  return (slot * TRIGGER_NAMES.length + trigger) * DECISION_NAMES.length + decision;
}

/** Label index of {forwarder, decision} of late spans. */
export function lateIndex(slot: number, decision: number): number {
  return slot * DECISION_NAMES.length + decision;
}

/** Label index of {forwarder, outcome} of batches. */
export function batchIndex(slot: number, outcome: number): number {
  return slot * BATCH_OUTCOME_NAMES.length + outcome;
}

/** Label index of {forwarder, reason} of failed attempts. */
export function failureIndex(slot: number, failure: number): number {
  return slot * FORWARD_FAILURE_NAMES.length + failure;
}

/** Label index of a status code. */
export function statusIndex(status: number): number {
  const index = STATUS_CODES.indexOf(String(status) as (typeof STATUS_CODES)[number]);
  return index < 0 ? STATUS_CODES.length - 1 : index;
}

/** {forwarder, then one fixed label}: the index functions above follow this order. */
export function forwarderAnd(label: string, values: readonly string[]): LabelSpace {
  return crossed(FORWARDER, fixed(label, values));
}
