/** The metadata that we read; the rest stays in the object untouched. */
export interface KubeMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: { readonly [name: string]: string };
  readonly annotations?: { readonly [name: string]: string };
  readonly ownerReferences?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly controller?: boolean;
  }[];
}

/** Any object of Kubernetes as JSON, unknown fields included. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubeMetadata;
}

/** A kind of object: where it is found. */
export interface Kind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
}

function kindOf(kind: string, apiVersion: string, plural: string): Kind {
  return { kind, apiVersion, plural };
}

/** Every kind that the operator reads or writes. */
export const kinds = {
  roomShard: kindOf("RoomShard", "tigerchat.dev/v1alpha1", "roomshards"),
  statefulSet: kindOf("StatefulSet", "apps/v1", "statefulsets"),
  deployment: kindOf("Deployment", "apps/v1", "deployments"),
  pod: kindOf("Pod", "v1", "pods"),
  claim: kindOf("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
  service: kindOf("Service", "v1", "services"),
  configMap: kindOf("ConfigMap", "v1", "configmaps"),
  secret: kindOf("Secret", "v1", "secrets"),
  budget: kindOf("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
  networkPolicy: kindOf("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
  lease: kindOf("Lease", "coordination.k8s.io/v1", "leases"),
  event: kindOf("Event", "events.k8s.io/v1", "events"),
} as const;

/** Path of a collection (`name` absent) or object. `namespace` "" = all namespaces. */
export function pathOf(kind: Kind, namespace: string, name?: string): string {
  const root = kind.apiVersion.includes("/")
    ? `/apis/${kind.apiVersion}`
    : `/api/${kind.apiVersion}`;
  const scope = namespace === "" ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  const item = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${kind.plural}${item}`;
}

/** `namespace/name`: names an object among those of its kind. */
export function keyOf(object: { readonly metadata: KubeMetadata }): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

/** Order of two resource versions of one collection: decimal numbers of any size (KEP-5504). */
export function compareVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
