import type {
  V1ConfigMap,
  V1NetworkPolicy,
  V1PodDisruptionBudget,
  V1PodTemplateSpec,
  V1Secret,
  V1Service,
} from "@kubernetes/client-node";
import type {
  authoritySecretOf,
  edgeSecretOf,
  routingMapOf,
  trustMapOf,
} from "#operator/desired/fleet-objects.ts";
import type { disruptionBudgetOf } from "#operator/desired/disruption-budget.ts";
import type { networkPolicyOf } from "#operator/desired/network-policy.ts";
import type { podTemplateOf } from "#operator/desired/pod-template.ts";
import type { clientServiceOf, headlessServiceOf } from "#operator/desired/services.ts";
import type {
  bootstrapSecretOf,
  configMapOf,
  keySecretOf,
} from "#operator/desired/shard-objects.ts";

type Loose<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? readonly Loose<Item>[]
    : T extends object
      ? { readonly [K in keyof T]: Loose<T[K]> | undefined }
      : T;
type Fits<Made extends Loose<Wanted>, Wanted> = Made & Partial<Wanted>;

/**
 * Compiles only while the plain objects of operator/desired have the shapes that Kubernetes
 * publishes. operator/desired itself cannot name those types: their package brings Node's along.
 */
export type DesiredObjectsFit = [
  Fits<ReturnType<typeof podTemplateOf>, V1PodTemplateSpec>,
  Fits<ReturnType<typeof headlessServiceOf>, V1Service>,
  Fits<ReturnType<typeof clientServiceOf>, V1Service>,
  Fits<ReturnType<typeof disruptionBudgetOf>, V1PodDisruptionBudget>,
  Fits<ReturnType<typeof networkPolicyOf>, V1NetworkPolicy>,
  Fits<ReturnType<typeof configMapOf>, V1ConfigMap>,
  Fits<ReturnType<typeof bootstrapSecretOf>, V1Secret>,
  Fits<ReturnType<typeof keySecretOf>, V1Secret>,
  Fits<ReturnType<typeof authoritySecretOf>, V1Secret>,
  Fits<ReturnType<typeof trustMapOf>, V1ConfigMap>,
  Fits<ReturnType<typeof edgeSecretOf>, V1Secret>,
  Fits<ReturnType<typeof routingMapOf>, V1ConfigMap>,
];
