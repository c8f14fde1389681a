// What can happen to a node in a history, and what a history had to say.

import type { SimNode } from "./sim-node.ts";

/** What a history does to its cluster, and how often among 100. */
export const EVENTS: readonly (readonly [weight: number, name: keyof Events])[] = [
  [14, "crash"], [8, "crashAtCommit"], [12, "crashTwice"], [3, "lose"], [8, "leave"],
  [10, "pause"], [10, "partition"], [8, "partitionOneWay"], [12, "cut"], [8, "delay"],
  [7, "cutFromEtcd"],
];
/** Events after which a node is not in the map for a while, or has forgotten what is under way. */
export const ABSENCES: ReadonlySet<keyof Events> = new Set([
  "crash", "crashAtCommit", "crashTwice", "lose", "leave", "pause", "cutFromEtcd",
]);

export interface Events {
  crash(node: SimNode): void;
  crashAtCommit(node: SimNode): void;
  crashTwice(node: SimNode): void;
  lose(node: SimNode): void;
  leave(node: SimNode): void;
  pause(node: SimNode): void;
  partition(node: SimNode): void;
  partitionOneWay(node: SimNode): void;
  cut(node: SimNode): void;
  delay(node: SimNode): void;
  cutFromEtcd(node: SimNode): void;
}

/** What a history had to say, for the sum at the end. */
export interface Outcome {
  readonly faults: readonly string[];
  readonly story: readonly string[];
  readonly acknowledged: number;
  readonly delivered: number;
  readonly epochs: number;
  /** Traces on which two decisions differed, in a history in which that is not a fault. */
  readonly disagreements: number;
  readonly events: ReadonlyMap<string, number>;
}
