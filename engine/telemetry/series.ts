// From cells to what a page or a report shows: one series for each different set of label texts.

import { assert } from "../base/assert.ts";
import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import { POLICY_SETS_MAX } from "./label-values.ts";
import type { LabelNames, MetricDeclaration } from "./metric-layout.ts";

/**
 * Label texts and the label indexes that carry them: two policy sets can have a policy of one
 * name.
 */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly indexes: readonly number[];
  /** Shown even at zero. */
  readonly known: boolean;
}

/** The series of one metric under the names of this run, in the order of their indexes. */
export function seriesOf(declaration: MetricDeclaration, names: LabelNames): Series[] {
  assert(names.forwarders.length <= FORWARDERS_MAX, "more forwarder names than slots");
  assert(names.policySets.length <= POLICY_SETS_MAX, "more policy sets than labels");
  const byText = new Map<string, Series & { readonly indexes: number[] }>();
  const { space } = declaration;
  for (let index = 0; index < space.size; index++) {
    const { values, known } = space.nameAt(index, names);
    const text = JSON.stringify(values);
    const series = byText.get(text);
    if (series !== undefined) {
      series.indexes.push(index);
      continue;
    }
    const labels: Record<string, string> = {};
    space.labels.forEach((label, place) => { labels[label] = values[place] ?? ""; });
    byText.set(text, { labels, indexes: [index], known });
  }
  return [...byText.values()];
}

/** Sum of a series' cells; `offset` picks one cell of a histogram. */
export function seriesValue(
  declaration: MetricDeclaration, series: Series, cells: Float64Array, offset = 0,
): number {
  let value = 0;
  for (const index of series.indexes) {
    value += cells[declaration.at + index * declaration.cellsEach + offset] ?? 0;
  }
  return value;
}
