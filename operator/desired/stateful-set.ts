import { assert } from "#replica/base/assert.ts";
import { replicasCount } from "#replica/base/limits.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { shardLabels, shardSelector } from "./labels.ts";
import { marks, shardNames } from "./names.ts";
import { controllerOf } from "./owner.ts";

/** What stands in a StatefulSet besides the manifest. */
export interface StatefulSetInputs {
  /** The pod template: the wanted one, or the last proven one while a roll is halted. */
  readonly template: unknown;
  readonly templateHash: string;
  /** Annotations that record the course of rolls. */
  readonly records: { readonly [name: string]: string };
}

/**
 * The StatefulSet of a shard. All pods at once (in order, a quorum never starts), replaced only
 * when the operator says so, claims kept whatever happens.
 */
export function statefulSetOf(shard: RoomShard, inputs: StatefulSetInputs) {
  const { metadata, spec } = shard;
  assert(spec.replicas === replicasCount, "DES-02");
  const names = shardNames(metadata.name);
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: {
      name: names.statefulSet,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      annotations: { ...inputs.records, [marks.templateHash]: inputs.templateHash },
      ownerReferences: [controllerOf(shard)],
    },
    spec: {
      replicas: spec.lifecycle === "Hibernated" ? 0 : replicasCount,
      serviceName: names.headless,
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "OnDelete" },
      revisionHistoryLimit: 3,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      selector: { matchLabels: shardSelector(metadata.name) },
      template: inputs.template,
      volumeClaimTemplates: [claimTemplateOf(shard)],
    },
  };
}

function claimTemplateOf(shard: RoomShard) {
  const { metadata, spec } = shard;
  const { className, size } = spec.storage;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "data", labels: shardLabels(metadata.name, spec.fleet) },
    spec: {
      accessModes: ["ReadWriteOnce"],
      ...(className === undefined ? {} : { storageClassName: className }),
      resources: { requests: { storage: size } },
      volumeMode: "Filesystem",
    },
  };
}
