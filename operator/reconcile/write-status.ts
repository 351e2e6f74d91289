import type { RoomShard, RoomShardStatus } from "#operator/api/room-shard.ts";
import { orThrow } from "#operator/kube/answer.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { isUrgent } from "#operator/policy/status.ts";
import { type Context, keyOfShard } from "./context.ts";

const quietMs = 10_000;

/**
 * Writes the status when it differs: at once when something that people wait for changed, else at
 * most every ten seconds.
 */
export async function writeStatus(
  context: Context,
  shard: RoomShard,
  status: RoomShardStatus,
): Promise<void> {
  if (JSON.stringify(status) === JSON.stringify(shard.status)) return;
  const key = keyOfShard(shard);
  const nowMs = performance.now();
  const lastMs = context.statusWrittenMs.get(key) ?? Number.NEGATIVE_INFINITY;
  if (!isUrgent(status, shard.status) && nowMs - lastMs < quietMs) return;
  context.statusWrittenMs.set(key, nowMs);
  // Replaces the whole status: a merge would keep members that are no longer true.
  const object = { ...shard, status };
  const replaced = await context.client.replace(kinds.roomShard, object, "/status");
  const stored = orThrow("write the status", replaced);
  context.pending.wrote(key, stored, performance.now());
}
