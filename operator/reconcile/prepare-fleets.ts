import type { OwnerReference } from "#operator/desired/owner.ts";
import { orThrow } from "#operator/kube/answer.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import type { Context } from "./context.ts";

/**
 * Makes the files of fleets that edges mount, before any shard asks for them: an edge that is
 * installed first could not start. The operator's Deployment owns them beside the shards.
 */
export async function prepareFleets(
  context: Context,
  fleets: readonly string[],
  deployment: string,
): Promise<void> {
  if (fleets.length === 0) return;
  const namespace = context.options.operatorNamespace;
  const { kind, apiVersion } = kinds.deployment;
  const what = `read Deployment ${deployment}`;
  const found = orThrow(what, await context.client.get(kinds.deployment, namespace, deployment));
  const owner: OwnerReference = {
    apiVersion,
    kind,
    name: deployment,
    uid: found.metadata.uid ?? "",
    controller: false,
    blockOwnerDeletion: false,
  };
  for (const fleet of fleets) await context.fleets.ensure({ namespace, fleet }, owner);
}
