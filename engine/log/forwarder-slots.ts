// Numbers of the forwarders in this data directory. States on disk name a forwarder by its slot, so
// a name keeps its slot for good, until nothing on disk owes it anything.

import { assert } from "../base/assert.ts";
import { GatewayError } from "../base/errors.ts";
import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import { readFileIfAny, writeFileDurably } from "./durable-file.ts";

/** Names by slot, in a file. Main thread only. */
export class ForwarderSlots {
  readonly #path: string;
  readonly #names: string[];

  /** @throws GatewayError DATA_DIRECTORY when the file is not ours. */
  constructor(path: string) {
    this.#path = path;
    this.#names = parseNames(path, readFileIfAny(path));
  }

  /** Names by slot, FORWARDERS_MAX of them; "" where a slot is free. */
  names(): readonly string[] {
    return this.#names;
  }

  /**
   * Slots of these names, new ones assigned and saved.
   * @throws GatewayError DATA_DIRECTORY when there are none left.
   */
  assign(names: readonly string[]): number[] {
    assert(new Set(names).size === names.length, "names of forwarders are unique");
    const slots = names.map((name) => {
      assert(name !== "", "a forwarder has a name");
      const known = this.#names.indexOf(name);
      const slot = known >= 0 ? known : this.#names.indexOf("");
      if (slot < 0) throw this.#full(name);
      this.#names[slot] = name;
      return slot;
    });
    this.#save();
    return slots;
  }

  /** Frees the slots of names that nothing on disk refers to any more. */
  release(names: readonly string[]): void {
    for (const name of names) {
      const slot = this.#names.indexOf(name);
      if (slot >= 0) this.#names[slot] = "";
    }
    this.#save();
  }

  #save(): void {
    const content = `${JSON.stringify({ slots: this.#names })}\n`;
    if (readFileIfAny(this.#path) !== content) writeFileDurably(this.#path, content);
  }

  #full(name: string): GatewayError {
    return new GatewayError(
      "DATA_DIRECTORY",
      `no slot is left for forwarder "${name}": a data directory knows ${FORWARDERS_MAX}, and `
      + "removed ones count until a run without them has stopped in order; start once without it",
      { path: this.#path, names: this.#names },
    );
  }
}

const RESTORE = "restore it from a backup; what is owed to a forwarder depends on it";

function parseNames(path: string, content: string | null): string[] {
  const names = new Array<string>(FORWARDERS_MAX).fill("");
  if (content === null) return names;
  const slots = slotsOf(path, content);
  if (slots === null) {
    throw new GatewayError(
      "DATA_DIRECTORY", `${path} does not list ${FORWARDERS_MAX} forwarder names: ${RESTORE}`,
      { path },
    );
  }
  return names.map((_, slot) => slots[slot] ?? "");
}

function slotsOf(path: string, content: string): string[] | null {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new GatewayError("DATA_DIRECTORY", `${path} is not JSON: ${RESTORE}`, { path }, error);
  }
  if (typeof value !== "object" || value === null || !("slots" in value)) return null;
  const { slots } = value;
  if (!Array.isArray(slots) || slots.length !== FORWARDERS_MAX) return null;
  return slots.every((name) => typeof name === "string") ? slots : null;
}
