import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { MetricDefinition } from "#replica/base/metrics.ts";
import { edgeMetrics } from "./metrics.ts";
import type { EdgeMetric } from "./metrics.ts";

type Labels = Readonly<Record<string, string>>;

/** The metrics of {@link edgeMetrics} in a prom-client registry of their own. */
export class Meters {
  private readonly registry = new Registry();
  private readonly gauges = new Map<string, Gauge>();
  private readonly counters = new Map<string, Counter>();
  private readonly histograms = new Map<string, Histogram>();

  /** Registers every definition. */
  constructor() {
    for (const definition of Object.values<MetricDefinition>(edgeMetrics)) {
      const { name, help, kind } = definition;
      const common = { name, help, labelNames: [...definition.labels], registers: [this.registry] };
      if (kind === "gauge") this.gauges.set(name, new Gauge(common));
      else if (kind === "counter") this.counters.set(name, new Counter(common));
      else {
        const buckets = [...(definition.buckets ?? [])];
        this.histograms.set(name, new Histogram({ ...common, buckets }));
      }
    }
  }

  /** Sets a gauge, or a counter that something else counts, to its present value. */
  set(metric: EdgeMetric, value: number, labels: Labels = {}): void {
    const { name } = edgeMetrics[metric];
    this.gauges.get(name)?.set(labels, value);
    const counter = this.counters.get(name);
    counter?.remove(labels);
    counter?.inc(labels, value);
  }

  /** One observation of a histogram, in the unit of its name. */
  observe(metric: EdgeMetric, value: number): void {
    this.histograms.get(edgeMetrics[metric].name)?.observe(value);
  }

  /** Prometheus text format. */
  async text(): Promise<string> {
    return await this.registry.metrics();
  }
}
