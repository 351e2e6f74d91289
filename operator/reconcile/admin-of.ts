import type { RoomShard } from "#operator/api/room-shard.ts";
import { ports } from "#operator/desired/names.ts";
import { AdminClient } from "#operator/pki/admin-client.ts";
import { replicaUri } from "#operator/pki/identity.ts";
import type { ObservedPod } from "#operator/policy/observed.ts";
import type { Fleet } from "./fleet.ts";

/** A client for the admin port of a replica's pod. The pod's address, never a name: names lag. */
export function adminOf(
  shard: RoomShard,
  fleet: Fleet,
  replica: number,
  pod: ObservedPod,
): AdminClient {
  const identity = replicaUri(fleet.cluster, shard.metadata.name, replica);
  return new AdminClient({ host: pod.ip, port: ports.admin, identity }, fleet.credentials);
}
