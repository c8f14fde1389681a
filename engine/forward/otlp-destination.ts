// OTLP/HTTP with protobuf bodies, one POST a batch, over a pool of kept-alive HTTP/1.1 connections.
// A Buffer body is handed to the socket as it is: an uncompressed batch is not copied again here.

import { validateHeaderName, validateHeaderValue } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Pool } from "undici";
import type { Clock } from "../base/clock.ts";
import { GatewayError } from "../base/errors.ts";
import {
  FAILURE_ABORTED, RETRY, failedOutcome, type Destination, type DestinationDependencies,
  type Outcome, type SendBatch,
} from "./destination.ts";
import type { OtlpForwarderSettings } from "./forwarder-settings.ts";
import { OtlpExchange } from "./otlp-exchange.ts";

const compress = promisify(gzip);

/** A connection that is not made after this is tried again, ms; less when the timeout is less. */
const CONNECT_MS_MAX = 10_000;
/** Output pieces of gzip: the default of 16 KiB costs a callback for each. */
const GZIP_CHUNK_BYTES = 256 * 1024;
/** Headers that follow from the body and the connection; a configured one could only break them. */
const RESERVED_HEADERS = new Set([
  "connection", "content-encoding", "content-length", "content-type", "expect", "host",
  "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
]);

/** POSTs batches to an OTLP/HTTP backend. At most requestsMax connections. */
export class OtlpDestination implements Destination {
  readonly #settings: OtlpForwarderSettings;
  readonly #clock: Clock;
  readonly #pool: Pool;
  readonly #path: string;
  readonly #headers: string[];

  /** @throws GatewayError CONFIG_INVALID for an address or header that no request could carry. */
  constructor(settings: OtlpForwarderSettings, dependencies: DestinationDependencies) {
    this.#settings = settings;
    this.#clock = dependencies.clock;
    const address = addressOf(settings);
    this.#path = `${address.pathname}${address.search}`;
    this.#headers = headersOf(settings, address);
    this.#pool = new Pool(address.origin, {
      connections: settings.requestsMax,
      pipelining: 1,
      connect: { timeout: Math.min(CONNECT_MS_MAX, settings.timeoutMs) },
      // The exchange has one timer for the whole request; undici's own are per phase and coarse.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** One POST. The batch's bytes are borrowed until the outcome, compressed or not. */
  async send(batch: SendBatch, signal: AbortSignal): Promise<Outcome> {
    let body = batch.bytes;
    if (this.#settings.compression === "gzip") {
      const level = this.#settings.gzipLevel;
      body = await compress(batch.bytes, { level, chunkSize: GZIP_CHUNK_BYTES });
    }
    if (signal.aborted) return failedOutcome(RETRY, FAILURE_ABORTED, false, "aborted");
    return await new Promise((resolve) => {
      const { timeoutMs } = this.#settings;
      const exchange = new OtlpExchange({ timeoutMs, signal, clock: this.#clock, resolve });
      const request = { path: this.#path, method: "POST", headers: this.#headers, body } as const;
      this.#pool.dispatch(request, exchange);
    });
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function addressOf(settings: OtlpForwarderSettings): URL {
  const address = URL.canParse(settings.url) ? new URL(settings.url) : null;
  if (address !== null && (address.protocol === "http:" || address.protocol === "https:")) {
    return address;
  }
  throw new GatewayError(
    "CONFIG_INVALID",
    `forwarder "${settings.name}": its URL is not an http(s) address: correct it`,
    { forwarder: settings.name },
  );
}

/** Names and values in turn, as undici takes them; configured headers win over ours. */
function headersOf(settings: OtlpForwarderSettings, address: URL): string[] {
  const headers = new Map<string, string>([["user-agent", "tailrace"]]);
  if (settings.token !== "") headers.set(settings.tokenHeader.toLowerCase(), settings.token);
  if (address.username !== "" || address.password !== "") {
    const user = decodeURIComponent(address.username);
    const pair = `${user}:${decodeURIComponent(address.password)}`;
    headers.set("authorization", `Basic ${Buffer.from(pair).toString("base64")}`);
  }
  for (const [name, value] of Object.entries(settings.headers)) {
    headers.set(name.toLowerCase(), value);
  }
  for (const [name, value] of headers) assertHeader(settings.name, name, value);
  headers.set("content-type", "application/x-protobuf");
  if (settings.compression === "gzip") headers.set("content-encoding", "gzip");
  return [...headers].flat();
}

function assertHeader(forwarder: string, name: string, value: string): void {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch (cause) {
    throw invalidHeader(forwarder, name, "has a name or value that HTTP does not allow", cause);
  }
  if (!RESERVED_HEADERS.has(name)) return;
  throw invalidHeader(forwarder, name, "is set by the gateway itself", undefined);
}

/** Never with the value: it may be a token. */
function invalidHeader(
  forwarder: string, name: string, why: string, cause: unknown,
): GatewayError {
  const text = `forwarder "${forwarder}": header "${name}" ${why}`;
  return new GatewayError("CONFIG_INVALID", text, { forwarder, header: name }, cause);
}
