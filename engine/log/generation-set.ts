// The generations of one log, oldest first, and the bound on how much of them is open and mapped.

import { assert } from "../base/assert.ts";
import type { Generation } from "./generation.ts";
import { TouchMarker } from "./touch-marker.ts";

export interface GenerationSetOptions {
  readonly markerPath: string;
  /** Environments open at once, the one being written included: file descriptors and maps. */
  readonly environmentsMax: number;
  /**
   * Bytes touched through the maps, which count as resident; the least recently used are closed.
   */
  readonly mappedBytesMax: number;
}

/** What a log holds beside its disk space. */
export interface LogFigures {
  readonly openEnvironments: number;
  /** Bytes touched through the maps of the open environments, at most. */
  readonly mappedBytes: number;
  /** Environments opened again for a read. */
  readonly reopened: number;
  /** Marks of the generation being read that could not be written. */
  readonly markerFailures: number;
  /** Memory of the states. */
  readonly stateBytes: number;
}

/** One thread: the lane's. */
export class GenerationSet {
  readonly #options: GenerationSetOptions;
  readonly #byId = new Map<number, Generation>();
  /** Ascending by id. */
  readonly list: Generation[] = [];
  readonly marker: TouchMarker;
  /** Environments opened again after they were closed for the bounds. */
  reopened = 0;
  #uses = 0;

  constructor(options: GenerationSetOptions) {
    assert(options.environmentsMax >= 2, "one environment is written while another is read");
    this.#options = options;
    this.marker = new TouchMarker(options.markerPath);
  }

  find(id: number): Generation | undefined {
    return this.#byId.get(id);
  }

  /** Adds the newest generation. */
  add(generation: Generation): void {
    const last = this.list.at(-1);
    assert(last === undefined || last.id < generation.id, "generations are added in order");
    this.list.push(generation);
    this.#byId.set(generation.id, generation);
  }

  remove(generation: Generation): void {
    const at = this.list.indexOf(generation);
    assert(at >= 0, "a generation is removed once");
    generation.environment.close();
    this.list.splice(at, 1);
    this.#byId.delete(generation.id);
  }

  /**
   * Runs `work` in a transaction of the generation's environment, where it can be read; at once
   * when one is running. What `work` throws comes out.
   * @throws EnvironmentFailed when the environment cannot be opened.
   */
  reading(generation: Generation, work: () => void): void {
    const environment = generation.environment;
    generation.usedAt = ++this.#uses;
    if (environment.inTransaction) {
      work();
      return;
    }
    const outer = this.marker.named;
    this.marker.name(generation.id);
    try {
      if (!environment.isOpen) {
        environment.open();
        this.reopened++;
      }
      environment.transact(work);
    } finally {
      this.marker.name(outer);
    }
    this.enforce();
  }

  /** Notes a use that is no reading. */
  used(generation: Generation): void {
    generation.usedAt = ++this.#uses;
  }

  /** Closes the least recently used environments until both bounds hold. */
  enforce(): void {
    while (this.#overBounds()) {
      const oldest = this.#leastRecentlyUsed();
      if (oldest === null) return; // all are in transactions; their ends come here again
      oldest.environment.close();
    }
  }

  /** Closes everything; the set is not used again. */
  close(): void {
    for (const generation of this.list) generation.environment.close();
    this.marker.close();
  }

  figures(): LogFigures {
    return {
      openEnvironments: this.#openEnvironments(),
      mappedBytes: this.#mappedBytes(),
      reopened: this.reopened,
      markerFailures: this.marker.failures,
      stateBytes: this.list.reduce((bytes, { states }) => bytes + states.bytes(), 0),
    };
  }

  #openEnvironments(): number {
    let open = 0;
    for (const { environment } of this.list) if (environment.isOpen) open++;
    return open;
  }

  #mappedBytes(): number {
    let mapped = 0;
    for (const { environment, bytes } of this.list) {
      if (environment.isOpen) mapped += Math.min(environment.touchedBytes, bytes);
    }
    return mapped;
  }

  #overBounds(): boolean {
    return this.#openEnvironments() > this.#options.environmentsMax
      || this.#mappedBytes() > this.#options.mappedBytesMax;
  }

  #leastRecentlyUsed(): Generation | null {
    let oldest: Generation | null = null;
    for (const generation of this.list) {
      const { environment } = generation;
      if (!environment.isOpen || environment.inTransaction) continue;
      if (oldest === null || generation.usedAt < oldest.usedAt) oldest = generation;
    }
    return oldest;
  }
}
