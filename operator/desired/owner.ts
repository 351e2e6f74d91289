import type { RoomShard } from "#operator/api/room-shard.ts";
import { apiVersion, kind } from "#operator/api/room-shard.ts";

/** An ownerReference, as metav1 has it. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller: boolean;
  blockOwnerDeletion: boolean;
}

/** The reference that makes garbage collection take an object with its shard. */
export function controllerOf(shard: RoomShard): OwnerReference {
  return { ...shareOf(shard), controller: true, blockOwnerDeletion: true };
}

/** The reference of one of several owners: the object goes with the last of them. */
export function shareOf(shard: RoomShard): OwnerReference {
  const { name, uid = "" } = shard.metadata;
  return { apiVersion, kind, name, uid, controller: false, blockOwnerDeletion: false };
}
