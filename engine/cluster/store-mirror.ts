// The keys below a prefix as they are now, in memory: listed once, then kept by a watch. A watch
// that cannot go on, because the history it needs was compacted, is replaced by another list.

import {
  isUnavailable, type ClusterStore, type StoreEntry, type StoreWatch,
} from "./cluster-store.ts";

const RETRY_MS = 250;

export interface MirrorHandlers {
  /** The value a key has now; null when it is gone. Never an older one after a newer one. */
  readonly changed: (key: string, entry: StoreEntry | null) => void;
  /** What only a bug or a refusal can cause; the mirror has stopped. */
  readonly failed: (error: unknown) => void;
}

/** Mirrors from start() to close(). */
export class StoreMirror {
  readonly #store: ClusterStore;
  readonly #prefix: string;
  readonly #handlers: MirrorHandlers;
  readonly #entries = new Map<string, StoreEntry>();
  /** Lists and watches have told everything up to here. */
  #revision = 0;
  #watch: StoreWatch | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  /** Lists after the first: changes may have been skipped between two values of a key. */
  resyncs = 0;

  constructor(store: ClusterStore, prefix: string, handlers: MirrorHandlers) {
    this.#store = store;
    this.#prefix = prefix;
    this.#handlers = handlers;
  }

  get entries(): ReadonlyMap<string, StoreEntry> {
    return this.#entries;
  }

  /** Lists and watches. @throws GatewayError CLUSTER_STORE_UNAVAILABLE: nothing has begun. */
  async start(): Promise<void> {
    const { entries, revision } = await this.#store.list(this.#prefix);
    if (this.#isClosed) return;
    this.#takeList(entries, revision);
    this.#watch = this.#store.watch(this.#prefix, this.#revision, {
      events: (events) => {
        for (const { key, value, revision: at } of events) {
          this.#revision = at;
          this.#take(key, value === null ? null : { key, value, revision: at }, at);
        }
      },
      gap: () => {
        this.resyncs++;
        this.#restart();
      },
    });
  }

  /** A key that was read on another way: the watch may have missed it, or will tell it again. */
  offer(key: string, entry: StoreEntry | null): void {
    if (this.#isClosed || entry === null) return; // a deletion comes by the watch
    if (entry.revision > this.#revision) this.#take(key, entry, entry.revision);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#watch?.close();
    this.#watch = null;
  }

  #restart(): void {
    if (this.#isClosed) return;
    this.#watch?.close();
    this.#watch = null;
    this.start().catch((error: unknown) => {
      if (this.#isClosed) return;
      if (isUnavailable(error)) this.#timer = setTimeout(() => this.#restart(), RETRY_MS);
      else this.#handlers.failed(error);
    });
  }

  #takeList(entries: readonly StoreEntry[], revision: number): void {
    const listed = new Set(entries.map(({ key }) => key));
    for (const key of this.#entries.keys()) {
      if (!listed.has(key)) this.#take(key, null, revision);
    }
    for (const entry of entries) this.#take(entry.key, entry, entry.revision);
    this.#revision = revision;
  }

  #take(key: string, entry: StoreEntry | null, revision: number): void {
    const known = this.#entries.get(key);
    if (known !== undefined && known.revision >= revision) return;
    if (entry === null) {
      if (!this.#entries.delete(key)) return;
    } else {
      this.#entries.set(key, entry);
    }
    this.#handlers.changed(key, entry);
  }
}
