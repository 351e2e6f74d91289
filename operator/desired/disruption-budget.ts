import type { RoomShard } from "#operator/api/room-shard.ts";
import { shardLabels, shardSelector } from "./labels.ts";
import { shardNames } from "./names.ts";
import { controllerOf } from "./owner.ts";

/**
 * At most one replica may be away. IfHealthyBudget: with two of three healthy the broken one may
 * still be evicted, with one healthy nothing may; a recovering voter is never evicted for being
 * slow. The operator frees pods that are stuck under this rule.
 */
export function disruptionBudgetOf(shard: RoomShard) {
  const { metadata, spec } = shard;
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: {
      name: shardNames(metadata.name).statefulSet,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      ownerReferences: [controllerOf(shard)],
    },
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "IfHealthyBudget",
      selector: { matchLabels: shardSelector(metadata.name) },
    },
  };
}
