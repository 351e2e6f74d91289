import { replicasCount } from "#replica/base/limits.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { shardLabels } from "./labels.ts";
import { ports, replicaHost, shardNames } from "./names.ts";
import { controllerOf } from "./owner.ts";
import { paths } from "./pod-template.ts";
import { replicaConfigOf } from "./replica-config.ts";

/** The replica's configuration file for pods: peers by their headless DNS names. */
export function podConfigOf(shard: RoomShard, cluster: string): string {
  const namespace = shard.metadata.namespace ?? "default";
  const peers = Array.from({ length: replicasCount }, (_, replica) => ({
    host: replicaHost(shard.metadata.name, namespace, replica),
    peerPort: ports.peer,
    clientPort: ports.client,
    adminPort: ports.admin,
    metricsPort: ports.metrics,
  }));
  const { trust, kek, bootstrap } = paths;
  const files = { trust, kek, bootstrap };
  return replicaConfigOf(shard, {
    cluster,
    peers,
    listenHost: "0.0.0.0",
    files,
    logLevel: "info",
  });
}

/** The ConfigMap with the replica's configuration file. */
export function configMapOf(shard: RoomShard, config: string) {
  const { metadata, spec } = shard;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: shardNames(metadata.name).config,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      ownerReferences: [controllerOf(shard)],
    },
    data: { "replica.json": config } as Record<string, string>,
  };
}

/** The Secret that proves a replica's pod to be ours when it is certified. Goes with the shard. */
export function bootstrapSecretOf(shard: RoomShard, bootstrap: string) {
  const { metadata, spec } = shard;
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: {
      name: shardNames(metadata.name).bootstrap,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      ownerReferences: [controllerOf(shard)],
    },
    stringData: { bootstrap } as Record<string, string>,
  };
}

/**
 * The Secret whose key wraps the data keys of the shard's disks. It has no owner: what decrypts
 * the retained claims must outlive the RoomShard, its namespace's releases and the CRD.
 */
export function keySecretOf(shard: RoomShard, kek: string) {
  const { metadata, spec } = shard;
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: {
      name: shardNames(metadata.name).keys,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
    },
    stringData: { kek } as Record<string, string>,
  };
}
