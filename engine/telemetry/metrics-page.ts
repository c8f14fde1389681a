// The page that Prometheus scrapes, text format 0.0.4. prom-client's registry writes it; the
// values come from one snapshot of the counter blocks a scrape.

import { Registry, type Metric as ClientMetric } from "prom-client";
import { balanceSheet } from "./balance-sheet.ts";
import type { LabelNames, MetricDeclaration } from "./metric-layout.ts";
import { METRICS } from "./metric-table.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { seriesOf, seriesValue, type Series } from "./series.ts";
import type { Snapshot } from "./snapshot.ts";

/** A metric that is computed when the page is, by the thread that serves it. */
export interface ComputedMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  /** Called at every scrape, in one go with all others; must not block. */
  collect(): readonly ComputedSample[];
}

/** One line of a computed metric. */
export interface ComputedSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricsPageOptions {
  readonly names: LabelNames;
  /** As in package.json. */
  readonly version: string;
  /** Also the process's CPU, memory and files, and this thread's heap and event loop. */
  readonly processMetrics: boolean;
}

interface Sample extends ComputedSample {
  /** Of a histogram's lines. */
  readonly metricName?: string;
}

/** Renders everything counted in the process. Lives in the thread that serves it. */
export class MetricsPage {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #registry = new Registry();
  readonly #readBlocks: () => Snapshot;
  #snapshot: Snapshot;

  constructor(options: MetricsPageOptions, dependencies: { readBlocks: () => Snapshot }) {
    this.#readBlocks = dependencies.readBlocks;
    this.#snapshot = this.#readBlocks();
    for (const declaration of METRICS) this.#declare(declaration, options.names);
    this.add({
      name: "tailrace_balance_difference_spans",
      kind: "gauge",
      help: "Spans received and not accounted for (below 0: twice). Anything but 0 is a bug.",
      collect: () => balanceSheet(this.#snapshot, options.names).forwarders.map((account) => ({
        labels: { forwarder: account.forwarder }, value: account.difference,
      })),
    });
    this.add({
      name: "tailrace_counter_blocks_stale",
      kind: "gauge",
      help: "Threads whose numbers on this page are those of an earlier scrape.",
      collect: () => [{ labels: {}, value: this.#snapshot.staleBlocks }],
    });
    this.add({
      name: "tailrace_build_info",
      kind: "gauge",
      help: "Always 1; the labels tell what runs.",
      collect: () => [{ labels: { version: options.version, node: process.version }, value: 1 }],
    });
    if (options.processMetrics) registerProcessMetrics(this.#registry);
  }

  /** Adds a metric that no counter block holds. Its name must be new. */
  add(metric: ComputedMetric): void {
    register(this.#registry, metric.name, metric.help, metric.kind, () => metric.collect());
  }

  /** The whole page, from one snapshot. */
  async render(): Promise<string> {
    // The registry asks every metric of ours before it first waits, so all see this snapshot.
    this.#snapshot = this.#readBlocks();
    return await this.#registry.metrics();
  }

  #declare(declaration: MetricDeclaration, names: LabelNames): void {
    const { thread, name, help, kind } = declaration;
    const series = seriesOf(declaration, names);
    const samples = kind === "histogram" ? histogramSamples : plainSamples;
    register(this.#registry, name, help, kind, () =>
      samples(declaration, series, this.#snapshot[thread]));
  }
}

function plainSamples(
  declaration: MetricDeclaration, series: readonly Series[], cells: Float64Array,
): Sample[] {
  const samples: Sample[] = [];
  for (const each of series) {
    const value = seriesValue(declaration, each, cells);
    if (value === 0 && !(each.known && declaration.zeroes)) continue;
    samples.push({ labels: each.labels, value });
  }
  return samples;
}

/** Cumulative buckets, sum and count of each series; +Inf and the count are the same number. */
function histogramSamples(
  declaration: MetricDeclaration, series: readonly Series[], cells: Float64Array,
): Sample[] {
  const { name, bounds } = declaration;
  const samples: Sample[] = [];
  for (const each of series) {
    const buckets: Sample[] = [];
    let count = 0;
    for (let place = 0; place <= bounds.length; place++) {
      count += seriesValue(declaration, each, cells, place);
      const bound = bounds[place];
      const labels = { ...each.labels, le: bound === undefined ? "+Inf" : String(bound) };
      buckets.push({ labels, value: count, metricName: `${name}_bucket` });
    }
    if (count === 0 && !each.known) continue;
    const sum = seriesValue(declaration, each, cells, bounds.length + 1);
    samples.push(...buckets, { labels: each.labels, value: sum, metricName: `${name}_sum` },
      { labels: each.labels, value: count, metricName: `${name}_count` });
  }
  return samples;
}

/** Puts an object with the part of prom-client's metric interface that a registry uses. */
function register(
  registry: Registry, name: string, help: string, type: string, values: () => readonly Sample[],
): void {
  const metric = { name, help, type, get: () => ({ name, help, type, values: values() }) };
  // The declared type wants prom-client's own classes, which have no way to set a counter or a
  // bucket.
  registry.registerMetric(metric as unknown as ClientMetric);
}
