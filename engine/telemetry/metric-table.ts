// Every metric of the threads that count, in one table: the number to count under, the name on
// the page and what it means. Adding a row here is all it takes; blocks, page and status follow.

import {
  BATCH_OUTCOME_NAMES, COMMIT_FAILURE_NAMES, DECISION, DECISION_NAMES, DIRECTION_NAMES,
  EVICTED_NAMES, FORWARDER, forwarderAnd, FORWARD_FAILURE_NAMES, KEPT_LOST_NAMES, KEPT_SPACE,
  LISTENER, LOST_NAMES, PROTOCOL_NAMES, REFUSED_NAMES, REQUEST_REFUSED_NAMES, SHED_NAMES,
  STATUS_CODES, TRIGGER,
} from "./label-values.ts";
import { BlockLayout, crossed, fixed, type MetricDeclaration } from "./metric-layout.ts";

/** Cells of a lane's block; the page shows the sum of all lanes. */
export const LANE_LAYOUT = new BlockLayout("lane");
/** Cells of a front door's block. */
export const DOOR_LAYOUT = new BlockLayout("door");
/** Cells of the forwarder thread's block. */
export const FORWARD_LAYOUT = new BlockLayout("forward");

const lane = LANE_LAYOUT;
const byForwarder = crossed(FORWARDER);
const byProtocol = crossed(fixed("protocol", PROTOCOL_NAMES));

// What came in. Index: protocol.
export const SPANS_RECEIVED = lane.counterBy(byProtocol, "tailrace_spans_received_total",
  "Spans committed to this node's log from clients.");
export const PAYLOADS_RECEIVED = lane.counterBy(byProtocol, "tailrace_payloads_received_total",
  "Payloads committed to this node's log from clients.");
export const PAYLOAD_BYTES_RECEIVED = lane.counter("tailrace_payload_bytes_received_total",
  "Bytes of committed payloads, inflated.");
export const SPANS_REFUSED = lane.counterBy(crossed(fixed("reason", REFUSED_NAMES)),
  "tailrace_spans_refused_total", "Spans never acknowledged: their sender was told so.");

// The balance, by forwarder slot. Holders raise it, in the turn that commits the decision.
export const SPANS_REPLAYED = lane.counterBy(byForwarder, "tailrace_spans_replayed_total",
  "Spans that an earlier run left undecided in the log.");
/** Index: keptByPolicy or keptWithoutPolicy. */
export const SPANS_KEPT = lane.counterBy(KEPT_SPACE, "tailrace_spans_kept_total",
  "Spans a decision keeps, by the first policy that sampled; late upgrades included.");
export const SPANS_DROPPED = lane.counterBy(byForwarder, "tailrace_spans_dropped_total",
  "Spans a decision drops, those upgraded later included.");
export const SPANS_UPGRADED = lane.counterBy(byForwarder, "tailrace_spans_upgraded_total",
  "Spans dropped at first and kept by a late decision.");
export const SPANS_IN_FLIGHT = lane.gaugeBy(byForwarder, "tailrace_spans_in_flight",
  "Spans stored here and not decided.");
/** Index: movedIndex. */
export const SPANS_MOVED = lane.counterBy(forwarderAnd("direction", DIRECTION_NAMES),
  "tailrace_spans_moved_total", "Undecided spans taken over from, or handed to, another node.");
/** Index: lostIndex. */
export const SPANS_LOST = lane.counterBy(forwarderAnd("reason", LOST_NAMES),
  "tailrace_spans_lost_total", "Acknowledged spans that ended without a decision.");
/** Index: evictedIndex. */
export const SPANS_EVICTED = lane.counterBy(forwarderAnd("reason", EVICTED_NAMES),
  "tailrace_spans_evicted_total",
  "Acknowledged spans that were not stored because StoragePolicy hash-sample chose so.");
/** Index: a SHED_ reason. */
export const PAYLOADS_SHED = lane.counterBy(crossed(fixed("reason", SHED_NAMES)),
  "tailrace_payloads_shed_total", "Payloads that a lane answered with 503 without reading them.");

// From the decision to the backend, by forwarder slot.
export const KEPT_SPANS_REPLAYED = lane.counterBy(byForwarder, "tailrace_kept_spans_replayed_total",
  "Spans an earlier run kept and had not seen acknowledged.");
export const SPANS_ACKNOWLEDGED = lane.counterBy(byForwarder, "tailrace_spans_acknowledged_total",
  "Kept spans that the forwarder delivered.");
export const OUTBOX_SPANS = lane.gaugeBy(byForwarder, "tailrace_outbox_spans",
  "Spans kept and not yet acknowledged by the forwarder.");
export const OUTBOX_BYTES = lane.gaugeBy(byForwarder, "tailrace_outbox_bytes",
  "Bytes in the outbox on disk.");
/** Index: keptLostIndex. */
export const KEPT_SPANS_LOST = lane.counterBy(forwarderAnd("reason", KEPT_LOST_NAMES),
  "tailrace_kept_spans_lost_total", "Kept spans that will never be delivered.");

// Traces and decisions.
export const TRACES_LIVE = lane.gauge("tailrace_traces_live", "Undecided traces this node owns.");
export const TRACE_ROWS_MAX = lane.gauge("tailrace_trace_rows_max",
  "Traces that fit; beyond it the heaviest are decided early.");
export const PART_LINKS = lane.gauge("tailrace_part_links", "Parts of live traces.");
/** Index: decisionIndex. */
export const DECISIONS = lane.counterBy(crossed(FORWARDER, TRIGGER, DECISION),
  "tailrace_decisions_total", "Traces judged here, by what triggered it.");
/** Index: lateIndex. */
export const LATE_SPANS = lane.counterBy(forwarderAnd("decision", DECISION_NAMES),
  "tailrace_late_spans_total", "Spans that came after their trace's decision and follow it.");
export const DECISIONS_REMEMBERED = lane.gauge("tailrace_decisions_remembered",
  "Decisions that late spans can still follow.");
export const DECISIONS_FORGOTTEN = lane.counter("tailrace_decisions_forgotten_total",
  "Decisions evicted from memory; their late spans are judged as a new trace.");
export const PRESSURE_DECISIONS = lane.counter("tailrace_pressure_decisions_total",
  "Traces judged early because memory or storage ran short.");
export const DECISION_LAG_SECONDS = lane.histogram("tailrace_decision_lag_seconds",
  "How long after its deadline a trace was judged.",
  [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]);

// The log.
export const LOG_BYTES = lane.gauge("tailrace_log_bytes", "Bytes of the payload log on disk.");
export const LOG_GENERATIONS = lane.gauge("tailrace_log_generations",
  "Generations of the payload log on disk.");
export const LOG_COMMITS = lane.counter("tailrace_log_commits_total", "Committed transactions.");
export const LOG_COMMIT_FAILURES = lane.counterBy(crossed(fixed("reason", COMMIT_FAILURE_NAMES)),
  "tailrace_log_commit_failures_total", "Transactions that failed and left nothing behind.");
export const LOG_COMMIT_SECONDS = lane.histogram("tailrace_log_commit_seconds",
  "Time a transaction took, writing included.",
  [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]);
export const STORAGE_BYTES = lane.gauge("tailrace_storage_bytes",
  "Bytes that count into StorageLimit: logs, outboxes, what waits to be unlinked or read again.");
export const STORAGE_LIMIT_BYTES = lane.gauge("tailrace_storage_limit_bytes", "StorageLimit.");
export const STORAGE_PRESSURE = lane.gauge("tailrace_storage_pressure",
  "Storage and its limit: 0 there is room, 1 StoragePolicy is at work, 2 clients are refused.");
export const STORED_SHARE = lane.gauge("tailrace_stored_share",
  "Share of new traces that is stored; below 1 with StoragePolicy hash-sample under pressure.");
export const MEMORY_PRESSURE = lane.gauge("tailrace_memory_pressure",
  "Memory and its limit: 0 there is room, 1 tables do not grow, 2 clients are refused.");
export const RECORDS_LOST = lane.counter("tailrace_records_lost_total",
  "Records of former runs whose index was damaged: their undecided spans are lost, uncounted.");
export const GENERATIONS_SET_ASIDE = lane.counter("tailrace_generations_set_aside_total",
  "Damaged generations that were renamed: their undecided spans are lost, uncounted.");
export const VALUES_UNTESTED = lane.counter("tailrace_attribute_values_untested_total",
  "Values too long or too slow for their regular expression: they match nothing.");
export const RECORDS_CORRUPT = lane.counter("tailrace_records_corrupt_total",
  "Records whose checksum did not fit when they were read back.");

// The cluster; all of it stays 0 on a single node.
export const PARTS_SENT_AGAIN = lane.counter("tailrace_parts_sent_again_total",
  "Undecided parts sent again: after a start, or because their owner changed or was away.");
export const DECISIONS_WITNESSED = lane.counter("tailrace_decisions_witnessed_total",
  "Decisions of other nodes that this one committed as their witness.");
export const DECISION_CONFLICTS = lane.counter("tailrace_decision_conflicts_total",
  "Traces that two nodes remembered differently; keep wins.");
export const GATES_FORCED = lane.counter("tailrace_gates_forced_total",
  "Traces judged under pressure before every node had told what it knew of their shard.");
export const DECISIONS_PARKED = lane.gauge("tailrace_decisions_parked",
  "Traces that are judged and whose witness does not answer.");
export const SHARDS_CLOSED = lane.gauge("tailrace_shards_closed",
  "Shards of this node, counted by each lane, that wait for other nodes' reports.");
export const NODES_BEHIND = lane.gauge("tailrace_nodes_behind",
  "Nodes, counted by each lane, that are being sent what is undecided again.");

// The lane's loop.
export const LANE_TURNS = lane.counter("tailrace_lane_turns_total", "Turns of the lanes' loops.");
export const LANE_BUSY_SECONDS = lane.counter("tailrace_lane_busy_seconds_total",
  "Time that lanes did not sleep.");

const door = DOOR_LAYOUT;
/** Index: statusIndex. */
export const HTTP_REQUESTS = door.counterBy(crossed(fixed("code", STATUS_CODES)),
  "tailrace_http_requests_total", "Requests answered, by status code.", false);
export const REQUESTS_IN_FLIGHT = door.gauge("tailrace_requests_in_flight",
  "Requests begun and not answered.");
export const UNFINISHED_BODY_BYTES = door.gauge("tailrace_unfinished_body_bytes",
  "Memory of bodies that are not complete.");
/** Index: a REQUEST_ reason. */
export const REQUESTS_REFUSED = door.counterBy(crossed(fixed("reason", REQUEST_REFUSED_NAMES)),
  "tailrace_requests_refused_total", "Requests not answered with success, by reason.");
// By the listener's place in the settings; only those with TLS are shown.
export const TLS_CERTIFICATE_EXPIRY = door.gaugeBy(crossed(LISTENER),
  "tailrace_tls_certificate_expiry_seconds",
  "When the certificate that a listener serves expires, in seconds since the Unix epoch.");
export const TLS_RELOAD_FAILURES = door.counterBy(crossed(LISTENER),
  "tailrace_tls_reload_failures_total",
  "Changed certificate files that could not be used: the former ones are still served.");

const forward = FORWARD_LAYOUT;
/** Index: batchIndex. */
export const FORWARD_BATCHES = forward.counterBy(forwarderAnd("outcome", BATCH_OUTCOME_NAMES),
  "tailrace_forward_batches_total", "Attempts to deliver a batch, by how they ended.");
export const FORWARD_SPANS = forward.counterBy(byForwarder, "tailrace_forward_spans_total",
  "Spans of delivered batches.");
export const FORWARD_BYTES = forward.counterBy(byForwarder, "tailrace_forward_bytes_total",
  "Bytes of delivered batches before compression.");
/** Index: failureIndex. */
export const FORWARD_RETRIES = forward.counterBy(forwarderAnd("reason", FORWARD_FAILURE_NAMES),
  "tailrace_forward_retries_total", "Failed attempts, by reason; all but refused ones come again.");
export const FORWARD_UNKNOWN_OUTCOME = forward.counterBy(byForwarder,
  "tailrace_forward_unknown_outcome_total",
  "Attempts not acknowledged that the backend may have taken; they are repeated.");
export const FORWARD_UNKNOWN_OUTCOME_SPANS = forward.counterBy(byForwarder,
  "tailrace_forward_unknown_outcome_spans_total", "Spans of these: the most that can come twice.");
export const FORWARD_REJECTED_SPANS = forward.counterBy(byForwarder,
  "tailrace_forward_rejected_spans_total",
  "Spans of delivered batches that the backend says it threw away (partial success).");
export const FORWARD_SECONDS = forward.histogramBy(byForwarder, "tailrace_forward_seconds",
  "Time of attempts that got an answer.",
  [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]);
export const FORWARD_IN_FLIGHT = forward.gaugeBy(byForwarder, "tailrace_forward_in_flight",
  "Batches being sent or waiting for a retry.");

/** The whole table, in the order of the page. */
export const METRICS: readonly MetricDeclaration[] = [
  ...lane.declarations, ...door.declarations, ...forward.declarations,
];
