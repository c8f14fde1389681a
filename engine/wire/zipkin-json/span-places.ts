// Where the values of one Zipkin span lie that cannot be rendered as they come: they depend on each
// other, or the last of several counts. The slots' names are the span's own; tags that mean more
// than an attribute have slots as well.

import { KeyTable } from "../json/key-table.ts";

/** Members of a span that are rendered where they stand, behind those that wait. */
export const MEMBERS = new KeyTable([
  "id", "parentId", "kind", "timestamp", "duration", "debug", "shared",
  "traceId", "name", "tags", "annotations", "localEndpoint", "remoteEndpoint",
]);
export const ID = 0;
export const PARENT_ID = 1;
export const KIND = 2;
export const TIMESTAMP = 3;
export const DURATION = 4;
export const DEBUG = 5;
export const SHARED = 6;
/** Members below this number wait. */
export const MEMBERS_WAITING = 7;
export const MEMBER_TRACE_ID = 7;
export const MEMBER_NAME = 8;
export const MEMBER_TAGS = 9;
export const MEMBER_ANNOTATIONS = 10;
export const MEMBER_LOCAL = 11;
export const MEMBER_REMOTE = 12;

export const ENDPOINT = new KeyTable(["serviceName", "ipv4", "ipv6", "port"]);
export const SERVICE = 0;
export const IPV4 = 1;
export const IPV6 = 2;
export const PORT = 3;
/** First slots of the endpoints; what is above is added. */
export const LOCAL = 7;
export const REMOTE = 11;

export const TAGS = new KeyTable([
  "otel.status_code", "otel.status_description", "error", "span.kind", "w3c.tracestate",
  "otel.scope.name", "otel.scope.version", "otel.library.name", "otel.library.version",
  "network.local.address", "network.local.port", "service.peer.name", "network.peer.address",
  "network.peer.port",
]);
/** First slot of the tags. */
export const TAG_FIRST = 15;
export const STATUS_CODE = 15;
export const STATUS_DESCRIPTION = 16;
export const ERROR = 17;
export const SPAN_KIND = 18;
export const TRACE_STATE = 19;
export const SCOPE_NAME = 20;
export const SCOPE_VERSION = 21;
export const LIBRARY_NAME = 22;
export const LIBRARY_VERSION = 23;
/** Tags below this slot wait; the others are attributes, whose names endpoints want as well. */
export const TAGS_WAITING_END = 24;
export const TAG_LOCAL_ADDRESS = 24;
export const TAG_LOCAL_PORT = 25;
export const TAG_PEER_SERVICE = 26;
export const TAG_PEER_ADDRESS = 27;
export const TAG_PEER_PORT = 28;
export const PLACES = 29;
