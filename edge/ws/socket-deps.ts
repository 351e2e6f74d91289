import type { Gate } from "#edge/bus/gate.ts";
import type { Hub } from "#edge/bus/hub.ts";
import type { KeyedBuckets } from "#edge/limit/keyed-buckets.ts";
import type { EdgeLimits } from "#edge/limit/edge-limits.ts";

/** What sockets need of the process. */
export interface SocketDeps {
  readonly hub: Hub;
  readonly gate: Gate;
  readonly limits: EdgeLimits;
  readonly allowedOrigins: readonly string[];
  /** Posts a tenant, shared with HTTP. */
  readonly tenantPosts: KeyedBuckets;
  /** Why no further connection is welcome, or null. */
  readonly refusing: () => string | null;
}

/** Counters since the start; for metrics. */
export interface SocketCounts {
  opened: number;
  closed: number;
  framesIn: number;
  writes: number;
  bytesOut: number;
  posts: number;
  postsFailed: number;
  terminated: number;
  refused: number;
}
