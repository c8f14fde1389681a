// One request and its answer, as undici reports them, folded into one outcome. The low-level
// handler is used because it alone tells whether the request had reached a connection when it
// failed: before that the backend cannot have seen it, after that nobody knows.

import type { Dispatcher } from "undici";
import type { Clock } from "../base/clock.ts";
import {
  FAILURE_ABORTED, FAILURE_CONNECT, FAILURE_RESET, FAILURE_TIMEOUT, RETRY, failedOutcome, printable,
  type Outcome,
} from "./destination.ts";
import { outcomeOfAnswer } from "./otlp-answer.ts";
import { parseRetryAfter } from "./retry-delay.ts";

/** What is kept of an answer's body; the rest is read and thrown away. */
const ANSWER_BYTES_MAX = 64 * 1024;

type Headers = Record<string, string | string[] | undefined>;

/** What one exchange needs. */
export interface ExchangeOptions {
  /** For connecting, sending and the whole answer together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Called once. */
  readonly resolve: (outcome: Outcome) => void;
}

/** Handler of one dispatched request. */
export class OtlpExchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort: () => void;
  /** Set once a connection is about to carry the request. */
  #controller: Dispatcher.DispatchController | null = null;
  #over = false;
  /** Final status; 0 until its headers are here. */
  #status = 0;
  #headers: Headers = {};
  #chunks: Buffer[] = [];
  #chunkBytes = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    const { timeoutMs, signal } = options;
    this.#timer = setTimeout(() => {
      this.#giveUp(this.#controller === null ? FAILURE_CONNECT : FAILURE_TIMEOUT,
        `no answer within ${timeoutMs} ms`);
    }, timeoutMs);
    this.#onAbort = () => this.#giveUp(FAILURE_ABORTED, "aborted");
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Timed out while waiting for a connection: nothing may be sent any more.
    if (this.#over) controller.abort(new Error("request is over"));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController, status: number, headers: Headers,
  ): void {
    if (status < 200) return; // 100 Continue and other interim answers
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#chunkBytes >= ANSWER_BYTES_MAX) return;
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
  }

  onResponseEnd(): void {
    this.#settle(this.#answered());
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#over) return;
    if (this.#status !== 0) return this.#settle(this.#answered());
    const code = codeOf(error);
    const text = printable(error.message === "" ? code : `${code}: ${error.message}`);
    if (this.#controller === null) {
      return this.#settle(failedOutcome(RETRY, FAILURE_CONNECT, false, text, code));
    }
    this.#settle(failedOutcome(RETRY, FAILURE_RESET, true, text, code));
  }

  /** Ends the exchange from this side. The status decides when it is known. */
  #giveUp(failure: number, text: string): void {
    const sent = this.#controller !== null;
    const answered = this.#status !== 0;
    this.#settle(answered ? this.#answered() : failedOutcome(RETRY, failure, sent, text));
    this.#controller?.abort(new Error(text));
  }

  #answered(): Outcome {
    const body = Buffer.concat(this.#chunks).subarray(0, ANSWER_BYTES_MAX);
    const type = this.#headers["content-type"];
    const wallMs = this.#options.clock.wallMs();
    return outcomeOfAnswer({
      status: this.#status,
      contentType: typeof type === "string" ? type : "",
      retryAfterMs: parseRetryAfter(this.#headers["retry-after"], wallMs),
      body,
    });
  }

  #settle(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#options.resolve(outcome);
  }
}

/** Code of a connection's error; errors of several addresses have a code and no message. */
function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
