// The web shop of the demo: eight services and five routes as a table, and traces planned from it.
// Every kind of trace comes at fixed places of the sequence, so that even a short run has all.

import type { Attributes } from "./otlp-message.ts";

/** What a trace is an example of: the reason for which it should be kept, if any. */
export type Fate = "error" | "slow" | "rare" | "normal";

export type Service =
  | "storefront" | "accounts" | "catalogue" | "basket" | "checkout" | "payment" | "inventory"
  | "mail";

export type Kind = "server" | "client" | "consumer";

/** A span to be made; times are milliseconds since the Unix epoch. */
export interface PlannedSpan {
  readonly service: Service;
  readonly name: string;
  readonly kind: Kind;
  /** Index of its parent in the trace; null for the root, which comes first. */
  readonly parent: number | null;
  readonly startMs: number;
  readonly endMs: number;
  /** When its service hands it to the exporter: its end, or later. */
  readonly sendMs: number;
  readonly late: boolean;
  readonly attributes: Attributes;
  /** The text of an error, or null. */
  readonly error: string | null;
}

export interface PlannedTrace {
  readonly fate: Fate;
  readonly spans: readonly PlannedSpan[];
}

/** The route that hardly anybody takes. */
export const RARE_ROUTE = "/returns";

const NORMAL_MS = [30, 260] as const;
const SLOW_MS = [700, 1_400] as const;
/** In every so many traces there is one of a kind, at this place. */
const ERROR_AT = { every: 20, at: 3 };
const SLOW_AT = { every: 20, at: 13 };
const RARE_AT = { every: 60, at: 27 };
/** Some of them have an error: late spans must follow a keep as well as a drop. */
const LATE_AT = { every: 8, at: 3 };
const PRODUCTS = 500;

/** Service, parent, name, kind, begin and end as shares of the trace, attributes. */
type Call = readonly [Service, number | null, string, Kind, number, number, Attributes];

interface Route {
  readonly calls: readonly Call[];
  /** The call that fails in a failed trace. */
  readonly fails: number;
  readonly fault: string;
}

const http = (method: string, route: string, status = 200): Attributes => ({
  "http.request.method": method, "http.route": route, "http.response.status_code": status,
});
const postgres = (name: string): Attributes =>
  ({ "db.system.name": "postgresql", "db.namespace": name });
const redis: Attributes = { "db.system.name": "redis" };
const session: Call
  = ["accounts", 0, "GET /session", "server", 0.05, 0.15, http("GET", "/session")];

const ROUTES: readonly Route[] = [
  { fails: 3, fault: "too many connections", calls: [
    ["storefront", null, "GET /", "server", 0, 1, http("GET", "/")],
    session,
    ["catalogue", 0, "GET /offers", "server", 0.2, 0.9, http("GET", "/offers")],
    ["catalogue", 2, "SELECT offers", "client", 0.3, 0.8, postgres("catalogue")],
  ] },
  { fails: 3, fault: "stock is locked", calls: [
    ["storefront", null, "GET /products/{id}", "server", 0, 1, http("GET", "/products/{id}")],
    session,
    ["catalogue", 0, "GET /product", "server", 0.2, 0.6, http("GET", "/product")],
    ["inventory", 0, "SELECT stock", "client", 0.65, 0.9, postgres("stock")],
  ] },
  { fails: 2, fault: "the basket has gone", calls: [
    ["storefront", null, "POST /basket", "server", 0, 1, http("POST", "/basket", 201)],
    session,
    ["basket", 0, "PUT basket", "client", 0.2, 0.5, redis],
    ["inventory", 0, "reserve stock", "server", 0.5, 0.9, http("POST", "/reservations", 201)],
  ] },
  { fails: 5, fault: "the card issuer did not answer", calls: [
    ["storefront", null, "POST /checkout", "server", 0, 1, http("POST", "/checkout", 201)],
    session,
    ["checkout", 0, "POST /orders", "server", 0.15, 0.95, http("POST", "/orders", 201)],
    ["basket", 2, "GET basket", "client", 0.2, 0.3, redis],
    ["payment", 2, "POST /charges", "server", 0.35, 0.8, http("POST", "/charges", 201)],
    ["payment", 4, "POST", "client", 0.4, 0.75, { "server.address": "cards.example.com" }],
    ["mail", 2, "send receipt", "consumer", 0.85, 0.93, { "messaging.system": "rabbitmq" }],
  ] },
];
const RETURNS: Route = { fails: 1, fault: "no such order", calls: [
  ["storefront", null, `POST ${RARE_ROUTE}`, "server", 0, 1, http("POST", RARE_ROUTE, 202)],
  ["checkout", 0, "GET /orders/{id}", "server", 0.2, 0.5, http("GET", "/orders/{id}")],
  ["payment", 0, "POST /refunds", "server", 0.5, 0.9, http("POST", "/refunds", 202)],
] };
/** What a service that was not reachable for a while sends when all is over. */
const LATE_CALL: Call = ["mail", 0, "count visit", "consumer", 0.5, 0.6,
  { "messaging.system": "rabbitmq" }];

/**
 * The trace with this number in the sequence, beginning at `startMs`; some have a span that is
 * sent only `lateMs` after that.
 * @param random uniform in [0, 1).
 */
export function planTrace(
  number: number, startMs: number, lateMs: number, random: () => number,
): PlannedTrace {
  const fate = fateOf(number);
  const route = fate === "rare" ? RETURNS : ROUTES[Math.floor(random() * ROUTES.length)]!;
  const [shortest, longest] = fate === "slow" ? SLOW_MS : NORMAL_MS;
  const durationMs = shortest + random() * (longest - shortest);
  const product = { "app.product.id": Math.floor(random() * PRODUCTS) };
  const spans = route.calls.map((call, index): PlannedSpan => {
    const fails = fate === "error" && index === route.fails;
    const span = planSpan(call, startMs, durationMs, fails ? route.fault : null);
    return index === 0 ? { ...span, attributes: { ...span.attributes, ...product } } : span;
  });
  if (comes(number, LATE_AT)) {
    const span = planSpan(LATE_CALL, startMs, durationMs, null);
    spans.push({ ...span, late: true, sendMs: startMs + lateMs });
  }
  return { fate, spans };
}

function planSpan(
  call: Call, startMs: number, durationMs: number, error: string | null,
): PlannedSpan {
  const [service, parent, name, kind, from, to, attributes] = call;
  const endMs = startMs + to * durationMs;
  return {
    service, parent, name, kind, attributes, error, late: false,
    startMs: startMs + from * durationMs, endMs, sendMs: endMs,
  };
}

function fateOf(number: number): Fate {
  if (comes(number, ERROR_AT)) return "error";
  if (comes(number, SLOW_AT)) return "slow";
  return comes(number, RARE_AT) ? "rare" : "normal";
}

function comes(number: number, { every, at }: { every: number; at: number }): boolean {
  return number % every === at;
}
