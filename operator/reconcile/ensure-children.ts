import type { RoomShard } from "#operator/api/room-shard.ts";
import { disruptionBudgetOf } from "#operator/desired/disruption-budget.ts";
import { networkPolicyOf } from "#operator/desired/network-policy.ts";
import { clientServiceOf, headlessServiceOf } from "#operator/desired/services.ts";
import { configMapOf } from "#operator/desired/shard-objects.ts";
import type { Kind, KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import type { Context } from "./context.ts";

/** Applies every child but the StatefulSet. Refuses to take over what another owner controls. */
export async function ensureChildren(
  context: Context,
  shard: RoomShard,
  config: string,
): Promise<void> {
  const children: readonly (readonly [Kind, KubeObject])[] = [
    [kinds.service, headlessServiceOf(shard)],
    [kinds.service, clientServiceOf(shard)],
    [kinds.configMap, configMapOf(shard, config)],
    [kinds.budget, disruptionBudgetOf(shard)],
    [kinds.networkPolicy, networkPolicyOf(shard, context.options.operatorNamespace)],
  ];
  for (const [kind, wanted] of children) {
    const { namespace = "", name } = wanted.metadata;
    const mirrored = context.mirrors.get(kind, namespace, name);
    refuseForeign(shard, kind, mirrored);
    await context.applied.apply(context.client, kind, wanted, mirrored);
  }
}

/** Throws when the object is controlled by something else than the shard. */
export function refuseForeign(shard: RoomShard, kind: Kind, found: KubeObject | undefined): void {
  const owner = found?.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined || owner.uid === shard.metadata.uid) return;
  // The last life of this shard: garbage collection is about to take the object.
  const what = `${kind.kind} ${found?.metadata.name}`;
  throw new Error(`${what} belongs to ${owner.kind} ${owner.name} (${owner.uid}); not taken over.`);
}
