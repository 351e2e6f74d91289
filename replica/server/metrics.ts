import { adminStates } from "#replica/admin/admin-status.ts";
import type { MetricDefinition } from "#replica/base/metrics.ts";

/** Values of the label `state`. */
export const stateLabels = adminStates;

/** Seconds; from one WAL write on a fast disk to a view change. */
const latencyBuckets = [
  0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];

/** Every metric of a replica process, as data: registered, documented and compared from here. */
export const replicaMetrics = {
  shardIsLeader: {
    name: "tigerchat_shard_is_leader",
    kind: "gauge",
    help: "1 while this replica is the primary in normal status, else 0.",
    labels: [],
  },
  shardView: {
    name: "tigerchat_shard_view",
    kind: "gauge",
    help: "View number that this replica is in.",
    labels: [],
  },
  shardHeadOp: {
    name: "tigerchat_shard_head_op",
    kind: "gauge",
    help: "Highest op in this replica's log.",
    labels: [],
  },
  shardCommitOp: {
    name: "tigerchat_shard_commit_op",
    kind: "gauge",
    help: "Highest op that this replica has applied.",
    labels: [],
  },
  shardCheckpointOp: {
    name: "tigerchat_shard_checkpoint_op",
    kind: "gauge",
    help: "Op of this replica's last durable checkpoint.",
    labels: [],
  },
  shardLastCommit: {
    name: "tigerchat_shard_last_commit_timestamp_seconds",
    kind: "gauge",
    help: "Unix time at which this replica last applied an op.",
    labels: [],
  },
  shardViewChanges: {
    name: "tigerchat_shard_view_changes_total",
    kind: "counter",
    help: "Times that this replica saw the view change.",
    labels: [],
  },
  shardLogSize: {
    name: "tigerchat_shard_log_size",
    kind: "gauge",
    help: "Leaves of the shard's log under the newest checkpoint with two cosignatures here.",
    labels: [],
  },
  shardLogSigned: {
    name: "tigerchat_shard_log_signed_timestamp_seconds",
    kind: "gauge",
    help: "Unix time at which a checkpoint of the shard's log last got its cosignatures here.",
    labels: [],
  },
  replicaLogForked: {
    name: "tigerchat_replica_log_forked",
    kind: "gauge",
    help: "1 when this replica's history is not the one that it signed, else 0.",
    labels: [],
  },
  replicaTrims: {
    name: "tigerchat_replica_trims_total",
    kind: "counter",
    help: "Rooms whose older entries were let go because this replica, as primary, asked for it.",
    labels: [],
  },
  replicaKeyRotations: {
    name: "tigerchat_replica_key_rotations_total",
    kind: "counter",
    help: "New keys and certificates taken while running (kek, certificate, trust), or refused.",
    labels: ["kind", "outcome"],
  },
  replicaInfo: {
    name: "tigerchat_replica_info",
    kind: "gauge",
    help: "Always 1; labels name shard, replica and version.",
    labels: ["shard", "replica", "version"],
  },
  replicaState: {
    name: "tigerchat_replica_state",
    kind: "gauge",
    help: "1 for the state that the replica is in, 0 for the others.",
    labels: ["state"],
  },
  replicaVoting: {
    name: "tigerchat_replica_voting",
    kind: "gauge",
    help: "1 while this replica's votes count.",
    labels: [],
  },
  replicaLag: {
    name: "tigerchat_replica_lag_ops",
    kind: "gauge",
    help: "Ops that are known to be committed and not yet applied here.",
    labels: [],
  },
  replicaCommit: {
    name: "tigerchat_replica_commit_seconds",
    kind: "histogram",
    help: "Time from the start of a prepare's write here until it was applied here.",
    labels: [],
    buckets: latencyBuckets,
  },
  replicaWalWrite: {
    name: "tigerchat_replica_wal_write_seconds",
    kind: "histogram",
    help: "Time from handing a prepare to the WAL until it was durable.",
    labels: [],
    buckets: latencyBuckets,
  },
  replicaOperations: {
    name: "tigerchat_replica_operations_total",
    kind: "counter",
    help: "Operations of requests that this replica answered as primary.",
    labels: [],
  },
  replicaPrepares: {
    name: "tigerchat_replica_prepares_total",
    kind: "counter",
    help: "Prepares that this replica applied.",
    labels: [],
  },
  replicaRejects: {
    name: "tigerchat_replica_rejects_total",
    kind: "counter",
    help: "Requests that were refused, by reason.",
    labels: ["reason"],
  },
  replicaReads: {
    name: "tigerchat_replica_reads_total",
    kind: "counter",
    help: "Reads of rooms that clients asked for, by the code of the answer.",
    labels: ["code"],
  },
  replicaSignatures: {
    name: "tigerchat_replica_signatures_total",
    kind: "counter",
    help: "Signed frames sent to peers (sign) and received from them (verify).",
    labels: ["kind"],
  },
  replicaDrops: {
    name: "tigerchat_replica_drops_total",
    kind: "counter",
    help: "Frames, pushes and connections that were dropped, by reason.",
    labels: ["reason"],
  },
  replicaQueueDepth: {
    name: "tigerchat_replica_queue_depth",
    kind: "gauge",
    help: "Entries in a bounded queue, by queue.",
    labels: ["queue"],
  },
  replicaConnections: {
    name: "tigerchat_replica_connections",
    kind: "gauge",
    help: "Open connections, by kind.",
    labels: ["kind"],
  },
  replicaCheckpoints: {
    name: "tigerchat_replica_checkpoints_total",
    kind: "counter",
    help: "Checkpoints that became durable here.",
    labels: [],
  },
  replicaMerges: {
    name: "tigerchat_replica_merges_total",
    kind: "counter",
    help: "Groups of segments of history that a checkpoint took as merged into one.",
    labels: [],
  },
  replicaSweeps: {
    name: "tigerchat_replica_sweeps_total",
    kind: "counter",
    help: "Segments that a sweep looked through for what is redacted or below a floor, by outcome.",
    labels: ["outcome"],
  },
  replicaSweptBytes: {
    name: "tigerchat_replica_swept_bytes_total",
    kind: "counter",
    help: "Bytes of entries, redacted or below a floor, that sweeps left out of history here.",
    labels: [],
  },
  replicaAlarms: {
    name: "tigerchat_replica_alarms_total",
    kind: "counter",
    help: "Conditions that need a person, such as data missing on every replica.",
    labels: [],
  },
  replicaScrubbed: {
    name: "tigerchat_replica_scrubbed_bytes_total",
    kind: "counter",
    help: "Bytes read by the background scrub.",
    labels: [],
  },
  replicaScrubRounds: {
    name: "tigerchat_replica_scrub_rounds_total",
    kind: "counter",
    help: "Times that the scrub has read everything.",
    labels: [],
  },
  replicaScrubFaults: {
    name: "tigerchat_replica_scrub_faults_total",
    kind: "counter",
    help: "Damaged places that the scrub found and had repaired, by zone of the volume.",
    labels: ["zone"],
  },
  replicaAlarmsStanding: {
    name: "tigerchat_replica_alarms_standing",
    kind: "gauge",
    help: "Conditions that last now and need a person; GET /v1/status names them.",
    labels: [],
  },
  replicaMachineVersion: {
    name: "tigerchat_replica_machine_version",
    kind: "gauge",
    help: "Version of the machine that applies the next op here.",
    labels: [],
  },
  replicaLoopLag: {
    name: "tigerchat_replica_event_loop_lag_seconds",
    kind: "gauge",
    help: "Delay of the event loop since the last scrape, by quantile.",
    labels: ["quantile"],
  },
  replicaCertificateExpiry: {
    name: "tigerchat_replica_certificate_expiry_timestamp_seconds",
    kind: "gauge",
    help: "Unix time at which this replica's certificate ends; 0 while it has none.",
    labels: [],
  },
  processMemory: {
    name: "tigerchat_replica_resident_memory_bytes",
    kind: "gauge",
    help: "Resident memory of the process.",
    labels: [],
  },
  processCpu: {
    name: "tigerchat_replica_cpu_seconds_total",
    kind: "counter",
    help: "User and system CPU time of the process.",
    labels: [],
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** Key of a metric in {@link replicaMetrics}. */
export type ReplicaMetric = keyof typeof replicaMetrics;
