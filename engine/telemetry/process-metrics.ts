// prom-client's default metrics, those worth having. They keep their usual names, which
// dashboards know. Some are of the whole process; heap, garbage collection and event loop lag are
// of the thread that collects them (the coordinator) and say so in a label: they tell nothing
// about the front door.

import { collectDefaultMetrics, Registry, type Metric } from "prom-client";

/** Label value of the thread whose heap and event loop these are. */
const THREAD = "coordinator";
const EVENT_LOOP_RESOLUTION_MS = 20;

// In prom-client's order: the first of a group fills in the others of the group.
const OF_PROCESS = [
  "process_cpu_user_seconds_total", "process_cpu_system_seconds_total", "process_cpu_seconds_total",
  "process_start_time_seconds", "process_resident_memory_bytes", "process_virtual_memory_bytes",
  "process_heap_bytes", "process_open_fds", "process_max_fds",
];
const OF_THREAD = [
  "nodejs_eventloop_lag_seconds", "nodejs_eventloop_lag_min_seconds",
  "nodejs_eventloop_lag_max_seconds", "nodejs_eventloop_lag_mean_seconds",
  "nodejs_eventloop_lag_stddev_seconds", "nodejs_eventloop_lag_p50_seconds",
  "nodejs_eventloop_lag_p90_seconds", "nodejs_eventloop_lag_p99_seconds",
  "nodejs_heap_size_total_bytes", "nodejs_heap_size_used_bytes", "nodejs_external_memory_bytes",
  "nodejs_gc_duration_seconds",
];

interface Collected {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly { readonly labels: Readonly<Record<string, string | number>> }[];
}

/** Starts collecting in this thread and adds the metrics; those the platform lacks are left out. */
export function registerProcessMetrics(registry: Registry): void {
  const all = new Registry();
  collectDefaultMetrics({ register: all, eventLoopMonitoringPrecision: EVENT_LOOP_RESOLUTION_MS });
  for (const name of OF_PROCESS) {
    const metric = all.getSingleMetric(name);
    if (metric !== undefined) registry.registerMetric(metric);
  }
  for (const name of OF_THREAD) {
    const metric = all.getSingleMetric(name);
    if (metric !== undefined) registry.registerMetric(withThread(name, metric));
  }
}

function withThread(name: string, metric: Metric): Metric {
  // Every prom-client metric has it; the declared type leaves it out.
  const inner = metric as unknown as { get(): Promise<Collected> };
  const outer = {
    name,
    get: async () => {
      const collected = await inner.get();
      const values = collected.values.map((value) => ({
        ...value, labels: { thread: THREAD, ...value.labels },
      }));
      return { ...collected, values };
    },
  };
  return outer as unknown as Metric;
}
