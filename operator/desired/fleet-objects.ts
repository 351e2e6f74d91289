import { fleetLabels } from "./labels.ts";
import { fleetNames } from "./names.ts";
import type { OwnerReference } from "./owner.ts";

/** Where a fleet is. */
export interface FleetPlace {
  readonly namespace: string;
  readonly fleet: string;
}

function metadataOf(place: FleetPlace, name: string, owners: readonly OwnerReference[]) {
  return {
    name,
    namespace: place.namespace,
    labels: fleetLabels(place.fleet),
    ownerReferences: owners.map((owner) => ({ ...owner })),
  };
}

/** The Secret with the fleet's CA and identity; only the operator may read it. */
export function authoritySecretOf(
  place: FleetPlace,
  owners: readonly OwnerReference[],
  files: { readonly cluster: string; readonly certificate: string; readonly key: string },
) {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: metadataOf(place, fleetNames(place.fleet).authority, owners),
    stringData: { cluster: files.cluster, "ca.crt": files.certificate, "ca.key": files.key },
  };
}

/** The ConfigMap with what every process of the fleet trusts. */
export function trustMapOf(
  place: FleetPlace,
  owners: readonly OwnerReference[],
  trust: { readonly cluster: string; readonly bundle: string },
) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(place, fleetNames(place.fleet).trust, owners),
    data: { "ca.crt": trust.bundle, cluster: trust.cluster } as Record<string, string>,
  };
}

/** The Secret with everything that edges hold. */
export function edgeSecretOf(
  place: FleetPlace,
  owners: readonly OwnerReference[],
  entries: { readonly [name: string]: string },
) {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: metadataOf(place, fleetNames(place.fleet).edge, owners),
    stringData: { ...entries },
  };
}

/** The ConfigMap with the routing table. */
export function routingMapOf(
  place: FleetPlace,
  owners: readonly OwnerReference[],
  routing: string,
) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(place, fleetNames(place.fleet).routing, owners),
    data: { "routing.json": routing } as Record<string, string>,
  };
}
