import type { RoomShard } from "#operator/api/room-shard.ts";
import { replaceMember } from "#operator/pki/replace-member.ts";
import type { GenesisRecord, ObservedMember } from "#operator/policy/observed.ts";
import type { ReplaceStep } from "#operator/policy/replace.ts";
import { withVoter } from "#operator/policy/rotate.ts";
import { recordGenesis } from "./advance-genesis.ts";
import { certifyMember } from "./certify-member.ts";
import { type Context, tell } from "./context.ts";
import type { Fleet } from "./fleet.ts";
import { adminOf } from "./admin-of.ts";

/** Milliseconds of one round that a replacement may take; the next round goes on. */
const limitMs = 5_000;

/**
 * Puts an empty volume in the place of a lost one: its key is certified, written to the claims in
 * the place of the old one, then committed by the primary, then the volume is formatted as a
 * learner. Each step is repeated until the one after it is done.
 */
export async function replaceVolume(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  found: GenesisRecord,
  step: ReplaceStep,
): Promise<void> {
  if (step.kind !== "replace") return;
  const { replica } = step;
  const member = members[replica];
  if (member === undefined) return;
  const certified = await certifyMember(context, shard, fleet, member, []);
  if (certified === null) return;
  await recordGenesis(context, shard, withVoter(found, certified), found);
  const admins = members.flatMap(({ pod, replica: index }) => {
    return pod === undefined ? [] : [adminOf(shard, fleet, index, pod)];
  });
  if (admins.length < members.length) return;
  const outcome = await replaceMember({ admins, member: certified, limitMs });
  const done = outcome.kind === "replaced";
  const note = done
    ? `Replica ${replica} has a new volume; it votes once it has caught up.`
    : `The volume of replica ${replica} is not replaced yet: ${outcome.why}`;
  const reason = done ? "VolumeReplaced" : "ReplacementRefused";
  const event = { type: done ? "Normal" : "Warning", reason, action: "ReplaceVolume" } as const;
  await tell(context, shard, { ...event, note }, done ? "done" : "refused");
}
