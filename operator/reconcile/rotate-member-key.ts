import type { RoomShard } from "#operator/api/room-shard.ts";
import { marks } from "#operator/desired/names.ts";
import { orNone } from "#operator/kube/answer.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { rotateKey } from "#operator/pki/rotate-key.ts";
import type { GenesisRecord, KeyRotation, ObservedMember } from "#operator/policy/observed.ts";
import {
  type RotateStep,
  withoutFormer,
  withoutRotation,
  withRotation,
} from "#operator/policy/rotate.ts";
import { recordGenesis } from "./advance-genesis.ts";
import { readBootstrap } from "./certify-member.ts";
import { type Context, tell } from "./context.ts";
import type { Fleet } from "./fleet.ts";
import { adminOf } from "./admin-of.ts";

/** Milliseconds of one round that a change of key may take; the next round goes on. */
const limitMs = 5_000;

/**
 * Does one step of the change of a replica's own key. The claims say which key goes and which one
 * comes before the latter is certified or committed, and that it is done after the former one is
 * destroyed; whatever ends between the two goes on in the next round.
 */
export async function rotateMemberKey(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  found: GenesisRecord,
  step: RotateStep,
): Promise<void> {
  switch (step.kind) {
    case "none":
    case "wait":
      return;
    case "settle":
      return finish(context, shard, members, found, step.rotation);
    case "forget":
      if ((await askedNow(context, shard)) !== undefined) return;
      return recordGenesis(context, shard, withoutRotation(found), found);
    case "rotate":
      return rotate(context, shard, fleet, members, found, step);
    default:
      return step satisfies never;
  }
}

async function rotate(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  found: GenesisRecord,
  step: Extract<RotateStep, { kind: "rotate" }>,
): Promise<void> {
  const { replica, retire, request } = step;
  const admins = members.flatMap(({ pod, replica: index }) => {
    return pod === undefined ? [] : [adminOf(shard, fleet, index, pod)];
  });
  if (admins.length < members.length) return;
  const begun = members[replica]?.report?.nextKey !== undefined;
  // A mirror may still show a word that was taken back, and whose end is forgotten.
  if (!begun && (await askedNow(context, shard)) !== request) return;
  let rotation = found.rotation?.done === false ? found.rotation : null;
  let recorded = found;
  const outcome = await rotateKey({
    admins,
    authority: fleet.authority,
    bootstrap: await readBootstrap(context, shard),
    cluster: fleet.cluster,
    shard: shard.metadata.name,
    replica,
    retire,
    record: async (next) => {
      if (rotation?.replica === replica && rotation.next === next) return;
      rotation = { request, replica, retire, next, done: false };
      await recordGenesis(context, shard, withRotation(found, rotation), recorded);
      recorded = withRotation(found, rotation);
      const event = { type: "Normal", reason: "KeyMade", action: "RotateKey" } as const;
      const note = `Replica ${replica} goes from key ${retire} to ${next}.`;
      await tell(context, shard, { ...event, note }, "done");
    },
    nowMs: Date.now(),
    limitMs,
  });
  const pod = members[replica]?.pod;
  if (pod !== undefined) context.certificates.forget(pod.uid);
  if (outcome.kind === "rotated" && rotation !== null) {
    return finish(context, shard, members, recorded, rotation);
  }
  const why = outcome.kind === "refused" ? outcome.why : "";
  const note = `The key of replica ${replica} is not changed yet: ${why}`;
  const event = { type: "Warning", reason: "RotationRefused", action: "RotateKey" } as const;
  await tell(context, shard, { ...event, note }, "refused");
}

async function finish(
  context: Context,
  shard: RoomShard,
  members: readonly ObservedMember[],
  found: GenesisRecord,
  rotation: KeyRotation,
): Promise<void> {
  const { replica } = rotation;
  await recordGenesis(context, shard, withoutFormer(found, rotation), found);
  const pod = members[replica]?.pod;
  if (pod !== undefined) context.certificates.forget(pod.uid);
  const note = `Replica ${replica} has another key; the former one is destroyed.`;
  const event = { type: "Normal", reason: "KeyRotated", action: "RotateKey" } as const;
  await tell(context, shard, { ...event, note }, "done");
}

/** What the shard's annotation asks for, read live. */
async function askedNow(context: Context, shard: RoomShard): Promise<string | undefined> {
  const { name, namespace = "default" } = shard.metadata;
  const read = await context.client.get(kinds.roomShard, namespace, name);
  return orNone(`read shard ${name}`, read)?.metadata.annotations?.[marks.rotateKey];
}

/**
 * An Event about a word that names no replica, when it is not yet in the status: said once, not in
 * each round.
 */
export async function refuseWord(
  context: Context,
  shard: RoomShard,
  step: RotateStep,
): Promise<void> {
  if (step.kind !== "wait" || step.reason !== "NoSuchReplica") return;
  const said = shard.status?.conditions?.some(({ message }) => message === step.note);
  if (said === true) return;
  const event = { type: "Warning", reason: step.reason, action: "RotateKey" } as const;
  await tell(context, shard, { ...event, note: step.note }, "refused");
}
