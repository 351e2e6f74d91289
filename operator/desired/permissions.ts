/** A rule of RBAC, as rbac.authorization.k8s.io/v1 has it. */
export interface PermissionRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

function rule(group: string, resources: string, verbs: string): PermissionRule {
  return { apiGroups: [group], resources: resources.split(" "), verbs: verbs.split(" ") };
}

/**
 * What the operator may do in the namespaces that it serves: a Role when it serves one, else a
 * ClusterRole. No wildcard; Secrets only by name, so that it can never list them.
 */
export const operatorRules: readonly PermissionRule[] = [
  rule("tigerchat.dev", "roomshards", "get list watch"),
  rule("tigerchat.dev", "roomshards/status", "update"),
  // Clusters that check ownerReferences want this of whoever sets blockOwnerDeletion.
  rule("tigerchat.dev", "roomshards/finalizers", "update"),
  // Deletion only without the pods, to grow the claims.
  rule("apps", "statefulsets", "get list watch create patch delete"),
  rule("", "services configmaps", "get list watch create patch"),
  rule("policy", "poddisruptionbudgets", "get list watch create patch"),
  rule("networking.k8s.io", "networkpolicies", "get list watch create patch"),
  rule("", "secrets", "get create patch"),
  rule("", "persistentvolumeclaims", "get list watch patch"),
  // Deletion only of pods that serve nobody and that no eviction would free.
  rule("", "pods", "get list watch delete"),
  rule("", "pods/eviction", "create"),
  rule("events.k8s.io", "events", "create patch"),
];

/** What it may do in its own namespace besides: election, and finding its own Deployment. */
export const ownRules: readonly PermissionRule[] = [
  rule("coordination.k8s.io", "leases", "get create update"),
  rule("apps", "deployments", "get"),
];
