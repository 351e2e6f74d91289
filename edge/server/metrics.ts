import type { MetricDefinition } from "#replica/base/metrics.ts";

/** Every metric of an edge process, as data: registered, documented and compared from here. */
export const edgeMetrics = {
  connections: {
    name: "tigerchat_edge_connections",
    kind: "gauge",
    help: "WebSocket connections open now.",
    labels: [],
  },
  streams: {
    name: "tigerchat_edge_streams",
    kind: "gauge",
    help: "Server-sent streams open now.",
    labels: [],
  },
  connectionsOpened: {
    name: "tigerchat_edge_connections_opened_total",
    kind: "counter",
    help: "WebSocket connections accepted since the start.",
    labels: [],
  },
  connectionsRefused: {
    name: "tigerchat_edge_connections_refused_total",
    kind: "counter",
    help: "WebSocket handshakes refused: origin, subprotocol, rate, limit or drain.",
    labels: [],
  },
  connectionsTerminated: {
    name: "tigerchat_edge_connections_terminated_total",
    kind: "counter",
    help: "Connections cut because the client did not read or did not answer a ping.",
    labels: [],
  },
  framesReceived: {
    name: "tigerchat_edge_frames_received_total",
    kind: "counter",
    help: "Frames that clients sent.",
    labels: [],
  },
  socketWrites: {
    name: "tigerchat_edge_socket_writes_total",
    kind: "counter",
    help: "Writes to client sockets; deliveries divided by it is how well events coalesce.",
    labels: [],
  },
  sentBytes: {
    name: "tigerchat_edge_sent_bytes_total",
    kind: "counter",
    help: "Bytes written to WebSocket clients.",
    labels: [],
  },
  posts: {
    name: "tigerchat_edge_posts_total",
    kind: "counter",
    help: "Posts of WebSocket clients, by whether they were committed.",
    labels: ["outcome"],
  },
  postSeconds: {
    name: "tigerchat_edge_post_duration_seconds",
    kind: "histogram",
    help: "From the oldest post of a batch to the shard's answer.",
    labels: [],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  operations: {
    name: "tigerchat_edge_operations_total",
    kind: "counter",
    help: "Operations handed to a shard.",
    labels: ["shard"],
  },
  batches: {
    name: "tigerchat_edge_batches_total",
    kind: "counter",
    help: "Requests sent to a shard; operations divided by it is the batch size.",
    labels: ["shard"],
  },
  unknownOutcomes: {
    name: "tigerchat_edge_unknown_outcomes_total",
    kind: "counter",
    help: "Operations whose outcome the shard did not tell in time; clients retry them.",
    labels: ["shard"],
  },
  shardPrimary: {
    name: "tigerchat_edge_shard_has_primary",
    kind: "gauge",
    help: "1 while this edge reaches the primary of the shard, else 0.",
    labels: ["shard"],
  },
  rooms: {
    name: "tigerchat_edge_rooms",
    kind: "gauge",
    help: "Rooms that this edge follows.",
    labels: [],
  },
  deliveries: {
    name: "tigerchat_edge_deliveries_total",
    kind: "counter",
    help: "Events given to live subscribers: entries times receivers.",
    labels: [],
  },
  gaps: {
    name: "tigerchat_edge_gaps_total",
    kind: "counter",
    help: "Times that a slow client lost its queue and was told to read.",
    labels: [],
  },
  recoveries: {
    name: "tigerchat_edge_recoveries_total",
    kind: "counter",
    help: "Attaches with a position, by whether it was recovered.",
    labels: ["result"],
  },
  malformed: {
    name: "tigerchat_edge_malformed_pushes_total",
    kind: "counter",
    help: "Pushes or pages of a shard that could not be decoded; anything but 0 is a bug.",
    labels: [],
  },
  moved: {
    name: "tigerchat_edge_moved_total",
    kind: "counter",
    help: "Operations repeated because a shard said that their room is another's.",
    labels: [],
  },
  routingEpoch: {
    name: "tigerchat_edge_routing_epoch",
    kind: "gauge",
    help: "Epoch of the routing table in use.",
    labels: [],
  },
  draining: {
    name: "tigerchat_edge_draining",
    kind: "gauge",
    help: "1 while this edge asks its clients to leave, else 0.",
    labels: [],
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** Name of a metric in code. */
export type EdgeMetric = keyof typeof edgeMetrics;
