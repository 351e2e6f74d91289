import { replicasCount } from "#replica/base/limits.ts";
import { quantityCompare } from "#operator/api/quantity.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { claimName, shardNames } from "#operator/desired/names.ts";
import { orThrow } from "#operator/kube/answer.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { type Context, tell } from "./context.ts";
import { readObject } from "./observe-shard.ts";

interface SizedClaim extends KubeObject {
  readonly spec?: { readonly resources?: { readonly requests?: { readonly storage?: string } } };
}

interface SizedSet extends KubeObject {
  readonly spec?: { readonly volumeClaimTemplates?: readonly SizedClaim[] };
}

function sizeOf(claim: SizedClaim | undefined): string {
  return claim?.spec?.resources?.requests?.storage ?? "";
}

/**
 * Grows the claims to the manifest's size. A StatefulSet's claim template cannot change, so the set
 * is deleted without its pods and made anew by the next step. True when that happened.
 */
export async function growClaims(
  context: Context,
  shard: RoomShard,
  stored: SizedSet | undefined,
): Promise<boolean> {
  const [template] = stored?.spec?.volumeClaimTemplates ?? [];
  const { size } = shard.spec.storage;
  if (stored === undefined || quantityCompare(size, sizeOf(template)) <= 0) return false;
  const namespace = shard.metadata.namespace ?? "default";
  for (let replica = 0; replica < replicasCount; replica += 1) {
    const name = claimName(shard.metadata.name, replica);
    const claim = await readObject(context, kinds.claim, namespace, name, "live");
    if (claim === undefined || quantityCompare(size, sizeOf(claim)) <= 0) continue;
    const patch = { spec: { resources: { requests: { storage: size } } } };
    orThrow(`grow ${name}`, await context.client.mergePatch(kinds.claim, namespace, name, patch));
  }
  const { statefulSet } = shardNames(shard.metadata.name);
  const live = await readObject(context, kinds.statefulSet, namespace, statefulSet, "live");
  if (live !== undefined) {
    const deleted = await context.client.deleteExactly(kinds.statefulSet, live, "Orphan");
    orThrow("remake the StatefulSet", deleted);
  }
  const note = `Grew the claims to ${size}; the StatefulSet is made anew, its pods stay.`;
  const event = { type: "Normal", reason: "SizeChanged", action: "GrowClaims" } as const;
  await tell(context, shard, { ...event, note }, "done");
  return true;
}
