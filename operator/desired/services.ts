import type { RoomShard } from "#operator/api/room-shard.ts";
import { shardLabels, shardSelector } from "./labels.ts";
import { ports, shardNames } from "./names.ts";
import { controllerOf } from "./owner.ts";

function port(name: keyof typeof ports) {
  // A named target moves with the container; appProtocol keeps meshes from guessing.
  return { name, port: ports[name], targetPort: name, protocol: "TCP", appProtocol: "tcp" };
}

/**
 * The Service that names each replica. Publishes those that are not ready too: peers and edges must
 * find them exactly when a quorum is lost.
 */
export function headlessServiceOf(shard: RoomShard) {
  const { metadata, spec } = shard;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: shardNames(metadata.name).headless,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      ownerReferences: [controllerOf(shard)],
    },
    spec: {
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: shardSelector(metadata.name),
      ports: [port("peer"), port("client"), port("admin"), port("metrics")],
    },
  };
}

/** The Service for people: the ready replicas' client port. Edges do not use it. */
export function clientServiceOf(shard: RoomShard) {
  const { metadata, spec } = shard;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: shardNames(metadata.name).client,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      ownerReferences: [controllerOf(shard)],
    },
    spec: {
      type: "ClusterIP",
      selector: shardSelector(metadata.name),
      ports: [port("client")],
    },
  };
}
