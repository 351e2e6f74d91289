import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { assert } from "#replica/base/assert.ts";
import type { MetricDefinition } from "#replica/base/metrics.ts";
import { type ReplicaMetric, replicaMetrics } from "./metrics.ts";

type Labels = Readonly<Record<string, string>>;
type Meter = Counter | Gauge | Histogram;

/** The metrics of {@link replicaMetrics} in a prom-client registry of their own. */
export class Meters {
  private readonly registry = new Registry();
  private readonly meters = new Map<string, Meter>();

  /** Registers every definition. */
  constructor() {
    for (const definition of Object.values<MetricDefinition>(replicaMetrics)) {
      this.meters.set(definition.name, this.meterFrom(definition));
    }
  }

  /** Sets a gauge, or a counter that something else counts, to its present value. */
  set(metric: ReplicaMetric, value: number, labels: Labels = {}): void {
    const meter = this.meter(metric);
    if (meter instanceof Gauge) meter.set(labels, value);
    else {
      assert(meter instanceof Counter, "SRV-01: set needs a gauge or a counter");
      meter.remove(labels);
      meter.inc(labels, value);
    }
  }

  /** Adds to a counter. */
  add(metric: ReplicaMetric, value: number, labels: Labels = {}): void {
    const meter = this.meter(metric);
    assert(meter instanceof Counter, "SRV-01: add needs a counter");
    meter.inc(labels, value);
  }

  /** One observation of a histogram, in the unit of its name. */
  observe(metric: ReplicaMetric, value: number): void {
    const meter = this.meter(metric);
    assert(meter instanceof Histogram, "SRV-01: observe needs a histogram");
    meter.observe(value);
  }

  /** Prometheus text format, version 0.0.4. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  private meter(metric: ReplicaMetric): Meter {
    const meter = this.meters.get(replicaMetrics[metric].name);
    assert(meter !== undefined, "SRV-01: every definition is registered");
    return meter;
  }

  private meterFrom(definition: MetricDefinition): Meter {
    const { name, help } = definition;
    const common = { name, help, labelNames: [...definition.labels], registers: [this.registry] };
    if (definition.kind === "counter") return new Counter(common);
    if (definition.kind === "gauge") return new Gauge(common);
    assert(definition.buckets !== undefined, "SRV-01: a histogram has buckets");
    return new Histogram({ ...common, buckets: [...definition.buckets] });
  }
}
