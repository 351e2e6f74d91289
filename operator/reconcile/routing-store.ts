import { routingMapOf } from "#operator/desired/fleet-objects.ts";
import { fleetNames } from "#operator/desired/names.ts";
import type { OwnerReference } from "#operator/desired/owner.ts";
import {
  emptyRouting,
  type RoutingFile,
  routingFrom,
  routingText,
} from "#operator/desired/routing-table.ts";
import { orNone, orThrow } from "#operator/kube/answer.ts";
import type { KubeClient } from "#operator/kube/kube-client.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { addOwner } from "./add-owner.ts";
import type { Fleet } from "./fleet.ts";

/** The ConfigMap with the table. */
export interface RoutingMap extends KubeObject {
  readonly data?: { readonly [name: string]: string };
}

/** Reads the published table, or makes an empty one; shared by one more owner. */
export async function readRouting(
  client: KubeClient,
  fleet: Fleet,
  owner: OwnerReference,
): Promise<{ readonly object: KubeObject; readonly file: RoutingFile }> {
  const name = fleetNames(fleet.fleet).routing;
  const got = await client.get<RoutingMap>(kinds.configMap, fleet.namespace, name);
  let object: RoutingMap | undefined = orNone("read the routing table", got);
  if (object === undefined) {
    const text = routingText(emptyRouting(fleet.fleet, fleet.cluster));
    const empty = routingMapOf(fleet, [owner], text);
    object = orThrow("create the routing table", await client.create(kinds.configMap, empty));
  }
  const file = routingFrom(object.data?.["routing.json"] ?? "");
  if (file === null) throw new Error(`ConfigMap ${name} is damaged; delete it to have it remade.`);
  const metadata = object.metadata;
  if (metadata.ownerReferences?.some(({ uid }) => uid === owner.uid) === true) {
    return { object, file };
  }
  await addOwner(client, kinds.configMap, object, owner);
  return readRouting(client, fleet, owner);
}

/** Publishes by compare-and-swap: a table that changed meanwhile is not overwritten. */
export async function writeRouting(
  client: KubeClient,
  fleet: Fleet,
  object: KubeObject,
  file: RoutingFile,
): Promise<void> {
  const { resourceVersion, name } = object.metadata;
  const patch = { metadata: { resourceVersion }, data: { "routing.json": routingText(file) } };
  const patched = await client.mergePatch(kinds.configMap, fleet.namespace, name, patch);
  orThrow("publish the routing table", patched);
}
