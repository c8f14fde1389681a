// One etcd client with its endpoints, and the rules that calls need with it:
//
// - Every call has a deadline. Without one a call to a hung server never ends.
// - HTTP/2 pings find a hung server for streams. etcd refuses pings that come more often than every
//   5 s, unless it was told otherwise; so that is the period.
// - Faults of one server open its circuit breaker in the library for 5 s; others are tried. All
//   such faults become CLUSTER_STORE_UNAVAILABLE, which callers meet with another try.

import { Etcd3, isRecoverableError, type IOptions } from "etcd3";
import { storeUnavailable } from "./cluster-store.ts";

/** PEM texts for TLS to etcd's client address; null: plain. */
export interface ClientCredentials {
  readonly rootCertificate: Buffer;
  readonly privateKey?: Buffer;
  readonly certificateChain?: Buffer;
}

export interface EtcdClientOptions {
  /** Client URLs of etcd servers. */
  readonly endpoints: readonly string[];
  readonly credentials: ClientCredentials | null;
  /** Of one try at one server. */
  readonly callTimeoutMs: number;
}

const PING_MS = 5_000;
const PING_TIMEOUT_MS = 1_500;
/** Tries of a call, at different servers where there are several, end within this many timeouts. */
const TRIES_OF_CALL = 3;

/** The library's client, exchanged when the endpoints change. */
export class EtcdClient {
  readonly #options: EtcdClientOptions;
  readonly #retired = new Map<Etcd3, NodeJS.Timeout>();
  readonly #listeners = new Set<() => void>();
  #endpoints: readonly string[];
  #etcd: Etcd3;
  #isClosed = false;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
    this.#endpoints = [...options.endpoints].sort();
    this.#etcd = this.#create();
  }

  get etcd(): Etcd3 {
    return this.#etcd;
  }

  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  get callTimeoutMs(): number {
    return this.#options.callTimeoutMs;
  }

  /** Uses these servers from now on; calls under way end at the former ones. */
  setEndpoints(endpoints: readonly string[]): void {
    const sorted = [...endpoints].sort();
    if (this.#isClosed || sorted.length === 0 || sorted.join() === this.#endpoints.join()) return;
    const former = this.#etcd;
    this.#endpoints = sorted;
    this.#etcd = this.#create();
    const ended = (): void => {
      former.close();
      this.#retired.delete(former);
    };
    const timer = setTimeout(ended, this.#options.callTimeoutMs * TRIES_OF_CALL);
    this.#retired.set(former, timer.unref());
    for (const listener of this.#listeners) listener();
  }

  /** `listener` is called when streams should move to a new client. @returns ends that. */
  onExchange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * One call, bounded as a whole.
   * @throws GatewayError CLUSTER_STORE_UNAVAILABLE for what another try may mend; everything else
   * as the library throws it.
   */
  async call<T>(what: string, run: (etcd: Etcd3) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw storeUnavailable(what, new Error("the client is closed"));
    const limitMs = this.#options.callTimeoutMs * TRIES_OF_CALL;
    return await bounded(what, limitMs, run(this.#etcd));
  }

  /** Cancel watches first: their streams belong to this. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const [etcd, timer] of this.#retired) {
      clearTimeout(timer);
      etcd.close();
    }
    this.#retired.clear();
    this.#etcd.close();
  }

  #create(): Etcd3 {
    const { credentials, callTimeoutMs } = this.#options;
    const options: IOptions = {
      hosts: [...this.#endpoints],
      grpcOptions: {
        "grpc.keepalive_time_ms": PING_MS,
        "grpc.keepalive_timeout_ms": PING_TIMEOUT_MS,
        "grpc.keepalive_permit_without_calls": 1,
        // A server that was down is called again soon after it is back.
        "grpc.initial_reconnect_backoff_ms": 250,
        "grpc.max_reconnect_backoff_ms": 2_000,
      },
      defaultCallOptions: ({ isStream }) =>
        isStream ? {} : { deadline: Date.now() + callTimeoutMs },
    };
    if (credentials !== null) {
      const { rootCertificate, privateKey, certificateChain } = credentials;
      options.credentials = {
        rootCertificate,
        ...(privateKey === undefined ? {} : { privateKey }),
        ...(certificateChain === undefined ? {} : { certChain: certificateChain }),
      };
    }
    return new Etcd3(options);
  }
}

/** @throws GatewayError CLUSTER_STORE_UNAVAILABLE after `limitMs`, or for a fault that may pass. */
export async function bounded<T>(what: string, limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(storeUnavailable(what, new Error("timed out"))), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    throw mayPass(error) ? storeUnavailable(what, error) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a fault is one of the network, the server or its quorum, not of the question. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return isRecoverableError(error) || "isBrokenCircuitError" in error;
}
