import type { MetricDefinition } from "#replica/base/metrics.ts";

/**
 * Every metric of the operator. Those without our prefix carry the names of controller-runtime and
 * client-go, so that existing dashboards and alerts work.
 */
export const operatorMetrics = {
  action: {
    name: "tigerchat_operator_action_total",
    kind: "counter",
    help: "Things that the operator did or tried to do.",
    labels: ["action", "reason", "result"],
  },
  gateDeferred: {
    name: "tigerchat_operator_gate_deferred_total",
    kind: "counter",
    help: "Restarts that were put off, by what held them back.",
    labels: ["gate"],
  },
  shards: {
    name: "tigerchat_operator_shards",
    kind: "gauge",
    help: "Shards by phase, as last reported.",
    labels: ["phase"],
  },
  reconcile: {
    name: "controller_runtime_reconcile_total",
    kind: "counter",
    help: "Rounds by how they ended.",
    labels: ["controller", "result"],
  },
  reconcileSeconds: {
    name: "controller_runtime_reconcile_time_seconds",
    kind: "histogram",
    help: "Seconds that a round took.",
    labels: ["controller"],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
  },
  queueDepth: {
    name: "workqueue_depth",
    kind: "gauge",
    help: "Shards that wait for a worker.",
    labels: ["name"],
  },
  requests: {
    name: "rest_client_requests_total",
    kind: "counter",
    help: "Requests to the API server.",
    labels: ["method", "code"],
  },
  leader: {
    name: "leader_election_master_status",
    kind: "gauge",
    help: "1 while this process is elected.",
    labels: ["name"],
  },
  lastEvent: {
    name: "tigerchat_operator_watch_last_event_seconds",
    kind: "gauge",
    help: "Unix time of the last sign of life of a watch.",
    labels: ["kind"],
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
