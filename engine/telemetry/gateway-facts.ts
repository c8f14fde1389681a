// What a running gateway tells of itself beside what it counts. Nothing here is secret.

import type { RingFill } from "../ring/ring-fill.ts";

export interface ListenerFacts {
  readonly name: string;
  readonly type: string;
  /** host:port as configured; port 0 is the system's choice. */
  readonly address: string;
  readonly tls: boolean;
}

export interface ForwarderFacts {
  readonly name: string;
  readonly type: string;
  /** A directory, or an address without what may hold a password or a token. */
  readonly destination: string;
  /** Null: every span is forwarded. `policies` as in the configuration. */
  readonly sampler: {
    readonly decisionWaitMs: number; readonly policies: readonly unknown[];
  } | null;
}

/** Set at start. */
export interface GatewayFacts {
  readonly serverName: string;
  readonly clusterName: string;
  readonly workers: number;
  readonly durability: string;
  readonly dataDirectory: string;
  readonly storageLimitBytes: number;
  /** Most that the tables of traces and decisions, and the rings, take. */
  readonly tableBytesMax: number;
  readonly ringBytesMax: number;
  readonly listeners: readonly ListenerFacts[];
  readonly forwarders: readonly ForwarderFacts[];
}

/** The facts, and what the process is at this moment. */
export interface RunningState {
  readonly facts: GatewayFacts;
  readonly uptimeSeconds: number;
  readonly processId: number;
  readonly nodeVersion: string;
  readonly residentBytes: number;
  /** Of the logs and outboxes: what the storage limit bounds. */
  readonly storageBytes: number;
  /** Payload rings, by lane. */
  readonly rings: readonly RingFill[];
}
