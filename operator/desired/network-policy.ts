import type { RoomShard } from "#operator/api/room-shard.ts";
import { edgeApp, operatorApp, replicaApp, shardLabels, shardSelector } from "./labels.ts";
import { marks, ports, shardNames } from "./names.ts";
import { controllerOf } from "./owner.ts";

function tcp(port: number) {
  return { protocol: "TCP", port };
}

function fleetPods(app: string, fleet: string) {
  return {
    podSelector: { matchLabels: { "app.kubernetes.io/name": app, [marks.fleet]: fleet } },
  };
}

/**
 * Who may reach a shard's replicas, and whom they may reach; everything else is denied.
 * `operatorNamespace`: where the operator runs, "" when it runs outside of the cluster.
 */
export function networkPolicyOf(shard: RoomShard, operatorNamespace: string) {
  const { metadata, spec } = shard;
  const own = { podSelector: { matchLabels: shardSelector(metadata.name) } };
  const siblings = fleetPods(replicaApp, spec.fleet);
  const operator = {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": operatorNamespace } },
    podSelector: { matchLabels: { "app.kubernetes.io/name": operatorApp } },
  };
  const dns = { namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: {
      name: shardNames(metadata.name).statefulSet,
      namespace: metadata.namespace ?? "default",
      labels: shardLabels(metadata.name, spec.fleet),
      ownerReferences: [controllerOf(shard)],
    },
    spec: {
      podSelector: { matchLabels: shardSelector(metadata.name) },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        { from: [own], ports: [tcp(ports.peer)] },
        // Edges, and other shards that slots move to or from.
        { from: [fleetPods(edgeApp, spec.fleet), siblings], ports: [tcp(ports.client)] },
        { from: [operator], ports: [tcp(ports.admin)] },
        // Health and metrics say nothing that is secret; kubelets and Prometheus have no labels.
        { ports: [tcp(ports.metrics)] },
      ],
      egress: [
        { to: [own], ports: [tcp(ports.peer)] },
        { to: [siblings], ports: [tcp(ports.client)] },
        { to: [dns], ports: [tcp(53), { protocol: "UDP", port: 53 }] },
      ],
    },
  };
}
