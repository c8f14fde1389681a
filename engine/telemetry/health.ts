/** Where the process stands, as its health endpoints tell it. */
export interface Health {
  /** True when traffic should come here. */
  readonly ready: boolean;
  /** True from the signal to stop until the end. */
  readonly draining: boolean;
  /** Why it is not ready, one sentence each; empty when it is. */
  readonly reasons: readonly string[];
}

/** A health endpoint's answer. */
export interface HealthReply {
  readonly status: number;
  readonly body: string;
}

/**
 * Answer of /healthz: 200 while the process works, 404 once it drains, so that load balancers of
 * the gateway this one succeeds take it out. Not being ready is no reason to restart it.
 */
export function healthzReply(health: Health): HealthReply {
  return { status: health.draining ? 404 : 200, body: JSON.stringify(health) };
}

/** Answer of /readyz: 200 or 503. */
export function readyzReply(health: Health): HealthReply {
  return { status: health.ready && !health.draining ? 200 : 503, body: JSON.stringify(health) };
}
