/** What a metric is: enough to register it, to document it and to check dashboards against it. */
export interface MetricDefinition {
  /** Full name, `tigerchat_<subsystem>_<name>_<unit>`; counters end in `_total`. */
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  /** One sentence. */
  readonly help: string;
  /** Label names; values must be few, never a room or a user. */
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, in the unit of the name. */
  readonly buckets?: readonly number[];
}
