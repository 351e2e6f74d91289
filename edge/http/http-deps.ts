import type { Gate } from "#edge/bus/gate.ts";
import type { Hub } from "#edge/bus/hub.ts";
import type { EdgeLimits } from "#edge/limit/edge-limits.ts";
import type { KeyedBuckets } from "#edge/limit/keyed-buckets.ts";

/** What HTTP calls need of the process. */
export interface HttpDeps {
  readonly hub: Hub;
  readonly gate: Gate;
  readonly limits: EdgeLimits;
  readonly allowedOrigins: readonly string[];
  /** Posts a tenant, shared with WebSockets. */
  readonly tenantPosts: KeyedBuckets;
  /** Public base URL without a slash at the end; null = what the Host header says. */
  readonly publicUrl: string | null;
  /** Addresses (CIDR) of the proxies before us; false = none. Never "all". */
  readonly trustProxy: string[] | false;
  /** Folder of the built page, or null. */
  readonly web: string | null;
  /** Why no connection is welcome, or null. */
  readonly refusing: () => string | null;
}
