import type { RoomShard } from "#operator/api/room-shard.ts";
import { podName } from "#operator/desired/names.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import type { ObservedMember } from "#operator/policy/observed.ts";
import type { RestartStep } from "#operator/policy/restart.ts";
import { type Context, tell } from "./context.ts";
import type { Fleet } from "./fleet.ts";
import { adminOf } from "./admin-of.ts";
import { readObject } from "./observe-shard.ts";

/** Does one step of a roll, decided on live facts; the pod must still be the one decided on. */
export async function restartMember(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  step: RestartStep,
): Promise<void> {
  switch (step.kind) {
    case "none":
      return;
    case "wait":
      context.metrics.gateDeferred(step.gate);
      return;
    case "evict":
      return evict(context, shard, fleet, members, step.replica);
    case "delete":
      return remove(context, shard, fleet, members, step.replica, step.note);
    case "transfer":
      return transfer(context, shard, fleet, members, step.target, step.view);
    default:
      return step satisfies never;
  }
}

async function evict(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  replica: number,
): Promise<void> {
  const name = podName(shard.metadata.name, replica);
  const pod = await readObject(context, kinds.pod, fleet.namespace, name, "live");
  if (pod === undefined || pod.metadata.uid !== members[replica]?.pod?.uid) return;
  const evicted = await context.client.evict(pod);
  if (!evicted.ok && evicted.status === 429) return context.metrics.gateDeferred("Budget");
  const note = evicted.ok
    ? `Evicted pod ${name} to bring it to the wanted template.`
    : `Pod ${name} could not be evicted: ${evicted.message}`;
  const event = { type: evicted.ok ? "Normal" : "Warning", action: "Evict" } as const;
  const result = evicted.ok ? "done" : "failed";
  await tell(context, shard, { ...event, reason: "TemplateChanged", note }, result);
}

async function remove(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  replica: number,
  note: string,
): Promise<void> {
  const name = podName(shard.metadata.name, replica);
  const pod = await readObject(context, kinds.pod, fleet.namespace, name, "live");
  if (pod === undefined || pod.metadata.uid !== members[replica]?.pod?.uid) return;
  const deleted = await context.client.deleteExactly(kinds.pod, pod);
  const event = { type: "Warning", reason: "StuckPod", action: "DeletePod" } as const;
  await tell(context, shard, { ...event, note }, deleted.ok ? "done" : "failed");
}

async function transfer(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  target: number,
  view: number,
): Promise<void> {
  const primary = view % members.length;
  const pod = members[primary]?.pod;
  if (pod === undefined) return;
  const answered = await adminOf(shard, fleet, primary, pod).transfer({ view, target });
  const event = { type: "Normal", reason: "PrimaryOutdated", action: "TransferPrimary" } as const;
  const why = answered.kind === "refused" ? answered.detail : "it does not answer";
  const note =
    answered.kind === "ok"
      ? `Asked replica ${primary} to hand the primary over to replica ${target}.`
      : `Replica ${primary} did not hand over: ${why}`;
  await tell(context, shard, { ...event, note }, answered.kind === "ok" ? "done" : "failed");
}
