// How declared metrics become cells, one Float64 each, in the counter block of a thread. A
// metric's number is the index of its first cell; the cells of its label values follow. A
// histogram takes, for each label value, one cell for every bound, one for what is above all
// bounds, and one for the sum.

import { assert } from "../base/assert.ts";

/** Threads that count; each has a layout of its own. All lanes share one layout, not one block. */
export type BlockThread = "lane" | "door" | "forward";
export type MetricKind = "counter" | "gauge" | "histogram";

declare const METRIC: unique symbol;
/**
 * First cell of a metric. The type tells kind, thread and whether it has labels, against mix-ups.
 */
export type Metric<
  Kind extends "counter" | "gauge", Thread extends BlockThread, Shape extends "plain" | "labelled",
> = number & { readonly [METRIC]: readonly [Kind, Thread, Shape] };

/** A histogram's cells: `at + label index * cellsEach`. */
export interface HistogramMetric<
  Thread extends BlockThread, Shape extends "plain" | "labelled",
> {
  readonly [METRIC]?: readonly [Thread, Shape];
  readonly at: number;
  /** Upper bounds, inclusive, ascending, in the metric's unit. */
  readonly bounds: Float64Array;
  readonly cellsEach: number;
  readonly labelIndexes: number;
}

/** Names that label values get at start; they stay for the process's life. */
export interface LabelNames {
  /** By slot; null where no forwarder has the slot. At most 16. */
  readonly forwarders: readonly (ForwarderName | null)[];
  /** By policy set number, then vote bit. At most POLICY_SETS_MAX sets. */
  readonly policySets: readonly (readonly PolicyName[])[];
  /** By the listener's place in the settings; null for one without TLS. */
  readonly tlsListeners?: readonly (string | null)[];
}

/** One forwarder slot. */
export interface ForwarderName {
  readonly name: string;
  /** False for a removed forwarder: it still empties its outbox, and new spans are not for it. */
  readonly receives: boolean;
}

/** One policy of a policy set. */
export interface PolicyName {
  readonly name: string;
  readonly samplerSlot: number;
}

/** One label and what it can say. */
export interface Dimension {
  readonly label: string;
  readonly size: number;
  /** Null when nothing has that number in this run. */
  nameOf(index: number, names: LabelNames): string | null;
}

/** All combinations of a metric's label values, numbered from 0. */
export interface LabelSpace {
  readonly labels: readonly string[];
  readonly size: number;
  /** Values in the order of `labels`. Known ones are shown even at zero. */
  nameAt(index: number, names: LabelNames): { readonly values: string[]; readonly known: boolean };
}

/** One row of the metric table. */
export interface MetricDeclaration {
  readonly name: string;
  readonly kind: MetricKind;
  readonly thread: BlockThread;
  readonly help: string;
  readonly space: LabelSpace;
  readonly at: number;
  readonly cellsEach: number;
  /** Of a histogram; empty otherwise. */
  readonly bounds: readonly number[];
  /** False: label values that never counted anything are left out of the page. */
  readonly zeroes: boolean;
}

const NO_LABELS: LabelSpace = {
  labels: [], size: 1, nameAt: () => ({ values: [], known: true }),
};

/** A label whose values are a const table; an empty text is a number nobody may use. */
export function fixed(label: string, values: readonly string[]): Dimension {
  return {
    label,
    size: values.length,
    nameOf: (index) => {
      const value = values[index];
      return value === undefined || value === "" ? null : value;
    },
  };
}

/** Every combination of the dimensions' values; the last dimension changes fastest. */
export function crossed(...dimensions: readonly Dimension[]): LabelSpace {
  const size = dimensions.reduce((product, dimension) => product * dimension.size, 1);
  return {
    labels: dimensions.map((dimension) => dimension.label),
    size,
    nameAt: (index, names) => {
      const values: string[] = [];
      let known = true;
      let rest = index;
      for (let place = dimensions.length - 1; place >= 0; place--) {
        const dimension = dimensions[place] as Dimension; // place < length
        const name = dimension.nameOf(rest % dimension.size, names);
        if (name === null) known = false;
        values.unshift(name ?? `${dimension.label}_${rest % dimension.size}`);
        rest = Math.floor(rest / dimension.size);
      }
      return { values, known };
    },
  };
}

/** Gives the metrics of one thread their cells, in the order of declaration. */
export class BlockLayout<Thread extends BlockThread> {
  readonly thread: Thread;
  readonly declarations: MetricDeclaration[] = [];
  cells = 0;

  constructor(thread: Thread) {
    this.thread = thread;
  }

  counter(name: string, help: string): Metric<"counter", Thread, "plain"> {
    return this.#declare("counter", name, help, NO_LABELS, true) as
      Metric<"counter", Thread, "plain">;
  }

  /** @param zeroes false where most label values never happen. */
  counterBy(
    space: LabelSpace, name: string, help: string, zeroes = true,
  ): Metric<"counter", Thread, "labelled"> {
    return this.#declare("counter", name, help, space, zeroes) as
      Metric<"counter", Thread, "labelled">;
  }

  gauge(name: string, help: string): Metric<"gauge", Thread, "plain"> {
    return this.#declare("gauge", name, help, NO_LABELS, true) as Metric<"gauge", Thread, "plain">;
  }

  gaugeBy(space: LabelSpace, name: string, help: string): Metric<"gauge", Thread, "labelled"> {
    return this.#declare("gauge", name, help, space, true) as Metric<"gauge", Thread, "labelled">;
  }

  histogram(
    name: string, help: string, bounds: readonly number[],
  ): HistogramMetric<Thread, "plain"> {
    return this.#histogram(name, help, bounds, NO_LABELS);
  }

  histogramBy(
    space: LabelSpace, name: string, help: string, bounds: readonly number[],
  ): HistogramMetric<Thread, "labelled"> {
    return this.#histogram(name, help, bounds, space);
  }

  /** Label values of each metric, at its first cell; 0 elsewhere. Checks label indexes. */
  labelIndexes(): Uint16Array {
    const counts = new Uint16Array(this.cells);
    for (const declaration of this.declarations) counts[declaration.at] = declaration.space.size;
    return counts;
  }

  #histogram<Shape extends "plain" | "labelled">(
    name: string, help: string, bounds: readonly number[], space: LabelSpace,
  ): HistogramMetric<Thread, Shape> {
    for (let place = 1; place < bounds.length; place++) {
      assert((bounds[place] ?? 0) > (bounds[place - 1] ?? 0), `bounds of ${name} do not ascend`);
    }
    const at = this.#declare("histogram", name, help, space, true, bounds);
    return {
      at, bounds: Float64Array.from(bounds), cellsEach: bounds.length + 2, labelIndexes: space.size,
    };
  }

  #declare(
    kind: MetricKind, name: string, help: string, space: LabelSpace, zeroes: boolean,
    bounds: readonly number[] = [],
  ): number {
    const at = this.cells;
    const cellsEach = kind === "histogram" ? bounds.length + 2 : 1;
    this.declarations.push({
      name, kind, thread: this.thread, help, space, at, cellsEach, bounds, zeroes,
    });
    this.cells += cellsEach * space.size;
    return at;
  }
}
