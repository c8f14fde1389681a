// A watch that goes on after every fault where it was interrupted. The library has one of its own;
// that one throws inside of stream events when answers cross a cancellation, and cannot be given up
// while it connects.

import type { IDuplexStream, IWatchRequest, IWatchResponse } from "etcd3";
import type { StoreEvent, StoreWatch, WatchHandlers } from "./cluster-store.ts";
import type { EtcdClient } from "./etcd-client.ts";

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse>;

/** Watches the keys that begin with a prefix. */
export class EtcdWatch implements StoreWatch {
  readonly #client: EtcdClient;
  readonly #prefix: string;
  readonly #handlers: WatchHandlers;
  readonly #forget: () => void;
  /** Everything below has been handed over. */
  #nextRevision: number;
  #stream: WatchStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retryMs = RETRY_MS_MIN;
  /** Answers to former openings count for nothing. */
  #opening = 0;
  #isClosed = false;

  constructor(
    client: EtcdClient, prefix: string, afterRevision: number, handlers: WatchHandlers,
  ) {
    this.#client = client;
    this.#prefix = prefix;
    this.#handlers = handlers;
    this.#nextRevision = afterRevision + 1;
    this.#forget = client.onExchange(() => this.#reopen(0));
    this.#reopen(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#forget();
    this.#drop();
  }

  #reopen(delayMs: number): void {
    if (this.#isClosed) return;
    this.#drop();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#open(this.#opening);
    }, delayMs);
  }

  /** Ends the stream and whatever is about to open one. */
  #drop(): void {
    this.#opening++;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#stream?.cancel();
    this.#stream = null;
  }

  async #open(opening: number): Promise<void> {
    let stream: WatchStream;
    try {
      stream = await this.#client.call(`watching ${this.#prefix}`, (etcd) =>
        etcd.watchClient.watch());
    } catch {
      this.#retry(opening); // whatever it was: there is no watch without a stream
      return;
    }
    // Handlers stay when the stream is dropped: its last words must find somebody.
    stream.on("error", () => this.#retry(opening));
    stream.on("end", () => this.#retry(opening));
    if (opening !== this.#opening) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    stream.on("data", (answer) => {
      if (opening === this.#opening) this.#take(answer);
    });
    stream.write({
      create_request: {
        key: Buffer.from(this.#prefix), range_end: prefixEnd(this.#prefix),
        start_revision: this.#nextRevision, progress_notify: true,
      },
    });
  }

  #retry(opening: number): void {
    if (opening !== this.#opening) return;
    this.#reopen(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #take(answer: IWatchResponse): void {
    if (answer.canceled) {
      if (answer.compact_revision === "0") {
        this.#retry(this.#opening);
        return;
      }
      this.close();
      this.#handlers.gap();
      return;
    }
    this.#retryMs = RETRY_MS_MIN;
    const events = answer.events.map(({ type, kv }): StoreEvent => ({
      key: kv.key.toString(), value: type === "Delete" ? null : kv.value.toString(),
      revision: Number(kv.mod_revision),
    }));
    const last = events.at(-1);
    // Without events it is a sign of life, and its revision says what has been handed over. Beside
    // events it does not: later ones of a long history follow in further answers.
    if (last !== undefined) this.#nextRevision = last.revision + 1;
    else if (!answer.created) this.#nextRevision = Number(answer.header.revision) + 1;
    if (events.length > 0) this.#handlers.events(events);
  }
}

/** First key after all that begin with `prefix`, which ends with an ASCII character. */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1]!++;
  return end;
}
