import type { KubernetesObject } from "./api-client.ts";

/**
 * Name of the StorageClass of the test clusters: local volumes, bound when their pod is scheduled.
 */
export const storageClassName = "fast";

/** The StorageClass. It is the default one, so that a claim without a class gets it too. */
export function storageClass(): KubernetesObject {
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: {
      name: storageClassName,
      annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
    },
    provisioner: "kubernetes.io/no-provisioner",
    volumeBindingMode: "WaitForFirstConsumer",
    reclaimPolicy: "Retain",
    allowVolumeExpansion: true,
  };
}

/** One volume: a folder of one node, said to hold `size` (nothing enforces it). */
export interface LocalVolume {
  readonly node: string;
  readonly index: number;
  /** Folder as the node sees it; it must exist before a pod uses it. */
  readonly path: string;
  /** A Kubernetes quantity. */
  readonly size: string;
}

/** The PersistentVolume of a folder. */
export function localVolume(volume: LocalVolume): KubernetesObject {
  const host = { key: "kubernetes.io/hostname", operator: "In", values: [volume.node] };
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: `${volume.node}-${volume.index}` },
    spec: {
      capacity: { storage: volume.size },
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Retain",
      storageClassName,
      local: { path: volume.path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [host] }] } },
    },
  };
}
