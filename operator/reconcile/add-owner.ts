import type { OwnerReference } from "#operator/desired/owner.ts";
import { orThrow } from "#operator/kube/answer.ts";
import type { KubeClient } from "#operator/kube/kube-client.ts";
import type { Kind, KubeObject } from "#operator/kube/kube-object.ts";

/**
 * Adds one of several owners to an object, by compare-and-swap. Owners are only ever added here:
 * garbage collection takes out those that are gone, and the object with the last of them.
 */
export async function addOwner(
  client: KubeClient,
  kind: Kind,
  object: KubeObject,
  owner: OwnerReference,
): Promise<void> {
  const { namespace = "", name, resourceVersion, ownerReferences = [] } = object.metadata;
  if (ownerReferences.some(({ uid }) => uid === owner.uid)) return;
  const metadata = { resourceVersion, ownerReferences: [...ownerReferences, owner] };
  const patched = await client.mergePatch(kind, namespace, name, { metadata });
  orThrow(`share ${kind.kind} ${name}`, patched);
}
