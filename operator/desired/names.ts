/** Ports of a replica in Kubernetes. Locally each replica has ports of its own. */
export const ports = { peer: 7101, client: 7102, admin: 7103, metrics: 7104 } as const;

/** Field manager of everything that the operator applies. */
export const fieldManager = "tigerchat-operator";

/** Annotations and labels of ours. */
export const marks = {
  /** On a RoomShard or the CRD: permits its deletion. */
  allowDelete: "tigerchat.dev/allow-delete",
  /** On pods and StatefulSets: hash of the semantic template. */
  templateHash: "tigerchat.dev/template-hash",
  /** On a StatefulSet: the last pod template that all three ran, as JSON. */
  provenTemplate: "tigerchat.dev/proven-template",
  /** On a StatefulSet: hash of that template. */
  provenHash: "tigerchat.dev/proven-hash",
  /** On a StatefulSet: hash of a template whose roll failed. */
  failedHash: "tigerchat.dev/failed-hash",
  /** On claims: how far the genesis of the shard is, compare-and-swapped before each step. */
  genesis: "tigerchat.dev/genesis",
  /** On a RoomShard: rolls it when update.policy is OnRequest; any new value. */
  roll: "tigerchat.dev/roll",
  /** On a RoomShard: index of a replica whose empty volume takes the place of a lost one. */
  replace: "tigerchat.dev/replace",
  /** On a RoomShard: index of a replica that gets another key; see operator/policy/rotate.ts. */
  rotateKey: "tigerchat.dev/rotate-key",
  shard: "tigerchat.dev/shard",
  fleet: "tigerchat.dev/fleet",
} as const;

/** Names of a shard's objects. All in the shard's namespace. */
export interface ShardNames {
  readonly statefulSet: string;
  /** Headless; peers and edges dial `<pod>.<headless>`. */
  readonly headless: string;
  /** For people. */
  readonly client: string;
  readonly config: string;
  readonly bootstrap: string;
  readonly keys: string;
}

/** Names of the objects of the shard `shard`. */
export function shardNames(shard: string, keySecretName?: string): ShardNames {
  return {
    statefulSet: shard,
    headless: shard,
    client: `${shard}-client`,
    config: `${shard}-config`,
    bootstrap: `${shard}-bootstrap`,
    keys: keySecretName ?? `${shard}-keys`,
  };
}

/** Name of the claim of replica N. */
export function claimName(shard: string, replica: number): string {
  return `data-${shard}-${replica}`;
}

/** Name of the pod of replica N. */
export function podName(shard: string, replica: number): string {
  return `${shard}-${replica}`;
}

/** DNS name of replica N, good from every namespace, ready or not. */
export function replicaHost(shard: string, namespace: string, replica: number): string {
  return `${podName(shard, replica)}.${shardNames(shard).headless}.${namespace}.svc`;
}

/** Names of a fleet's objects. */
export interface FleetNames {
  readonly authority: string;
  readonly trust: string;
  readonly edge: string;
  readonly routing: string;
}

/** Names of the objects of the fleet `fleet`. */
export function fleetNames(fleet: string): FleetNames {
  return {
    authority: `tigerchat-${fleet}-ca`,
    trust: `tigerchat-${fleet}-trust`,
    edge: `tigerchat-${fleet}-edge`,
    routing: `tigerchat-${fleet}-routing`,
  };
}
