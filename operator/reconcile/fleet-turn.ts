import type { RoomShard } from "#operator/api/room-shard.ts";
import { marks, shardNames } from "#operator/desired/names.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import type { RestartStep } from "#operator/policy/restart.ts";
import { type ShardRoll, waitsFor } from "#operator/policy/turn.ts";
import type { Context } from "./context.ts";

/** The same step, or a wait while another shard of the fleet rolls. Stuck pods wait for nobody. */
export function inTurn(context: Context, shard: RoomShard, step: RestartStep): RestartStep {
  if (step.kind !== "evict" && step.kind !== "transfer") return step;
  const others = context.mirrors
    .all(kinds.roomShard)
    .map((object) => object as typeof object & Pick<RoomShard, "spec">)
    .filter(({ metadata, spec }) => {
      const sameFleet = spec.fleet === shard.spec.fleet;
      const sameSpace = metadata.namespace === shard.metadata.namespace;
      return sameFleet && sameSpace && metadata.name !== shard.metadata.name && !spec.paused;
    })
    .map(({ metadata }) => rollOf(context, metadata.namespace ?? "", metadata.name));
  const own = rollOf(context, shard.metadata.namespace ?? "", shard.metadata.name);
  const other = waitsFor(own, others);
  if (other === null) return step;
  return { kind: "wait", gate: "FleetRolling", note: `Shard ${other} of the fleet rolls first.` };
}

function rollOf(context: Context, namespace: string, name: string): ShardRoll {
  const set = context.mirrors.get(kinds.statefulSet, namespace, shardNames(name).statefulSet);
  const held = set?.metadata.annotations?.[marks.templateHash];
  const hashes = context.mirrors
    .all(kinds.pod)
    .filter(({ metadata }) => metadata.namespace === namespace)
    .filter(({ metadata }) => metadata.labels?.[marks.shard] === name)
    .map(({ metadata }) => metadata.annotations?.[marks.templateHash]);
  const current = hashes.filter((hash) => hash === held).length;
  return { name, outdated: hashes.length - current, current };
}
