// Made-up traces of a web shop: five services, a request from the browser that goes through all of
// them. Most are quick, some are slow, some fail. Times are real: a span belongs to the moments at
// which it would have begun and ended, so that it can be sent when it is over, as exporters do.

import type { Attributes, SpanMessage } from "./otlp-message.ts";

/** What a trace is an example of. */
export type TraceKind = "error" | "slow" | "normal";

/** A span and who sends it. */
export interface ShopSpan {
  readonly service: string;
  readonly span: SpanMessage;
}

export interface ShopTrace {
  readonly traceIdHex: string;
  readonly kind: TraceKind;
  readonly spans: readonly ShopSpan[];
}

/** Where chance comes from; tests pass their own. */
export interface Chance {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** That many random bytes, not all zero. */
  readonly bytes: (count: number) => Uint8Array;
}

const ERROR_SHARE = 0.05;
const SLOW_SHARE = 0.05;
const NORMAL_MS = [40, 300] as const;
const SLOW_MS = [700, 2_500] as const;
const SERVER = 2;
const CLIENT = 3;
const PRODUCTS = 500;

const ROUTES = [
  { method: "POST", route: "/checkout", callsPayment: true },
  { method: "GET", route: "/basket", callsPayment: false },
  { method: "GET", route: "/products/{id}", callsPayment: false },
] as const;

/** Resource attributes of a service. */
export function resourceOf(service: string): Attributes {
  return {
    "service.name": service, "service.version": "1.4.2", "deployment.environment.name": "demo",
    "host.name": `${service}-7d9f`,
  };
}

/** One trace that begins at `startMs`, in milliseconds since the Unix epoch. */
export function shopTrace(startMs: number, chance: Chance): ShopTrace {
  const kind = kindOf(chance.random());
  const [shortest, longest] = kind === "slow" ? SLOW_MS : NORMAL_MS;
  const durationMs = shortest + chance.random() * (longest - shortest);
  const builder = new TraceBuilder(startMs, durationMs, chance);
  const { method, route, callsPayment } = ROUTES[Math.floor(chance.random() * ROUTES.length)]!;
  const failed = kind === "error";
  const http = {
    "http.request.method": method, "http.route": route,
    "http.response.status_code": failed ? 500 : 200,
  };
  const root = builder.add("storefront", null, `${method} ${route}`, [0, 1], SERVER, http);
  const stock = builder.add("basket", root, "GET /basket", [0.05, 0.45], SERVER, {
    "http.request.method": "GET", "http.route": "/basket", "http.response.status_code": 200,
  });
  builder.add("basket", stock, "GET basket", [0.1, 0.2], CLIENT, { "db.system.name": "redis" });
  builder.add("inventory", stock, "SELECT stock", [0.25, 0.4], CLIENT, {
    "db.system.name": "postgresql", "db.namespace": "stock",
    "app.product.id": Math.floor(chance.random() * PRODUCTS),
  });
  if (callsPayment || failed) {
    const error = failed ? "the card issuer did not answer" : null;
    const payment = builder.add("payment", root, "POST /charges", [0.5, 0.9], SERVER, {
      "http.request.method": "POST", "http.route": "/charges",
      "http.response.status_code": failed ? 502 : 201,
    }, error);
    builder.add("payment", payment, "POST", [0.55, 0.85], CLIENT, {
      "http.request.method": "POST", "server.address": "cards.example.com", "server.port": 443,
    }, error);
  }
  builder.add("mail", root, "send receipt", [0.92, 0.98], CLIENT, {
    "messaging.system": "rabbitmq", "messaging.operation.name": "publish",
  });
  return { traceIdHex: builder.traceIdHex, kind, spans: builder.spans };
}

function kindOf(random: number): TraceKind {
  if (random < ERROR_SHARE) return "error";
  return random < ERROR_SHARE + SLOW_SHARE ? "slow" : "normal";
}

/** Spans of one trace, placed as shares of its duration. */
class TraceBuilder {
  readonly spans: ShopSpan[] = [];
  readonly traceIdHex: string;
  readonly #traceId: Uint8Array;
  readonly #startMs: number;
  readonly #durationMs: number;
  readonly #chance: Chance;

  constructor(startMs: number, durationMs: number, chance: Chance) {
    this.#startMs = startMs;
    this.#durationMs = durationMs;
    this.#chance = chance;
    this.#traceId = chance.bytes(16);
    this.traceIdHex = Buffer.from(this.#traceId).toString("hex");
  }

  /** @returns the id of the new span, for its children. */
  add(
    service: string, parentSpanId: Uint8Array | null, name: string,
    [from, to]: readonly [number, number], kind: number, attributes: Attributes,
    error: string | null = null,
  ): Uint8Array {
    const spanId = this.#chance.bytes(8);
    this.spans.push({ service, span: {
      traceId: this.#traceId, spanId, parentSpanId, name, kind,
      startMs: this.#startMs + from * this.#durationMs,
      endMs: this.#startMs + to * this.#durationMs, attributes, error,
    } });
    return spanId;
  }
}
