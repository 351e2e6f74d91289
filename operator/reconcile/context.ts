import type { RoomShard } from "#operator/api/room-shard.ts";
import type { EventNote, EventRecorder } from "#operator/kube/event-recorder.ts";
import type { KubeClient } from "#operator/kube/kube-client.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import type { PendingWrites } from "#operator/kube/pending-writes.ts";
import type { AuditTrail } from "./audit-trail.ts";
import type { AppliedObjects } from "./applied-objects.ts";
import type { Mirrors } from "./mirrors.ts";
import type { PeerCertificates } from "./peer-certificates.ts";
import type { Fleets } from "./fleets.ts";

/** What the operator was told at its start. */
export interface OperatorOptions {
  /** Namespace that it serves; "" = all. */
  readonly namespace: string;
  /** Namespace that it runs in; "" when it runs outside of the cluster. */
  readonly operatorNamespace: string;
  /** Image of replicas whose manifest names none. */
  readonly replicaImage: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
}

/** Outcome of an action, for metrics. */
export type ActionResult = "done" | "refused" | "failed";

/** Numbers that the reconciler reports; operator/server registers them. */
export interface ReconcileMetrics {
  action(action: string, reason: string, result: ActionResult): void;
  gateDeferred(gate: string): void;
  reconciled(result: "success" | "error" | "requeue", seconds: number): void;
}

/** The log, one JSON line a call. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Everything that the verbs of this room work with. */
export interface Context {
  readonly options: OperatorOptions;
  readonly client: KubeClient;
  readonly mirrors: Mirrors;
  readonly events: EventRecorder;
  readonly metrics: ReconcileMetrics;
  readonly log: Log;
  readonly pending: PendingWrites;
  readonly applied: AppliedObjects;
  readonly fleets: Fleets;
  readonly certificates: PeerCertificates;
  readonly audit: AuditTrail;
  /** Monotonic milliseconds at which things were last done, by shard; forgetting is harmless. */
  readonly secretsCheckedMs: Map<string, number>;
  readonly statusWrittenMs: Map<string, number>;
}

/** The key of a shard in queue and mirrors. */
export function keyOfShard(shard: RoomShard): string {
  return `${shard.metadata.namespace ?? "default"}/${shard.metadata.name}`;
}

/**
 * Tells of an action: an Event for people, a metric for alerts, a line on standard output, and one
 * for the shard's audit log, which takes it when it can.
 */
export async function tell(
  context: Context,
  shard: RoomShard,
  event: EventNote,
  result: ActionResult,
): Promise<void> {
  context.metrics.action(event.action, event.reason, result);
  const audit = { shard: keyOfShard(shard), ...event, result };
  context.log.info({ audit }, event.note);
  const { action, reason, note } = event;
  context.audit.note(keyOfShard(shard), { action, reason, result, note }, Date.now());
  await context.events.record(shard satisfies KubeObject, event);
}
