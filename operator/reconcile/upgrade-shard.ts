import type { RoomShard } from "#operator/api/room-shard.ts";
import type { ObservedMember } from "#operator/policy/observed.ts";
import type { UpgradeStep } from "#operator/policy/upgrade.ts";
import { type Context, tell } from "./context.ts";
import type { Fleet } from "./fleet.ts";
import { adminOf } from "./admin-of.ts";

/** Milliseconds of one round that an upgrade may take, and between two questions. */
const limitMs = 5_000;
const pauseMs = 100;

/**
 * Asks the primary for a later version of the machine; what is under way is asked again in the
 * next round. An Event when it is done, and when it is refused for another reason than "not yet".
 */
export async function upgradeShard(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  step: UpgradeStep,
): Promise<void> {
  if (step.kind !== "upgrade") return;
  const pod = members[step.primary]?.pod;
  if (pod === undefined) return;
  const { version } = step;
  const admin = adminOf(shard, fleet, step.primary, pod);
  let answered = await admin.upgrade({ version });
  const untilMs = performance.now() + limitMs;
  // It takes the shard a moment to come to its next checkpoint.
  while (answered.kind === "refused" && answered.code === "not_ready") {
    if (performance.now() > untilMs) break;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    answered = await admin.upgrade({ version });
  }
  if (answered.kind === "unreachable") return;
  if (answered.kind === "refused" && answered.code === "not_ready") return;
  const done = answered.kind === "ok";
  const why = answered.kind === "refused" ? answered.detail : "";
  const note = done
    ? `The shard runs version ${version} of the machine; older builds cannot serve it any more.`
    : `Version ${version} of the machine was refused: ${why}`;
  const reason = done ? "MachineUpgraded" : "UpgradeRefused";
  const event = { type: done ? "Normal" : "Warning", reason, action: "UpgradeMachine" } as const;
  await tell(context, shard, { ...event, note }, done ? "done" : "refused");
}
