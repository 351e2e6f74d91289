import type { MetricDefinition } from "#replica/base/metrics.ts";

function counter(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { name, kind: "counter", help, labels };
}

function gauge(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { name, kind: "gauge", help, labels };
}

/**
 * Every metric of the operator. Those without our prefix carry the names of controller-runtime and
 * client-go, so that existing dashboards and alerts work.
 */
export const operatorMetrics = {
  action: counter(
    "tigerchat_operator_action_total",
    "Things that the operator did or tried to do.",
    ["action", "reason", "result"],
  ),
  gateDeferred: counter(
    "tigerchat_operator_gate_deferred_total",
    "Restarts that were put off, by what held them back.",
    ["gate"],
  ),
  shards: gauge("tigerchat_operator_shards", "Shards by phase, as last reported.", ["phase"]),
  reconcile: counter("controller_runtime_reconcile_total", "Rounds by how they ended.", [
    "controller",
    "result",
  ]),
  reconcileSeconds: {
    name: "controller_runtime_reconcile_time_seconds",
    kind: "histogram",
    help: "Seconds that a round took.",
    labels: ["controller"],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
  },
  queueDepth: gauge("workqueue_depth", "Shards that wait for a worker.", ["name"]),
  requests: counter("rest_client_requests_total", "Requests to the API server.", [
    "method",
    "code",
  ]),
  leader: gauge("leader_election_master_status", "1 while this process is elected.", ["name"]),
  lastEvent: gauge(
    "tigerchat_operator_watch_last_event_seconds",
    "Unix time of the last sign of life of a watch.",
    ["kind"],
  ),
} as const satisfies Readonly<Record<string, MetricDefinition>>;
